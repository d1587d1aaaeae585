"""Domain errors as HTTP sees them: one table of statuses, one shape (RFC 9457 problem details)."""

import re
from collections.abc import Iterator, Mapping
from math import ceil

from core.errors import (
    BadUpstream,
    Conflict,
    CorruptIndex,
    Damaged,
    Forbidden,
    InvalidInput,
    InvalidSettings,
    MissingExtra,
    NotFound,
    ParseFailed,
    StorageFull,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnderstudyError,
    UpstreamTimeout,
)
from core.types import Json

PROBLEM_JSON = "application/problem+json"

STATUS: Mapping[type[BaseException], int] = {
    InvalidInput: 422,
    InvalidSettings: 500,
    TooLarge: 413,
    NotFound: 404,
    Unauthorized: 401,
    Forbidden: 403,
    Conflict: 409,
    ParseFailed: 422,
    Damaged: 500,
    CorruptIndex: 503,
    StorageFull: 507,
    Unavailable: 503,
    BadUpstream: 502,
    UpstreamTimeout: 504,
    MissingExtra: 501,
    UnderstudyError: 500,
    BaseException: 500,
}

_TYPE = "urn:understudy:problem:"


def status_of(error: type[BaseException]) -> int:
    """The status of the nearest class in the table."""
    return next(STATUS[parent] for parent in error.__mro__ if parent in STATUS)


def problem_of(error: UnderstudyError) -> Json:
    """With `retry_after` where the error knows when to come back: what an event stream has in place of the header."""
    kind, wait = type(error), retry_after_of(error)
    extra = {} if wait is None else {"retry_after": wait}
    return problem(_slug(kind.__name__), _words(kind.__name__).capitalize(), status_of(kind), str(error), **extra)


def retry_after_of(error: UnderstudyError) -> int | None:
    """Whole seconds."""
    known = error.retry_after if isinstance(error, Unavailable) else None
    return None if known is None else ceil(known)


def problem(slug: str, title: str, status: int, detail: str, **extensions: object) -> Json:
    return {"type": f"{_TYPE}{slug}", "title": title, "status": status, "detail": detail, **extensions}


def error_of(told: Json) -> UnderstudyError:
    """The error that `problem_of` told another process about."""
    for kind in _tree(UnderstudyError):
        if told.get("type") == f"{_TYPE}{_slug(kind.__name__)}":
            return kind(str(told.get("detail")))
    return UnderstudyError(str(told.get("detail")))


def _tree(kind: type[UnderstudyError]) -> Iterator[type[UnderstudyError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


def _words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _slug(name: str) -> str:
    return _words(name).replace(" ", "-")

"""What went wrong with a call over HTTP, by name and in words that give nothing away."""

from collections.abc import Mapping
from math import isfinite

from core.types import Fault

_BY_STATUS: Mapping[int, Fault] = {
    400: "bad_request", 401: "unauthorized", 402: "unpaid", 403: "forbidden", 404: "unknown_model", 413: "too_large", 429: "rate_limited",
    529: "overloaded",
}  # fmt: skip
_BY_TYPE: Mapping[str, Fault] = {
    "invalid_request_error": "bad_request", "authentication_error": "unauthorized", "billing_error": "unpaid",
    "permission_error": "forbidden", "not_found_error": "unknown_model", "request_too_large": "too_large",
    "rate_limit_error": "rate_limited", "overloaded_error": "overloaded",
}  # fmt: skip


def fault_of(status: int, kind: str) -> Fault:
    """In the middle of a stream the status was 200 already, and only the error's type tells."""
    return _BY_STATUS.get(status) or _BY_TYPE.get(kind) or "server_error"


def seconds_of(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return max(0.0, seconds) if isfinite(seconds) else None


def never_left(error: BaseException) -> bool:
    """Whether the request certainly stayed here."""
    import httpx2

    return isinstance(error.__cause__ or error, httpx2.ConnectError | httpx2.UnsupportedProtocol)


def is_unconnected(error: BaseException) -> bool:
    import httpx2

    return never_left(error) or isinstance(error.__cause__ or error, httpx2.ReadError | httpx2.WriteError)


def innermost(error: BaseException) -> str:
    """Less what quotes a header that cannot be sent: a key may be in it."""
    import httpx2

    cause = error.__cause__ or error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    told = "" if isinstance(cause, httpx2.LocalProtocolError) else str(cause)
    return f"{type(cause).__name__}: {told}" if told else type(cause).__name__

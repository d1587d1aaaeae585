"""Around every request: an id, one log line, the metrics, a limit on the body, and a problem for what nobody foresaw."""

import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_of
from api.logs import LOG
from api.metrics import Metrics
from api.problems import respond, unexpected
from core.errors import TooLarge

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SMALL_BODY_BYTES = 1_048_576
_UPLOADS = "/v1/documents/"
_DRAINED_BYTES = 268_435_456
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}


class Observed:
    """Gives the request an id, echoes it as X-Request-ID, and logs and counts the request at its end."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = _request_id(Headers(scope=scope))
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                LOG.exception("unexpected error", method=scope["method"], path=scope["path"])
                if status:
                    raise
                await unexpected(request_id)(scope, receive, send_with_id)
            finally:
                self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._metrics.count_request(_method(scope), _template(scope), status, seconds)
        LOG.info("request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 2))


class LimitedBody:
    """Refuses bodies that are too large, whether or not they say how long they are."""

    def __init__(self, app: ASGIApp, max_upload_bytes: int) -> None:
        self._app = app
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        limit = self._max_upload_bytes if scope["path"].startswith(_UPLOADS) else _SMALL_BODY_BYTES
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            await _drain(receive)
            return await respond(problem_of(_too_large(limit)))(scope, receive, send)
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise _too_large(limit)
            return message

        await self._app(scope, receive_counted, send)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit} bytes: send less (UNDERSTUDY_SERVER__MAX_UPLOAD_BYTES is the limit of documents)")


async def _drain(receive: Receive) -> None:
    """Read on for a while, keeping nothing: most clients look at the answer only after they have sent everything."""
    drained = 0
    while drained < _DRAINED_BYTES:
        message = await receive()
        drained += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _method(scope: MutableMapping[str, Any]) -> str:
    """Whoever sends names of its own must not make a new series of each."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def _template(scope: MutableMapping[str, Any]) -> str:
    return getattr(scope.get("route"), "path", "unmatched")

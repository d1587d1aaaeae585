"""Server-sent events: what `POST /v1/answers` sends with `stream`."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from anyio import BrokenResourceError, EndOfStream, create_memory_object_stream, create_task_group, move_on_after
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import get_contextvars

from api.errors import problem_of
from api.leaving import cancel_when_left
from api.logs import LOG
from api.problems import unexpected_problem
from api.schemas import AnswerBody, CitationBody
from api.search import show_found
from core.errors import UnderstudyError
from core.types import Answer, Delta, Json, Quoted, Retrieved

PING_SECONDS = 10.0
"""Silence after which a comment is sent: proxies close connections on which nothing moves."""

_HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: Json

    def encode(self) -> bytes:
        return f"event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


Tell: TypeAlias = Callable[[Event], None]
_Told: TypeAlias = Event | Exception


def event_of(part: Retrieved | Delta | Quoted | Answer) -> Event:
    match part:
        case Delta(text=text):
            return Event("text", {"text": text})
        case Quoted(citation=citation):
            return Event("citation", CitationBody.model_validate(citation).model_dump(mode="json"))
        case Retrieved():
            return Event("evidence", show_found(part).model_dump(mode="json"))
        case Answer():
            return Event("answer", AnswerBody.model_validate(part).model_dump(mode="json"))


class EventStream(Response):
    """Does a piece of work and sends what it tells, until it ends or nobody listens; then it is cancelled.

    An error before the first event is an answer with its own status; a later one is an event.
    """

    media_type = "text/event-stream"

    def __init__(self, work: Callable[[Tell], Awaitable[None]], *, ping_seconds: float = PING_SECONDS) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._work = work
        self._ping_seconds = ping_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        early: Exception | None = None
        inbox, outbox = create_memory_object_stream[_Told](float("inf"))
        async with create_task_group() as group:
            group.start_soon(cancel_when_left, receive, group.cancel_scope)
            group.start_soon(self._run, inbox)
            with outbox:
                early = await self._send_all(outbox, send)
            group.cancel_scope.cancel()
        if early is not None:
            raise early

    async def _run(self, inbox: MemoryObjectSendStream[_Told]) -> None:
        def tell(told: _Told) -> None:
            """A client that has just left hears nothing: the work, which keeps what it cost, is cancelled where it waits next."""
            try:
                inbox.send_nowait(told)
            except BrokenResourceError:
                if isinstance(told, Exception):
                    _error_event(told)

        with inbox:
            try:
                await self._work(tell)
            except Exception as error:
                tell(error)

    async def _send_all(self, outbox: MemoryObjectReceiveStream[_Told], send: Send) -> Exception | None:
        started = False
        while True:
            told = await self._next(outbox)
            if isinstance(told, Exception) and not started:
                return told
            if not started:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                started = True
            await send({"type": "http.response.body", "body": _encoded(told), "more_body": told != b""})
            if told == b"":
                return None

    async def _next(self, outbox: MemoryObjectReceiveStream[_Told]) -> _Told | bytes:
        """A comment when it is silent for long, nothing at the end."""
        try:
            with move_on_after(self._ping_seconds):
                return await outbox.receive()
        except EndOfStream:
            return b""
        return b": still at it\n\n"


def _encoded(told: _Told | bytes) -> bytes:
    if isinstance(told, bytes):
        return told
    return (told if isinstance(told, Event) else _error_event(told)).encode()


def _error_event(error: Exception) -> Event:
    """The log hears of an error that nobody expected."""
    if isinstance(error, UnderstudyError):
        return Event("error", problem_of(error))
    LOG.error("unexpected error in a stream", exc_info=error)
    return Event("error", unexpected_problem(get_contextvars().get("request_id", "")))

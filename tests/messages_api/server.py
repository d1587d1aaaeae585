"""The double: a server on loopback, in a thread of its own."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.messages_api.answers import Gold
from tests.messages_api.books import Books, Entry
from tests.messages_api.cache import PrefixCache
from tests.messages_api.diagnosis import Diagnosis
from tests.messages_api.errors import ApiError, error_body, invalid
from tests.messages_api.exchange import Exchange, Mind
from tests.messages_api.faults import FaultPlan, NoFaults
from tests.messages_api.models import ALIASES, CATALOGUE, Model, card
from tests.messages_api.prompt import Json, read_prompt
from tests.messages_api.rules import COUNTED, VERSIONS, check_counted, known_model
from tests.messages_api.wire import Connection, Request

NOT_FOUND = "Not in the documents."


class MessagesApi:
    """`with MessagesApi(gold=...) as double:` and `AsyncAnthropic(base_url=double.url, api_key=...)`.

    `plan`, `seconds` and `models_api` may be set anew while it serves.
    """

    def __init__(
        self,
        *,
        gold: Mapping[str, Gold],
        not_found: str = NOT_FOUND,
        plan: FaultPlan | None = None,
        seconds: float = 0.0,
        pace: float = 0.0,
        preface: str = "",
        closing: str = "",
        thinks: bool = True,
        models_api: bool = True,
        api_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        models: tuple[Model, ...] = CATALOGUE,
        port: int = 0,
    ) -> None:
        """`seconds` before an answer begins, `pace` between two deltas; `preface` and `closing` are uncited blocks around each answer."""
        self.plan: FaultPlan = plan or NoFaults()
        self.seconds = seconds
        self.pace = pace
        self.models_api = models_api
        self.books = Books()
        self.cache = PrefixCache(clock)
        self.diagnosis = Diagnosis()
        self.mind = Mind(gold=gold, not_found=not_found, preface=preface, closing=closing, thinks=thinks)
        self.models = {model.id: model for model in models}
        self.known = {**self.models, **{alias: self.models[name] for alias, name in ALIASES.items() if name in self.models}}
        self.url = ""
        self.received = 0
        self.broken: list[Exception] = []
        self._api_key = api_key
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="messages-api", daemon=True)
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self.broken and error is None:
            raise AssertionError("the stand-in itself is broken") from self.broken[0]

    async def _open(self) -> None:
        self._server = await self._loop.create_server(self._connect, "127.0.0.1", self._port, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        running = [task for task in asyncio.all_tasks(self._loop) if task is not asyncio.current_task()]
        for connection in self._connections:
            connection.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _connect(self) -> Connection:
        connection = Connection(self._serve)
        self._connections.add(connection)
        return connection

    async def _serve(self, request: Request, connection: Connection) -> None:
        request_id = "req_" + secrets.token_hex(12)
        headers = {"request-id": request_id, "anthropic-organization-id": "00000000-0000-4000-8000-000000000000"}
        path = urlsplit(request.target).path
        try:
            if (request.method, path) == ("POST", "/v1/messages"):
                await self._create(request, connection, headers)
            else:
                connection.send_json(200, headers, self._plain(request, path))
        except ApiError as error:
            connection.send_json(error.status, {**headers, **error.headers}, error.body(request_id))
        except Exception as error:
            self.broken.append(error)
            connection.send_json(500, headers, error_body(500, f"the stand-in itself is broken: {error!r}", request_id))

    async def _create(self, request: Request, connection: Connection, headers: dict[str, str]) -> None:
        number, self.received = self.received, self.received + 1
        entry = self.books.open(Entry(request_id=headers["request-id"]))
        try:
            version = self._authenticate(request)
            body = _json(request)
            model = known_model(body.get("model"), self.known)
            entry.model, entry.streamed = model.id, bool(body.get("stream"))
            await Exchange(self, connection, headers, entry).run(body, model, version, request.headers, number)
        except ApiError as error:
            entry.status = error.status
            self.books.close(entry, "error")
            raise
        except asyncio.CancelledError:
            self.books.close(entry, "client_gone")
            raise
        finally:
            self.books.close(entry, "broken")

    def _plain(self, request: Request, path: str) -> Any:
        if (request.method, path) == ("GET", "/stand-in/books"):
            return self.books.as_json()
        version = self._authenticate(request)
        if (request.method, path) == ("POST", "/v1/messages/count_tokens"):
            body = _json(request)
            model = known_model(body.get("model"), self.known)
            check_counted(body, model, version, allowed=COUNTED)
            return {"input_tokens": read_prompt(body, model).tokens}
        if request.method == "GET" and path.rstrip("/") == "/v1/models" and self.models_api:
            return self._page(parse_qs(urlsplit(request.target).query))
        if request.method == "GET" and path.startswith("/v1/models/") and self.models_api:
            return card(self._card_of(path.removeprefix("/v1/models/")))
        raise ApiError(404, f"Not found: {request.method} {path}")

    def _authenticate(self, request: Request) -> str:
        """The version asked for."""
        if request.too_large:
            raise ApiError(413, "Request exceeds the maximum size")
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = bearer or request.headers.get("x-api-key", "")
        if not key or (self._api_key is not None and key != self._api_key):
            raise ApiError(401, "invalid bearer token" if key else "authentication header is required")
        version = request.headers.get("anthropic-version")
        if version is None:
            raise invalid("anthropic-version: header is required")
        if version not in VERSIONS:
            raise invalid(f"anthropic-version: {version!r} is not a valid version")
        return version

    def _card_of(self, name: str) -> Model:
        if name not in self.known:
            raise ApiError(404, f"model: {name}")
        return self.known[name]

    def _page(self, query: Mapping[str, list[str]]) -> Json:
        """The newest first, as many as `limit` says after `after_id`."""
        newest = sorted(self.models.values(), key=lambda model: model.created_at, reverse=True)
        ids = [model.id for model in newest]
        after = query.get("after_id", [""])[0]
        start = ids.index(after) + 1 if after in ids else 0
        chosen = newest[start : start + int(query.get("limit", ["20"])[0])]
        ends = {"first_id": chosen[0].id, "last_id": chosen[-1].id} if chosen else {"first_id": None, "last_id": None}
        return {"data": [card(model) for model in chosen], "has_more": start + len(chosen) < len(ids), **ends}


def _json(request: Request) -> Json:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise invalid("content-type: must be application/json")
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise invalid("The request body is not a JSON object")
    return body

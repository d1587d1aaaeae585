"""One request to `/v1/messages`, from its rules to the last byte of its answer, faults included."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.messages_api.answers import Gold, find_answer, find_gold
from tests.messages_api.books import Entry
from tests.messages_api.cache import CacheUse
from tests.messages_api.errors import ApiError, error_body, invalid
from tests.messages_api.faults import HEADER, Fault, Received, parse_fault
from tests.messages_api.models import Model
from tests.messages_api.prices import Tokens
from tests.messages_api.prompt import Json, Prompt, cites, read_prompt
from tests.messages_api.replies import Reply, events, message, said, spoilt, sse, tokens_of
from tests.messages_api.rules import check_request
from tests.messages_api.schemas import instance
from tests.messages_api.wire import Connection

if TYPE_CHECKING:
    from tests.messages_api.server import MessagesApi

WELL = Fault(kind="slow", seconds=0.0)
PING_SECONDS = 0.2
FAULT_MESSAGES = {
    400: "messages: the stand-in was told to refuse this",
    401: "invalid bearer token",
    402: "Your credit balance is too low to access the API.",
    403: "Your key does not have permission to use the specified resource.",
    404: "Not found",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your rate limit.",
    500: "Internal server error",
    503: "Service unavailable",
    504: "Request timed out",
    529: "Overloaded",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mind:
    """What the double knows, and how it says it."""

    gold: Mapping[str, Gold]
    not_found: str
    preface: str
    closing: str
    thinks: bool

    def answer(self, prompt: Prompt) -> list[Json]:
        known = find_gold(prompt.question, self.gold)
        found = find_answer(*known, prompt.search_results, cite=cites(prompt.body)) if known else None
        wanted = (prompt.body.get("output_config") or {}).get("format")
        text = found.text if found else self.not_found
        if wanted:
            return [_text(json.dumps(instance(wanted["schema"], text, found=found is not None), ensure_ascii=False))]
        preface = [_text(self.preface)] if self.preface and found else []
        closing = [_text(self.closing)] if self.closing and found else []
        return [*preface, _text(text, [found.citation] if found and found.citation else None), *closing]

    def thinks_about(self, body: Json, model: Model) -> bool:
        kind = (body.get("thinking") or {}).get("type")
        return self.thinks and (model.thinks_by_default if kind is None else kind in ("adaptive", "enabled"))


class Exchange:
    def __init__(self, api: "MessagesApi", connection: Connection, headers: dict[str, str], entry: Entry) -> None:
        self._api = api
        self._connection = connection
        self._headers = headers
        self._entry = entry

    async def run(self, body: Json, model: Model, version: str, headers: Mapping[str, str], number: int) -> None:
        fault = self._fault(Received(number=number, model=model.id, streamed=bool(body.get("stream")), headers=headers, body=body))
        self._entry.fault = fault.kind if fault is not WELL else None
        if fault.kind.isdigit():
            raise _http_error(fault)
        if fault.kind in ("reset", "hang"):
            return await self._without_answer(fault)
        check_request(body, model, version)
        prompt = read_prompt(body, model)
        if prompt.tokens > model.context:
            raise invalid(f"prompt is too long: {prompt.tokens} tokens > {model.context} maximum")
        self._entry.question = prompt.question
        await self._answer(prompt, model, fault)

    def _fault(self, request: Received) -> Fault:
        """The header's, if it names one, else the plan's."""
        if HEADER in request.headers:
            return parse_fault(request.headers[HEADER])
        return self._api.plan.fault(request) or WELL

    async def _without_answer(self, fault: Fault) -> None:
        """Assumed: what never began is not paid for."""
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
        self._connection.reset()

    async def _answer(self, prompt: Prompt, model: Model, fault: Fault) -> None:
        use = self._api.cache.look_up(prompt, model)
        limit = prompt.body["max_tokens"]
        thinks = self._api.mind.thinks_about(prompt.body, model)
        reply = spoilt(said(self._api.mind.answer(prompt), model, limit, thinks=thinks), fault, model)
        tokens = tokens_of(reply, prompt.tokens, use)
        whole = self._message(reply, tokens, prompt, model, use)
        # Nothing is paid for a refusal before any output, so says the API. Assumed: everything else is, once it has begun.
        unbegun = (reply.stop_reason == "refusal" and not reply.content) or fault.kind.endswith("_before_start")
        self._entry.billed = not unbegun
        self._entry.tokens = replace(tokens, output=0) if self._entry.streamed else tokens
        await asyncio.sleep(self._api.seconds + (fault.seconds if fault.kind == "slow" else 0.0))
        self._begin(whole, prompt, use)
        if self._entry.streamed:
            await self._stream(whole, tokens, fault, model)
        else:
            await self._send(whole, tokens, fault)

    def _message(self, reply: Reply, tokens: Tokens, prompt: Prompt, model: Model, use: CacheUse) -> Json:
        diagnostics = self._api.diagnosis.diagnose(prompt, use)
        message_id = "msg_" + secrets.token_hex(12)
        return message(reply, tokens, message_id=message_id, model=model, diagnostics=diagnostics)

    def _begin(self, whole: Json, prompt: Prompt, use: CacheUse) -> None:
        self._api.cache.keep(use)
        self._api.diagnosis.remember(whole["id"], prompt, use)
        self._entry.message_id = whole["id"]
        self._entry.status = 200

    async def _send(self, whole: Json, tokens: Tokens, fault: Fault) -> None:
        cut, end, error, stall = (fault.kind.startswith(start) for start in ("cut_", "end_", "error_", "stall_"))
        if error:
            self._entry.billed = False
            raise ApiError(529, FAULT_MESSAGES[529])
        if stall:
            await asyncio.sleep(fault.seconds)
            return self._connection.reset()
        payload = json.dumps([] if fault.kind == "misordered" else whole, ensure_ascii=False).encode()
        kind = {"content-type": "application/json"}
        if cut:
            self._connection.send(200, {**self._headers, **kind}, payload, cut=len(payload) // 2)
        elif end or fault.kind == "malformed":
            self._connection.send(200, {**self._headers, **kind}, payload[: len(payload) // 2])
        else:
            self._finish(whole, tokens, broken=fault.kind == "misordered")
            self._connection.send(200, {**self._headers, **kind}, payload)

    def _finish(self, whole: Json, tokens: Tokens, *, broken: bool = False) -> None:
        """Before the last bytes leave, so that whoever has them finds the books closed."""
        if not broken:
            self._entry.tokens = self._entry.told = tokens
            self._entry.stop_reason = whole["stop_reason"]
        self._api.books.close(self._entry, "broken" if broken else "answered")

    async def _stream(self, whole: Json, tokens: Tokens, fault: Fault, model: Model) -> None:
        self._connection.begin_stream(self._headers)
        sent = 0
        for name, data in events(whole):
            if _strikes(fault, name, data):
                return await self._strike(fault, data)
            if name == "message_start":
                self._entry.told = self._entry.tokens = replace(tokens, output=data["message"]["usage"]["output_tokens"])
            if name == "message_stop":
                self._finish(whole, tokens)
            self._connection.chunk(sse(name, data))
            if name == "content_block_delta":
                sent += _milli_tokens(data["delta"], whole, model)
                self._entry.tokens = replace(tokens, output=min(tokens.output, max(1, -(-sent // 1000))))
                await asyncio.sleep(self._api.pace)
        self._connection.end_stream()

    async def _strike(self, fault: Fault, data: Json) -> None:
        match fault.kind.partition("_")[0]:
            case "cut":
                return self._connection.close()
            case "error":
                self._connection.chunk(sse("error", error_body(529, FAULT_MESSAGES[529], self._headers["request-id"])))
            case "malformed":
                self._connection.chunk(sse("content_block_delta", data).replace(b"}", b""))
            case "misordered":
                self._connection.chunk(sse("content_block_delta", {**data, "index": 7}))
            case "stall":
                await self._ping(fault.seconds)
        self._connection.end_stream()

    async def _ping(self, seconds: float) -> None:
        for _ in range(max(1, int(seconds / PING_SECONDS))):
            self._connection.chunk(sse("ping", {}))
            await asyncio.sleep(min(seconds, PING_SECONDS))


def _milli_tokens(delta: Json, whole: Json, model: Model) -> int:
    if delta["type"] == "signature_delta":
        return int(whole["usage"]["output_tokens_details"]["thinking_tokens"]) * 1000
    return len(delta.get("text", "").encode()) * model.tokens_per_kilobyte


def _strikes(fault: Fault, name: str, data: Json) -> bool:
    """`before_text`: in place of the first text; `after_text`: in place of the end; nonsense: in place of the first text."""
    if fault.kind.endswith("_before_start"):
        return name == "message_start"
    if fault.kind.endswith("_after_text"):
        return name == "message_delta"
    is_text = name == "content_block_delta" and data["delta"]["type"] == "text_delta"
    return (fault.kind.endswith("_before_text") or fault.kind in ("malformed", "misordered")) and is_text


def _http_error(fault: Fault) -> ApiError:
    status = int(fault.kind)
    headers = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
    return ApiError(status, FAULT_MESSAGES[status], headers=headers)


def _text(text: str, citations: list[Json] | None = None) -> Json:
    return {"type": "text", "text": text, "citations": citations}

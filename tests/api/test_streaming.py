"""POST /v1/answers with `stream`: server-sent events, in order, nothing taken back, recorded once."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from anyio import Event as Signal
from sqlalchemy import Row, select
from starlette.types import Message

from api.app import create_app
from api.events import Event, EventStream, Tell
from api.stack import Stack
from core.errors import NothingPublished, TierFailed
from core.schema import answers, attempts
from core.types import Delta, Draft, Evidence, Quoted
from tests.api.conftest import HIT, MakeClient, MakeStack
from tests.doubles import FirstWordTier, WordByWordTier

ASK = {"question": "How many days of leave do I have?", "stream": True}
SENTENCE = HIT.chunk.text


def read_events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def names(events: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in events]


def text_of(events: list[tuple[str, Any]]) -> str:
    return "".join(data["text"] for name, data in events if name == "text")


def recorded(stack: Stack) -> tuple[list[Row[Any]], list[Row[Any]]]:
    with stack.engine.connect() as connection:
        return list(connection.execute(select(answers))), list(connection.execute(select(attempts).order_by(attempts.c.position)))


def test_stream_shows_evidence_text_citation_and_the_whole_answer(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(tiers=(WordByWordTier("claude"),))
    reply = make_client(stack).post("/v1/answers", json=ASK | {"mode": "frontier"})
    events = read_events(reply.text)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (reply.headers["cache-control"], reply.headers["x-accel-buffering"]) == ("no-store, no-transform", "no")
    assert "content-length" not in reply.headers
    assert names(events) == ["evidence", *["text"] * 6, "citation", "answer"]
    assert text_of(events) == SENTENCE
    assert (events[0][1]["index_version"], events[0][1]["hits"][0]["text"]) == (7, SENTENCE)
    assert events[-2][1] == events[-1][1]["citations"][0]
    assert (events[-1][1]["answer"], events[-1][1]["tier"], events[-1][1]["cost_micro_usd"]) == (SENTENCE, "claude", 6)
    kept, tried = recorded(stack)
    assert ([row.id for row in kept], [row.outcome for row in tried]) == ([events[-1][1]["id"]], ["accepted"])


def test_streamed_and_unstreamed_answers_are_the_same(make_client: MakeClient) -> None:
    client = make_client(tiers=(WordByWordTier("claude"),))
    streamed = read_events(client.post("/v1/answers", json=ASK | {"mode": "frontier"}).text)[-1][1]
    whole = client.post("/v1/answers", json=ASK | {"mode": "frontier", "stream": False}).json()
    for body in (streamed, whole):
        for field in ("id", "timings_ms"):
            del body[field]
        del body["route"][0]["latency_ms"]
    assert streamed == whole


def test_readers_accepted_answer_comes_in_one_piece(make_client: MakeClient) -> None:
    events = read_events(make_client().post("/v1/answers", json=ASK | {"mode": "hybrid"}).text)
    assert names(events) == ["evidence", "text", "citation", "answer"]
    assert text_of(events) == "Twenty-seven"


def test_readers_draft_is_never_shown_before_it_is_accepted(make_client: MakeClient) -> None:
    """Not even by a reader that could stream: the frontier's answer is the only one that is seen."""
    reader = WordByWordTier("reader", confidence=0.0)
    events = read_events(make_client(tiers=(reader, FirstWordTier("claude"))).post("/v1/answers", json=ASK | {"mode": "hybrid"}).text)
    assert names(events) == ["evidence", "text", "citation", "answer"]
    assert text_of(events) == events[-1][1]["answer"] == "Twenty-seven"
    assert [tried["outcome"] for tried in events[-1][1]["route"]] == ["below_threshold", "accepted"]


def test_abstention_shows_no_text(make_client: MakeClient) -> None:
    events = read_events(make_client(tiers=(FirstWordTier(confidence=0.1),)).post("/v1/answers", json=ASK | {"mode": "hybrid"}).text)
    assert names(events) == ["evidence", "answer"]
    assert events[-1][1]["abstained"] is True


def test_failure_before_the_first_text_asks_the_next_tier(make_client: MakeClient) -> None:
    tiers = (FirstWordTier("haiku", fails="overloaded"), WordByWordTier("sonnet"))
    events = read_events(make_client(tiers=tiers).post("/v1/answers", json=ASK | {"mode": "frontier"}).text)
    assert (names(events)[-1], text_of(events)) == ("answer", SENTENCE)
    assert [tried["outcome"] for tried in events[-1][1]["route"]] == ["failed", "accepted"]


def test_failure_after_the_first_text_is_an_error_and_no_other_tier_is_asked(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(tiers=(WordByWordTier("haiku", fails="the stream was cut"), FirstWordTier("sonnet")))
    events = read_events(make_client(stack).post("/v1/answers", json=ASK | {"mode": "frontier"}).text)
    assert names(events) == ["evidence", "text", "text", "error"]
    assert (events[-1][1]["status"], events[-1][1]["detail"]) == (503, "the answer was cut short: haiku: the stream was cut")
    kept, tried = recorded(stack)
    assert [(row.abstained, row.cost_micro_usd) for row in kept] == [(True, 2)]
    assert [(row.tier, row.outcome, row.model) for row in tried] == [("haiku", "failed", "word-by-word")]


def test_failure_of_every_tier_is_an_error_event(make_client: MakeClient) -> None:
    events = read_events(make_client(tiers=(FirstWordTier(fails="out of memory"),)).post("/v1/answers", json=ASK).text)
    assert names(events) == ["evidence", "error"]
    assert events[-1][1]["detail"] == "every tier failed: reader: out of memory"


@pytest.mark.parametrize(
    ("changed", "body", "status"),
    [({"version": None}, {}, 409), ({}, {"mode": "frontier"}, 409), ({}, {"question": ""}, 422), ({}, {"stream": "loud"}, 422)],
)
def test_error_before_the_first_event_has_its_own_status(
    make_client: MakeClient, changed: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    reply = make_client(**changed).post("/v1/answers", json=ASK | body)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")


def test_stream_that_takes_too_long_ends_with_an_error_and_its_cost(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(tiers=(WordByWordTier("claude", seconds=0.4),), server={"request_seconds": 1.0})
    events = read_events(make_client(stack).post("/v1/answers", json=ASK | {"mode": "frontier"}).text)
    assert names(events) == ["evidence", "text", "text", "error"]
    assert ("no answer within 1 s" in events[-1][1]["detail"], events[-1][1]["retry_after"]) == (True, 5)
    assert [(row.outcome, row.cost_micro_usd) for row in recorded(stack)[1]] == [("cancelled", 2)]


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["frontier", "hybrid"])
async def test_disconnecting_cancels_the_call_and_keeps_what_it_cost(make_stack: MakeStack, mode: str) -> None:
    stack = make_stack(tiers=(FirstWordTier("reader", confidence=0.0), WordByWordTier("claude", seconds=0.05)))
    seen = await ask_and_leave(stack, mode, after=b"event: text")
    kept, tried = recorded(stack)
    assert b"event: answer" not in seen
    assert len(kept) == 1
    assert (tried[-1].tier, tried[-1].outcome, tried[-1].model) == ("claude", "cancelled", "word-by-word")
    assert 1 <= tried[-1].cost_micro_usd < 6
    assert kept[0].cost_micro_usd == sum(row.cost_micro_usd for row in tried)


@pytest.mark.anyio
async def test_disconnecting_cancels_an_unstreamed_call_too(make_stack: MakeStack) -> None:
    stack = make_stack(tiers=(WordByWordTier("claude", seconds=0.1),))
    assert await ask_and_leave(stack, "frontier", seconds=0.35, stream=False) == b""
    kept, tried = recorded(stack)
    assert (len(kept), [(row.outcome, 1 <= row.cost_micro_usd < 6) for row in tried]) == (1, [("cancelled", True)])


class LateTier(WordByWordTier):
    """Its parts are there already when the client leaves, so that its cancellation comes after them."""

    async def stream(self, question: str, evidence: Evidence, *, deadline: float) -> AsyncIterator[Delta | Quoted | Draft]:
        parts = super().stream(question, evidence, deadline=deadline)
        complete = False
        while not complete:
            with anyio.CancelScope(shield=True):
                part = await anext(parts)
            complete = isinstance(part, Draft)
            yield part


@pytest.mark.anyio
async def test_answer_that_comes_as_the_client_leaves_keeps_what_it_cost(make_stack: MakeStack) -> None:
    stack = make_stack(tiers=(LateTier("claude", seconds=0.05),))
    assert b"event: answer" not in await ask_and_leave(stack, "frontier", after=b"event: text")
    kept, tried = recorded(stack)
    assert (len(kept), [(row.outcome, row.cost_micro_usd) for row in tried]) == (1, [("accepted", 6)])


async def ask_and_leave(stack: Stack, mode: str, *, after: bytes = b"never", seconds: float = 10.0, stream: bool = True) -> bytes:
    """What a client saw that went away when it had seen `after`, or after so many seconds."""
    body = json.dumps(ASK | {"mode": mode, "stream": stream}).encode()
    gone, sent, seen = Signal(), [{"type": "http.request", "body": body}], bytearray()

    async def receive() -> Message:
        if sent:
            return sent.pop()
        with anyio.move_on_after(seconds):
            await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        seen.extend(message.get("body", b""))
        if after in seen:
            gone.set()

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/answers", "raw_path": b"/v1/answers", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 40000), "server": ("localhost", 80), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    with anyio.fail_after(10):
        await create_app(stack)(scope, receive, send)
    return bytes(seen)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def run_stream(work: Callable[[Tell], Awaitable[None]], *, ping_seconds: float = 5.0) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await EventStream(work, ping_seconds=ping_seconds)({"type": "http"}, receive, send)
    return sent


@pytest.mark.anyio
async def test_silence_is_filled_with_comments() -> None:
    async def slow(tell: Tell) -> None:
        await anyio.sleep(0.25)
        tell(Event("text", {"text": "äöü\n\nevent: fake"}))

    sent = [message.get("body", b"") for message in await run_stream(slow, ping_seconds=0.05)]
    assert sent.count(b": still at it\n\n") >= 2
    assert read_events(b"".join(sent).decode()) == [("text", {"text": "äöü\n\nevent: fake"})]


@pytest.mark.anyio
async def test_unexpected_error_in_a_stream_is_an_event_without_its_words() -> None:
    async def broken(tell: Tell) -> None:
        tell(Event("text", {"text": "so far"}))
        raise RuntimeError("secret words")

    text = b"".join(message.get("body", b"") for message in await run_stream(broken)).decode()
    assert names(read_events(text)) == ["text", "error"]
    assert "secret words" not in text


@pytest.mark.anyio
@pytest.mark.parametrize("error", [NothingPublished(), TierFailed("early")])
async def test_early_error_is_raised_and_nothing_is_sent(error: Exception) -> None:
    async def failing(tell: Tell) -> None:
        raise error

    with pytest.raises(type(error)):
        await run_stream(failing)

"""The events of a stream, in the API's order, read without the SDK's help."""

import json
from typing import Any

import httpx2
from anthropic import AsyncAnthropic

from tests.messages_api.calls import OPUS, request, system, turn, with_client
from tests.messages_api.faults import HEADER
from tests.messages_api.rules import VERSION
from tests.messages_api.server import MessagesApi

Event = tuple[str, dict[str, Any]]


def raw(double: MessagesApi, fault: str = "", **changes: Any) -> list[Event]:
    headers = {"authorization": "Bearer k", "anthropic-version": VERSION, **({HEADER: fault} if fault else {})}
    answer = httpx2.post(f"{double.url}/v1/messages", headers=headers, json=request(stream=True, **changes), verify=False)
    assert answer.headers["content-type"].startswith("text/event-stream")
    pairs = (event.split("\n") for event in answer.text.split("\n\n") if event)
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


def names(events: list[Event]) -> list[str]:
    """Repeated deltas as one."""
    return [name for i, (name, _) in enumerate(events) if i == 0 or name != events[i - 1][0]]


def test_events_come_in_order(messages_api: MessagesApi) -> None:
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    events = raw(messages_api, thinking={"type": "disabled"})
    assert names(events) == ["message_start", block[0], "ping", *block[1:], "message_delta", "message_stop"]
    assert all(data["type"] == name for name, data in events)


def test_thought_is_a_block_of_its_own(messages_api: MessagesApi) -> None:
    events = raw(messages_api, model=OPUS)
    starts = [(data["index"], data["content_block"]["type"]) for name, data in events if name == "content_block_start"]
    deltas = [data["delta"]["type"] for name, data in events if name == "content_block_delta"]
    assert starts == [(0, "thinking"), (1, "text")]
    assert deltas == ["signature_delta", "text_delta", "text_delta", "citations_delta"]


def test_usage_begins_at_the_start_and_is_complete_at_the_end(messages_api: MessagesApi) -> None:
    events = raw(messages_api, system=system(600))
    first, last = events[0][1]["message"]["usage"], events[-2][1]["usage"]
    assert first["output_tokens"] == 1 < last["output_tokens"]
    assert first["cache_creation"]["ephemeral_5m_input_tokens"] == last["cache_creation_input_tokens"] > 600
    assert "cache_creation" not in last


def test_refusal_says_why_in_the_message_delta(messages_api: MessagesApi) -> None:
    events = raw(messages_api, "refusal; category=bio")
    assert names(events) == ["message_start", "message_delta", "message_stop"]
    assert events[1][1]["delta"]["stop_details"]["category"] == "bio"


def test_empty_stall_sends_pings(messages_api: MessagesApi) -> None:
    events = raw(messages_api, "stall_before_text; seconds=0.5", thinking={"type": "disabled"})
    assert names(events) == ["message_start", "content_block_start", "ping"]


def test_pace_spreads_the_deltas(messages_api: MessagesApi) -> None:
    messages_api.pace = 0.05

    async def call(client: AsyncAnthropic) -> list[str]:
        async with client.messages.stream(**request(messages=turn())) as stream:
            return [text async for text in stream.text_stream]

    assert len(with_client(messages_api, call)) == 2

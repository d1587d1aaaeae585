"""What version 2026-10-21 does not take, with the exception that the SDK makes of it."""

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.messages_api.calls import HAIKU, OPUS, SENTENCES, SONNET, ask, request, search_result, system, turn, with_client
from tests.messages_api.server import MessagesApi
from tests.messages_api.wire import MAX_BODY

TOOL = {"name": "look", "input_schema": {"type": "object"}}
PLAIN = search_result(cite=False)
MARK = {"type": "ephemeral"}


def formatted(**schema: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False, **schema}}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "temperature": ({"extra_body": {"temperature": 1.0}}, "temperature"),
    "top_p": ({"extra_body": {"top_p": 0.9}}, "top_p"),
    "top_k": ({"extra_body": {"top_k": 5}}, "top_k"),
    "unknown field": ({"extra_body": {"seed": 1}}, "seed: Extra inputs"),
    "forced tool, Haiku": ({"model": HAIKU, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forced tool use"),
    "forced tool, Sonnet": ({"model": SONNET, "tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}}, "forced tool use"),
    "forced tool, Opus": ({"model": OPUS, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forced tool use"),
    "choice without tools": ({"tool_choice": {"type": "auto"}}, "while providing tools"),
    "format with citations": ({"output_config": formatted()}, "together with citations"),
    "citations of some": ({"messages": turn(search_result(), PLAIN)}, "for all"),
    "prefill": ({"messages": [*turn(), {"role": "assistant", "content": "It was"}]}, "prefill"),
    "document of the assistant": (
        {"messages": [*turn(), {"role": "assistant", "content": [{"type": "document", "source": {}}]}, *turn()]},
        "assistant turns",
    ),
    "citations of the user": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "citations": [{"type": "char_location"}]}]}]},
        "must be empty in user turns",
    ),
    "thinking off, Opus": ({"model": OPUS, "thinking": {"type": "disabled"}}, "thinking.type"),
    "thinking off, Sonnet": ({"model": SONNET, "thinking": {"type": "disabled"}}, "thinking.type"),
    "between tools at max": (
        {"model": SONNET, "thinking": {"type": "between_tools"}, "output_config": {"effort": "max"}},
        "at effort 'max'",
    ),
    "thinking budget": ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.type"),
    "unknown effort": ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    "bounds in a schema": (
        {"messages": turn(PLAIN), "output_config": formatted(properties={"n": {"type": "integer", "minimum": 1}})},
        "minimum",
    ),
    "open object": ({"messages": turn(PLAIN), "output_config": formatted(additionalProperties=True)}, "additionalProperties"),
    "recursive schema": (
        {
            "messages": turn(PLAIN),
            "output_config": formatted(**{"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "properties": {"x": {"$ref": "#/$defs/a"}}}),
        },
        "recursive",
    ),
    "five breakpoints": ({"system": system(10) * 5}, "maximum of 4"),
    "five with the automatic one": ({"system": system(10) * 4, "cache_control": MARK}, "maximum of 4"),
    "long life after short": ({"system": [*system(10, "5m"), *system(10, "1h")]}, "must not come after"),
    "unknown life": ({"system": system(10, "2h")}, "cache_control"),
    "warm-up with a format": ({"max_tokens": 0, "messages": turn(PLAIN), "output_config": formatted()}, "max_tokens 0"),
    "warm-up streamed": ({"max_tokens": 0, "stream": True}, "max_tokens 0"),
    "negative max_tokens": ({"max_tokens": -1}, "max_tokens"),
    "no message": ({"messages": []}, "at least one message"),
    "assistant first": ({"messages": [{"role": "assistant", "content": "a"}, *turn()]}, "first message"),
    "empty text": ({"messages": turn(question="")}, "non-empty"),
    "blank sentence": ({"messages": turn(search_result(SENTENCES[0], " "))}, "non-whitespace"),
    "empty search result": ({"messages": turn({**PLAIN, "content": []})}, "at least one text block"),
    "no title": ({"messages": turn({key: value for key, value in PLAIN.items() if key != "title"})}, "title"),
    "breakpoint in a search result": (
        {"messages": turn({**PLAIN, "content": [{"type": "text", "text": "a", "cache_control": MARK}]})},
        "cache_control",
    ),
    "late system turn": ({"messages": [*turn(), {"role": "system", "content": "Be brief."}, *turn()]}, "'system' is not supported"),
    "search result in system": ({"system": [PLAIN]}, "not a block of a system turn"),
    "prompt over the window": ({"system": "x" * 3_200_000}, "prompt is too long"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_request_is_refused_with_400(messages_api: MessagesApi, case: str) -> None:
    changes, words = REFUSED[case]
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(messages_api, **changes)
    assert words in (caught.value.api_message or "")
    assert (caught.value.type, caught.value.request_id) == ("invalid_request_error", messages_api.books.entries[-1].request_id)
    assert not messages_api.books.entries[-1].billed


def test_sampling_is_taken_in_the_old_version(messages_api: MessagesApi) -> None:
    assert ask(messages_api, extra_body={"temperature": 1.0}, extra_headers={"anthropic-version": "2023-06-01"}).content


@pytest.mark.parametrize(
    "changes",
    [
        {"model": HAIKU, "tools": [TOOL], "tool_choice": {"type": "auto"}},
        {"model": "claude-haiku-4-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        {"model": SONNET, "thinking": {"type": "between_tools"}, "output_config": {"effort": "high"}},
        {"system": [*system(10, "1h"), *system(10, "5m")], "messages": turn({**search_result(), "cache_control": MARK})},
        {"stop_sequences": ["END"], "metadata": {"user_id": "u1"}, "service_tier": "auto"},
    ],
    ids=["auto tools", "forced tools on an older model", "between tools", "breakpoints", "the rest"],
)
def test_request_within_the_rules_is_answered(messages_api: MessagesApi, changes: dict[str, Any]) -> None:
    assert ask(messages_api, **changes).stop_reason == "end_turn"


@pytest.mark.parametrize("model", ["claude-nova-9", "claude-3-haiku-20240307"])
def test_unknown_model_is_not_found(messages_api: MessagesApi, model: str) -> None:
    with pytest.raises(anthropic.NotFoundError, match=model):
        ask(messages_api, model=model)


def test_wrong_version_is_refused(messages_api: MessagesApi) -> None:
    for version in ("2026-01-01", anthropic.omit):
        with pytest.raises(anthropic.BadRequestError, match="anthropic-version"):
            ask(messages_api, extra_headers={"anthropic-version": version})


def test_wrong_key_is_refused() -> None:
    with MessagesApi(gold={}, api_key="sk-right") as double, pytest.raises(anthropic.AuthenticationError):
        ask(double)


def test_request_over_32_megabytes_is_too_large(messages_api: MessagesApi) -> None:
    with pytest.raises((anthropic.ContentTooLargeError, anthropic.APIConnectionError)):
        ask(messages_api, system="x" * MAX_BODY)
    assert messages_api.books.settled()[-1].status == 413


def test_counting_holds_the_same_rules(messages_api: MessagesApi) -> None:
    async def call(client: AsyncAnthropic) -> None:
        asked = request(messages=turn(search_result(), PLAIN))
        asked.pop("max_tokens")
        await client.messages.count_tokens(**asked)

    with pytest.raises(anthropic.BadRequestError, match="citations"):
        with_client(messages_api, call)

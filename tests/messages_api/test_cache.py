"""The prompt cache: what is written, read, forgotten, and what it costs in tokens."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic.types import Usage

from tests.messages_api.answers import gold_of
from tests.messages_api.cache import ManualClock
from tests.messages_api.calls import HAIKU, OPUS, QUESTION, SONNET, ask, search_result, system, turn
from tests.messages_api.server import MessagesApi


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def double(clock: ManualClock) -> Iterator[MessagesApi]:
    with MessagesApi(gold=gold_of({QUESTION: ("September 2016", None)}), clock=clock) as double:
        yield double


def used(double: MessagesApi, **changes: Any) -> tuple[int, int, int]:
    """Written for 5 minutes, for 1 hour, read."""
    return classes(ask(double, **changes).usage)


def classes(usage: Usage) -> tuple[int, int, int]:
    assert usage.cache_creation is not None
    written = (usage.cache_creation.ephemeral_5m_input_tokens, usage.cache_creation.ephemeral_1h_input_tokens)
    assert sum(written) == usage.cache_creation_input_tokens
    return (*written, usage.cache_read_input_tokens or 0)


def test_prefix_is_written_once_and_read_by_other_questions(double: MessagesApi) -> None:
    first = ask(double, system=system(2000)).usage
    second = ask(double, system=system(2000), messages=turn(search_result("Other text."), question="Who?")).usage
    (written, _, _), read = classes(first), classes(second)
    assert written > 2000 and read == (0, 0, written)
    assert first.input_tokens < 200 and second.input_tokens < 200


def test_total_does_not_depend_on_the_cache(double: MessagesApi) -> None:
    def total(usage: Usage) -> int:
        return usage.input_tokens + sum(classes(usage))

    assert len({total(ask(double, system=system(2000)).usage), total(ask(double, system=system(2000, None)).usage)}) == 1
    assert total(ask(double, system=system(2000)).usage) == total(ask(double, system=system(2000, None)).usage)


@pytest.mark.parametrize(("model", "minimum"), [(HAIKU, 512), (SONNET, 1024), (OPUS, 1024)])
def test_prefix_below_the_minimum_is_not_cached(double: MessagesApi, model: str, minimum: int) -> None:
    for _ in range(2):
        assert used(double, model=model, system=system(minimum - 100)) == (0, 0, 0)
    assert used(double, model=model, system=system(minimum + 1))[0] > minimum


def test_five_minutes_begin_anew_with_every_read(double: MessagesApi, clock: ManualClock) -> None:
    written = used(double, system=system(600))[0]
    for _ in range(3):
        clock.advance(299)
        assert used(double, system=system(600)) == (0, 0, written)
    clock.advance(301)
    assert used(double, system=system(600)) == (written, 0, 0)


def test_an_hour_lasts_an_hour(double: MessagesApi, clock: ManualClock) -> None:
    written = used(double, system=system(600, "1h"))[1]
    clock.advance(3599)
    assert used(double, system=system(600, "1h")) == (0, 0, written)
    clock.advance(3601)
    assert used(double, system=system(600, "1h")) == (0, written, 0)


def test_both_lives_in_one_request_are_told_apart(double: MessagesApi) -> None:
    both = [*system(600, "1h"), *system(700, "5m", "y")]
    short, long, read = used(double, system=both)
    assert read == 0 and long > 600 and 700 <= short < 800
    assert used(double, system=both) == (0, 0, short + long)
    assert used(double, system=[*both[:1], *system(700, "5m", "z")]) == (short, 0, long)


@pytest.mark.parametrize(
    "changes",
    [
        {"system": system(600, text="y")},
        {"model": SONNET, "system": system(2000)},
        {"messages": turn(search_result(cite=False))},
        {"messages": turn(search_result(cite=False)), "output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}}},
        {"tools": [{"name": "look", "input_schema": {"type": "object"}}]},
    ],
    ids=["system", "model", "citations", "format", "tools"],
)
def test_change_before_the_breakpoint_misses(double: MessagesApi, changes: dict[str, Any]) -> None:
    used(double, system=system(600))
    short, _, read = used(double, **{"system": system(600), **changes})
    assert read == 0 and short > 0


def test_thinking_changes_the_cache_of_the_messages_alone(double: MessagesApi) -> None:
    marked = {**search_result("Long. " * 400), "cache_control": {"type": "ephemeral"}}
    asked = {"system": system(600), "messages": turn(marked)}
    first = used(double, **asked)[0]
    assert used(double, **asked) == (0, 0, first)
    again, _, read = used(double, **asked, thinking={"type": "disabled"})
    assert 600 < read < first and again == first - read


@pytest.mark.parametrize(("between", "found"), [(19, True), (20, False)])
def test_look_back_is_twenty_blocks(double: MessagesApi, between: int, found: bool) -> None:
    written = used(double, system=system(600))[0]
    more = [{"type": "text", "text": f"Block {i}."} for i in range(between)]
    more[-1]["cache_control"] = {"type": "ephemeral"}  # type: ignore[assignment]
    read = used(double, system=[*system(600, None), *more])[2]
    assert read == (written if found else 0)


def test_automatic_breakpoint_stands_on_the_last_block(double: MessagesApi) -> None:
    asked = {"system": system(600, None), "cache_control": {"type": "ephemeral"}}
    usage = ask(double, **asked).usage
    assert usage.input_tokens == 0
    assert used(double, **asked)[2] == usage.cache_creation_input_tokens
    assert used(double, **asked, messages=turn(search_result(), question="Who?"))[2] == 0


def test_warm_up_writes_without_an_answer(double: MessagesApi) -> None:
    warm = ask(double, max_tokens=0, system=system(600))
    assert (warm.content, warm.usage.output_tokens) == ([], 0)
    assert used(double, system=system(600)) == (0, 0, classes(warm.usage)[0])


def test_failed_request_writes_nothing(double: MessagesApi) -> None:
    with pytest.raises(Exception, match="529"):
        ask(double, system=system(600), extra_headers={"x-stand-in-fault": "529"})
    assert used(double, system=system(600))[2] == 0


def test_miss_is_diagnosed(double: MessagesApi) -> None:
    first = ask(double, system=system(600), diagnostics={"previous_message_id": None})
    other = ask(double, system=system(600, text="y"), diagnostics={"previous_message_id": first.id})
    hit = ask(double, system=system(600), diagnostics={"previous_message_id": first.id})
    lost = ask(double, system=system(600), diagnostics={"previous_message_id": "msg_unknown"})
    assert first.diagnostics is None and hit.diagnostics is None
    assert other.diagnostics and other.diagnostics.cache_miss_reason and other.diagnostics.cache_miss_reason.type == "system_changed"
    assert lost.diagnostics and lost.diagnostics.cache_miss_reason
    assert lost.diagnostics.cache_miss_reason.type == "previous_message_not_found"

"""The double's books: one entry a request, its tokens in truth and as told, and its price."""

import time
from fractions import Fraction
from typing import Any

import anyio
import pytest
from anthropic import AsyncAnthropic

from tests.messages_api.calls import HAIKU, OPUS, SONNET, ask, request, streamed, system, with_client
from tests.messages_api.faults import Always, Fault, Kind
from tests.messages_api.prices import Tokens, micro_usd
from tests.messages_api.server import MessagesApi


def test_entry_is_what_the_caller_was_told(messages_api: MessagesApi) -> None:
    usage = ask(messages_api, system=system(600, "1h")).usage
    [entry] = messages_api.books.entries
    assert usage.cache_creation is not None
    assert entry.tokens == Tokens(
        input=usage.input_tokens, cache_write_1h=usage.cache_creation.ephemeral_1h_input_tokens, output=usage.output_tokens
    )
    assert (entry.told, entry.outcome, entry.model, messages_api.books.untold()) == (entry.tokens, "answered", HAIKU, [])


@pytest.mark.parametrize(
    ("model", "tokens", "price"),
    [
        (HAIKU, Tokens(input=1000, output=100), Fraction(150)),
        (HAIKU, Tokens(input=1, cache_read=99_999), Fraction("1000.09")),
        (HAIKU, Tokens(input=1, cache_read=100_000), Fraction("5000.5")),
        (SONNET, Tokens(cache_write_5m=10, cache_write_1h=10, cache_read=10, output=10), Fraction(25 + 40 + 1 + 100)),
        (OPUS, Tokens(input=10, cache_read=10), Fraction(42)),
    ],
    ids=["Haiku", "Haiku at the edge", "Haiku long", "Sonnet", "Opus"],
)
def test_price_follows_the_list(model: str, tokens: Tokens, price: Fraction) -> None:
    assert micro_usd(model, tokens) == price


@pytest.mark.parametrize("kind", ["cut_before_text", "cut_after_text", "end_after_text", "error_after_text"])
def test_broken_stream_is_paid_as_far_as_it_came(messages_api: MessagesApi, kind: Kind) -> None:
    whole = streamed(messages_api, thinking={"type": "disabled"}).usage
    messages_api.plan = Always(Fault(kind=kind))
    with pytest.raises(Exception):  # noqa: B017
        assert streamed(messages_api, thinking={"type": "disabled"}).stop_reason
    entry = messages_api.books.settled()[1]
    assert entry.billed and entry.told and entry.told.output == 1
    assert entry.tokens.input == entry.told.input == whole.input_tokens
    assert entry.tokens.output == (whole.output_tokens if "after" in kind else 1)


def test_caller_that_hangs_up_in_a_stream_is_noticed(messages_api: MessagesApi) -> None:
    messages_api.pace = 5.0

    async def call(client: AsyncAnthropic) -> None:
        async with client.messages.stream(**request(thinking={"type": "disabled"})) as stream:
            async for _ in stream.text_stream:
                break

    begun = time.perf_counter()
    with_client(messages_api, call)
    [entry] = messages_api.books.settled()
    assert time.perf_counter() - begun < 4.0
    assert (entry.outcome, entry.billed, entry.tokens.output > 1) == ("client_gone", True, True)
    assert entry.told and entry.told.output == 1
    assert messages_api.books.untold() == [entry]


def test_caller_that_hangs_up_without_streaming_is_told_nothing(messages_api: MessagesApi) -> None:
    messages_api.seconds = 30.0

    async def call(client: AsyncAnthropic) -> None:
        with anyio.move_on_after(0.3):
            await client.messages.create(**request())

    with_client(messages_api, call)
    [entry] = messages_api.books.settled()
    assert (entry.outcome, entry.billed, entry.told) == ("client_gone", True, None)
    assert messages_api.books.told_micro_usd() == 0 < messages_api.books.micro_usd()


def test_books_sum_what_callers_at_once_were_told(messages_api: MessagesApi) -> None:
    async def call(client: AsyncAnthropic) -> list[Any]:
        usages: list[Any] = []

        async def one() -> None:
            usages.append((await client.messages.create(**request(system=system(600)))).usage)

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(one)
        return usages

    usages = with_client(messages_api, call)
    total = messages_api.books.total_told()
    assert total.output == sum(usage.output_tokens for usage in usages)
    assert total.cache_read == sum(usage.cache_read_input_tokens for usage in usages)
    assert total.prompt == messages_api.books.total().prompt
    assert len({entry.message_id for entry in messages_api.books.entries}) == 40


def test_prefix_cannot_be_read_before_an_answer_began(messages_api: MessagesApi) -> None:
    messages_api.seconds = 0.5

    async def call(client: AsyncAnthropic) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(lambda: client.messages.create(**request(system=system(600))))

    with_client(messages_api, call)
    assert [entry.tokens.cache_read for entry in messages_api.books.entries] == [0, 0]

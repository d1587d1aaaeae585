"""The prompt, sent by the real SDK to the double: written to the cache once, cited to the character, priced alike."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import CitationsSearchResultLocation, Message

from core.types import Chunk, Evidence, Hit, Usage
from generation.policy import NOT_IN_DOCUMENTS, says_not_in_documents
from generation.prices import read_prices
from generation.prompt import Prompt, build_prefix, build_prompt, prewarm_messages
from tests.messages_api.answers import Gold, read_gold
from tests.messages_api.calls import HAIKU, with_client
from tests.messages_api.server import MessagesApi

EXAMPLES = Path(__file__).parents[2] / "examples"
GOLD = dict(list(read_gold(EXAMPLES / "questions.jsonl").items())[:40])
PREFIX = build_prefix()
ELSEWHERE = "corpus/company/about-fennwheel.md"
"""What is read for a question that no document answers."""
Sent: TypeAlias = Mapping[str, tuple[Prompt, Message]]


@pytest.fixture(scope="module")
def double() -> Iterator[MessagesApi]:
    with MessagesApi(gold=GOLD, not_found=NOT_IN_DOCUMENTS) as double:
        yield double


@pytest.fixture(scope="module")
def sent(double: MessagesApi) -> Sent:
    """Every question once, one after the other, over the paragraphs of its document."""

    async def call(client: AsyncAnthropic) -> Sent:
        return {question: pair async for question, pair in _asked(client)}

    return with_client(double, call)


async def _asked(client: AsyncAnthropic) -> AsyncIterator[tuple[str, tuple[Prompt, Message]]]:
    for question, gold in GOLD.items():
        prompt = build_prompt(PREFIX, question, evidence_of(gold), ttl="5m")
        yield question, (prompt, await send(client, prompt.system(), prompt.messages()))


async def send(client: AsyncAnthropic, system: Any, messages: Any, *, max_tokens: int = 500) -> Message:
    message: Message = await client.messages.create(model=HAIKU, max_tokens=max_tokens, system=system, messages=messages)
    return message


def text_of(gold: Gold) -> str:
    return (EXAMPLES / (gold.document or ELSEWHERE)).read_text(encoding="utf-8")


def evidence_of(gold: Gold) -> Evidence:
    paragraphs = list(re.finditer(r"(?:.+\n?)+", text_of(gold)))
    return tuple(_hit(gold.document or ELSEWHERE, found.group(), found.start()) for found in paragraphs)


def _hit(source: str, text: str, start: int) -> Hit:
    chunk = Chunk(chunk_id=str(start), document_id=source, ordinal=0, heading="", text=text, start=start, end=start + len(text))
    return Hit(chunk=chunk, source=source, title=source, score=1.0, dense_score=None, sparse_score=None)


def usage_of(message: Message) -> Usage:
    used, written = message.usage, message.usage.cache_creation
    return Usage(
        input_tokens=used.input_tokens,
        cache_write_5m_tokens=written.ephemeral_5m_input_tokens if written else 0,
        cache_write_1h_tokens=written.ephemeral_1h_input_tokens if written else 0,
        cache_read_tokens=used.cache_read_input_tokens or 0,
        output_tokens=used.output_tokens,
    )


def cited(message: Message) -> list[CitationsSearchResultLocation]:
    found = [each for block in message.content if block.type == "text" for each in block.citations or []]
    return [each for each in found if isinstance(each, CitationsSearchResultLocation)]


def test_every_citation_is_a_place_in_our_own_document(sent: Sent) -> None:
    found = 0
    for question, (prompt, message) in sent.items():
        for each in cited(message):
            place = prompt.cited(each.search_result_index, each.start_block_index, each.end_block_index, each.cited_text)
            assert place is not None, question
            assert text_of(GOLD[question])[place.start : place.end] == place.quote
            found += 1
    assert found > 25


def test_answer_that_is_not_there_is_told_by_the_phrase(sent: Sent) -> None:
    for _, message in sent.values():
        text = "".join(block.text for block in message.content if block.type == "text")
        assert says_not_in_documents(text) is (not cited(message))


def test_prefix_is_written_by_the_first_question_and_read_by_all_others(sent: Sent) -> None:
    first, *others = (usage_of(message) for _, message in sent.values())
    assert first.cache_write_5m_tokens >= 512
    assert {(each.cache_write_5m_tokens, each.cache_read_tokens) for each in others} == {(0, first.cache_write_5m_tokens)}


def test_price_of_every_call_is_the_doubles_own_to_the_rounding(sent: Sent, double: MessagesApi) -> None:
    own = {entry.message_id: entry.micro_usd for entry in double.books.entries}
    for _, message in sent.values():
        ours = read_prices().spending(HAIKU, usage_of(message)).cost_micro_usd
        assert ours == int(own[message.id] + Fraction(1, 2))


def test_prewarmed_prefix_is_read_by_the_first_question() -> None:
    question, gold = next(iter(GOLD.items()))
    prompt = build_prompt(PREFIX, question, evidence_of(gold), ttl="1h")

    async def call(client: AsyncAnthropic) -> tuple[Message, Message]:
        warmed = await send(client, PREFIX.system("1h"), prewarm_messages(), max_tokens=0)
        return warmed, await send(client, prompt.system(), prompt.messages())

    with MessagesApi(gold=GOLD, not_found=NOT_IN_DOCUMENTS) as fresh:
        warmed, first = map(usage_of, with_client(fresh, call))
    assert (warmed.cache_write_1h_tokens >= 512, warmed.output_tokens) == (True, 0)
    assert (first.cache_read_tokens, first.cache_write_1h_tokens) == (warmed.cache_write_1h_tokens, 0)

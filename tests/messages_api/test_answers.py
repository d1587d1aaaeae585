"""The real SDK gets cited answers from the double, as the API gives them."""

from typing import Any

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import CitationsSearchResultLocation, Message, TextBlock
from pydantic import BaseModel

from tests.messages_api.answers import gold_of
from tests.messages_api.calls import HAIKU, OPUS, QUESTION, SENTENCES, ask, request, search_result, streamed, turn, with_client
from tests.messages_api.server import NOT_FOUND, MessagesApi

OTHER = search_result("Stations open at six.", source="corpus/operations/site-survey.docx")


class Verdict(BaseModel):
    grounded: bool
    quote: str


def text_of(message: Message) -> TextBlock:
    [block] = [block for block in message.content if block.type == "text"]
    return block


def citation_of(message: Message) -> CitationsSearchResultLocation:
    [citation] = text_of(message).citations or []
    assert isinstance(citation, CitationsSearchResultLocation)
    return citation


def test_answer_cites_the_sentence_that_holds_it(messages_api: MessagesApi) -> None:
    message = ask(messages_api, messages=turn(OTHER, search_result()))
    citation = citation_of(message)
    assert (text_of(message).text, message.stop_reason) == ("September 2016", "end_turn")
    assert (citation.search_result_index, citation.start_block_index, citation.end_block_index) == (1, 1, 2)
    assert (citation.cited_text, citation.source) == (SENTENCES[1], "corpus/company/about-fennwheel.md")


def test_answer_is_the_same_streamed(messages_api: MessagesApi) -> None:
    whole, pieces = ask(messages_api), streamed(messages_api)
    assert pieces.model_dump(exclude={"id", "content"}) == whole.model_dump(exclude={"id", "content"})
    assert text_of(pieces).text == text_of(whole).text
    assert citation_of(pieces) == citation_of(whole)


def test_answer_over_two_sentences_cites_both(messages_api: MessagesApi) -> None:
    message = ask(messages_api, messages=turn(search_result("It began in September ", "2016 in a shed.")))
    citation = citation_of(message)
    assert (citation.start_block_index, citation.end_block_index) == (0, 2)
    assert citation.cited_text == "It began in September 2016 in a shed."


@pytest.mark.parametrize(
    "messages",
    [
        turn(OTHER),
        turn(search_result(source="corpus/company/another.md")),
        turn(),
        turn(search_result(), question="Who is the king of Utrecht?"),
        turn(search_result("It was founded in September 20161.")),
    ],
    ids=["other passage", "other document", "no passage", "unknown question", "part of a word"],
)
def test_answer_that_is_not_there_is_not_given(messages_api: MessagesApi, messages: list[dict[str, Any]]) -> None:
    message = ask(messages_api, messages=messages)
    assert text_of(message).text == NOT_FOUND
    assert not text_of(message).citations


def test_answer_without_citations_switched_on_cites_nothing(messages_api: MessagesApi) -> None:
    message = ask(messages_api, messages=turn(search_result(cite=False)))
    assert text_of(message).text == "September 2016"
    assert not text_of(message).citations


def test_answer_comes_after_a_thought_where_the_model_thinks(messages_api: MessagesApi) -> None:
    thinking = ask(messages_api, model=OPUS)
    silent = ask(messages_api, model=HAIKU, thinking={"type": "disabled"})
    assert [block.type for block in thinking.content] == ["thinking", "text"]
    assert [block.type for block in silent.content] == ["text"]
    assert thinking.usage.output_tokens_details and thinking.usage.output_tokens_details.thinking_tokens > 0
    assert thinking.usage.output_tokens > silent.usage.output_tokens


def test_answer_in_a_tool_result_is_found(messages_api: MessagesApi) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [search_result()]}
    messages = [{"role": "user", "content": "Look."}, {"role": "assistant", "content": [use]}, *turn(result)]
    assert citation_of(ask(messages_api, messages=messages)).search_result_index == 0


def test_answer_longer_than_max_tokens_is_cut(messages_api: MessagesApi) -> None:
    message = ask(messages_api, max_tokens=2, thinking={"type": "disabled"})
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 2)
    assert "September 2016".startswith(text_of(message).text)
    assert not text_of(message).citations


def test_structured_output_fits_its_schema(messages_api: MessagesApi) -> None:
    async def call(client: AsyncAnthropic) -> Verdict | None:
        parsed = await client.messages.parse(**request(messages=turn(search_result(cite=False))), output_format=Verdict)
        return parsed.parsed_output

    assert with_client(messages_api, call) == Verdict(grounded=True, quote="September 2016")


def test_count_of_tokens_is_the_usage(messages_api: MessagesApi) -> None:
    async def call(client: AsyncAnthropic) -> int:
        asked = request(system="Answer from the documents.")
        asked.pop("max_tokens")
        return (await client.messages.count_tokens(**asked)).input_tokens

    counted = with_client(messages_api, call)
    assert counted == ask(messages_api, system="Answer from the documents.").usage.input_tokens > 60


def test_preface_stands_before_the_cited_block() -> None:
    with MessagesApi(gold=gold_of({QUESTION: ("September 2016", None)}), preface="According to the handbook: ", thinks=False) as double:
        message = ask(double)
    first, second = message.content
    assert isinstance(first, TextBlock) and isinstance(second, TextBlock)
    assert (first.text + second.text, first.citations) == ("According to the handbook: September 2016", None)

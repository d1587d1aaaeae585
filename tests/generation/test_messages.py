"""Events that the stand-in does not send, but the API's types allow."""

import pytest

from generation.prompt import build_prefix, build_prompt
from generation.reply import Reply
from generation.tiers.messages import read_event
from tests.generation.claude import HIT, QUESTION, Event


@pytest.fixture
def reply() -> Reply:
    return Reply(prompt=build_prompt(build_prefix(), QUESTION, (HIT,), ttl="5m"), model="claude-haiku-5-5", sent=True)


def test_text_that_comes_with_the_start_of_its_block_is_no_less_said(reply: Reply) -> None:
    read_event(Event("content_block_start", index=0, content_block=Event("text", text="twenty-")), reply)
    read_event(Event("content_block_delta", index=0, delta=Event("text_delta", text="seven")), reply)
    assert reply.said == "twenty-seven"


def test_start_of_a_thought_says_nothing(reply: Reply) -> None:
    read_event(Event("content_block_start", index=0, content_block=Event("thinking", thinking="hm")), reply)
    assert reply.said == ""


def test_citation_of_another_kind_proves_nothing_and_is_counted(reply: Reply) -> None:
    read_event(Event("content_block_start", index=0, content_block=Event("text", text="seven")), reply)
    read_event(Event("content_block_delta", index=0, delta=Event("citations_delta", citation=Event("char_location"))), reply)
    assert (reply.dropped, list(reply.rest())) == (1, [])

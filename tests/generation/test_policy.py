"""The policy says what it must, and its phrase is recognised whole and in pieces."""

import pytest

from generation.policy import NOT_IN_DOCUMENTS, POLICY, may_become_not_in_documents, says_not_in_documents


def test_policy_says_that_documents_are_data_and_names_the_phrase() -> None:
    assert "data" in POLICY
    assert "Never follow" in POLICY
    assert POLICY.count(NOT_IN_DOCUMENTS) == 1


@pytest.mark.parametrize("answer", [NOT_IN_DOCUMENTS, "not in the documents", "**Not in the documents.**", f" {NOT_IN_DOCUMENTS} Sorry.\n"])
def test_phrase_is_recognised(answer: str) -> None:
    assert says_not_in_documents(answer)


@pytest.mark.parametrize("answer", ["", "12 days", "Not in the document store but on paper.", "The price is not in the documents."])
def test_other_answers_are_answers(answer: str) -> None:
    assert not says_not_in_documents(answer)


def test_streamed_answer_is_held_while_it_may_become_the_phrase() -> None:
    pieces = [NOT_IN_DOCUMENTS[:end] for end in range(len(NOT_IN_DOCUMENTS) + 1)]
    assert all(map(may_become_not_in_documents, pieces))
    assert not any(map(may_become_not_in_documents, ["12", "Nothing", "Not in th3", "The"]))

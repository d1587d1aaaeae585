"""What may be asked."""

import pytest

from api.question import checked_question, checked_text
from core.errors import InvalidInput


@pytest.mark.parametrize(
    "question",
    ["Wie viele Urlaubstage habe ich?", "休暇は何日ありますか", "كم يوم إجازة لدي؟", "מה המדיניות?", "😀?", "क्षत्रिय", "a\u200db"],
)
def test_question_in_any_script_is_kept(question: str) -> None:
    assert checked_question(question, limit=100) == question


def test_question_over_several_lines_becomes_one() -> None:
    assert checked_question("\ufeff How many\r\n days\tof leave? \n", limit=100) == "How many   days of leave?"


@pytest.mark.parametrize("question", ["", " ", "\n\t", "\ufeff"])
def test_question_without_words_is_refused(question: str) -> None:
    with pytest.raises(InvalidInput, match="the question is empty"):
        checked_question(question, limit=100)


def test_question_over_the_limit_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidInput, match=r"100000 characters: shorten it to 2000"):
        checked_question("a" * 100_000, limit=2000)
    assert checked_question("a" * 2000, limit=2000)


@pytest.mark.parametrize(("character", "name"), [("\0", "U\\+0000"), ("\x1b", "U\\+001B"), ("\x7f", "U\\+007F"), ("\udc80", "U\\+DC80")])
def test_control_character_is_refused_by_name_and_place(character: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} at position 2"):
        checked_question(f"ab{character}c", limit=100)


def test_text_may_have_lines_and_tabs() -> None:
    assert checked_text("a\tb\r\nc", "title") == "a\tb\r\nc"


def test_length_is_looked_at_before_the_characters() -> None:
    with pytest.raises(InvalidInput, match="100000 characters"):
        checked_question("\0" * 100_000, limit=2000)


def test_spaces_around_a_question_do_not_count() -> None:
    assert checked_question("  why?  ", limit=4) == "why?"

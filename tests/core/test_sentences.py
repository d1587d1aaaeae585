import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sentences import sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["The pin did not lock.", "Restart the dock."],
        ["Dr. Smith paid 3.50 euros to Mr. J. R. Tolkien.", "He left."],
        ["Bring tools, e.g. Torx keys, i.e. the small ones.", "Then go."],
        ["The U.S. Army moved.", "It won."],
        ["See Fig. 3 and No. 7 in Sec. 2.", "It was on Jan. 5 at 9 p.m. when it rained."],
        ["Is it open?", "Yes!", "“Quite so.”", "Good."],
        ["Visit example.com.", "It is open."],
        ["Version 7.12b is out... and it works.", "Fine."],
        ["Das kostet 1.000 Euro.", "Gut."],
        ["彼は来た。", "彼女は去った！"],
        ["Use Acme Inc. products, etc. when needed.", "The end"],
    ],
)
def test_sentences_of_ordinary_prose(parts: list[str]) -> None:
    joiner = "" if parts[0].endswith("。") else " "
    assert split(joiner.join(parts)) == parts


def test_sentences_break_at_line_ends() -> None:
    assert split("- first item\n- second item\n\n1. Numbered. It goes on.") == [
        "- first item",
        "- second item",
        "1. Numbered.",
        "It goes on.",
    ]


def test_sentences_of_nothing() -> None:
    assert sentences("") == []
    assert sentences(" \n\t ") == []


@given(st.text(alphabet=st.sampled_from("aB1.!? \n\t\"'()。é-"), max_size=200))
def test_sentences_cover_all_text_in_order(text: str) -> None:
    spans = sentences(text)
    covered = [False] * len(text)
    for start, end in spans:
        assert start < end and text[start:end] == text[start:end].strip()
        covered[start:end] = [True] * (end - start)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
    assert all(flag or character.isspace() for flag, character in zip(covered, text, strict=True))

"""Held-out questions over retrieval, and asked once more without what answers them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.types import Scope
from tests.doubles import WordEmbedder
from tuning.corpus import Corpus, Limits
from tuning.dataset import Passage, Question
from tuning.held_out import Asked, find

TOP_K = 3


def passage(number: int, text: str) -> Passage:
    return Passage(passage_id=f"p{number}", document=f"d{number}", title="", text=text, origin="own")


def question(number: int, of: Passage, answer: str) -> Question:
    start = of.text.index(answer)
    return Question(question_id=f"q{number}", text=f"Which colour has boat {number}?", passage=of, spans=((start, start + len(answer)),))


PASSAGES = [
    *(passage(n, f"Boat {n} was painted crimson{n} in the spring of its first year at sea.") for n in range(30)),
    passage(99, "An old list says that boat 7 was painted crimson7 as well."),
]
QUESTIONS = [question(n, PASSAGES[n], f"crimson{n}") for n in range(30)]


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[Corpus]:
    made = Corpus(PASSAGES, WordEmbedder(), tmp_path / "index", Scope(tenant="t"), Limits())
    yield made
    made.close()


def test_search_without_leaves_out_every_chunk_that_holds_the_answer(corpus: Corpus) -> None:
    asked = QUESTIONS[7]
    assert any("crimson7 " in hit.chunk.text for hit in corpus.search(asked.text, TOP_K))
    found = corpus.search_without(asked, TOP_K)
    assert len(found) == TOP_K
    assert not any("crimson7 " in hit.chunk.text for hit in found)


def test_find_asks_every_question_and_some_once_more_without_their_answer(corpus: Corpus) -> None:
    found = list(find(QUESTIONS, corpus, TOP_K))
    withheld = [f.question for f in found if f.withheld]
    assert [f.question for f in found if not f.withheld] == QUESTIONS
    assert 0 < len(withheld) < len(QUESTIONS)
    assert withheld == [f.question for f in find(QUESTIONS, corpus, TOP_K) if f.withheld]


def test_find_withholds_nothing_from_a_question_without_an_answer(corpus: Corpus) -> None:
    none = [Question(question_id=f"n{n}", text="Who sold it?", passage=PASSAGES[0], spans=()) for n in range(30)]
    assert not any(f.withheld for f in find(none, corpus, TOP_K))


def test_a_withheld_question_is_never_right_whatever_is_answered(corpus: Corpus) -> None:
    values = WordEmbedder().embed_query("x").astype("float64")
    asked = Asked(question=QUESTIONS[3], withheld=False, answer="crimson3", features=values)
    assert asked.right
    assert not Asked(question=QUESTIONS[3], withheld=True, answer="crimson3", features=values).right

"""Hard negatives: what our own retriever finds for a question and what does not answer it."""

import re
from collections.abc import Callable, Sequence

from tuning.corpus import Corpus
from tuning.dataset import Passage, Question

_WORD = re.compile(r"\w+")
SEARCHED = 20
KEPT = 6


def mine_negatives(questions: Sequence[Question], corpus: Corpus, on_done: Callable[[int], None]) -> dict[str, tuple[Passage, ...]]:
    """By question id, up to 6 of the 20 best passages without any of its answers, best first; none for unanswerable ones."""
    mined = {}
    for number, question in enumerate(questions, 1):
        if question.spans:
            found = [corpus.passage(hit) for hit in corpus.search(question.text, SEARCHED)]
            mined[question.question_id] = tuple(p for p in found if not _answers(p, question))[:KEPT]
        on_done(number)
    return mined


def _answers(passage: Passage, question: Question) -> bool:
    text = _plain(passage.text)
    return passage == question.passage or any(_plain(answer) in text for answer in question.answers)


def _plain(text: str) -> str:
    """Words with a space on both sides, so that `art` is not found in `part`."""
    return f" {' '.join(_WORD.findall(text.lower()))} "

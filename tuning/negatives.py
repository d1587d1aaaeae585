"""Hard negatives: what our own retriever finds for a question and what does not answer it."""

from collections.abc import Callable, Sequence

from tuning.corpus import Corpus
from tuning.dataset import Passage, Question

SEARCHED = 20
KEPT = 6


def mine_negatives(questions: Sequence[Question], corpus: Corpus, on_done: Callable[[int], None]) -> dict[str, tuple[Passage, ...]]:
    """By question id, up to 6 of the 20 best passages without any of its answers, best first; none for unanswerable ones."""
    mined = {}
    for number, question in enumerate(questions, 1):
        if question.spans:
            found = [corpus.passage(hit) for hit in corpus.search(question.text, SEARCHED)]
            mined[question.question_id] = tuple(p for p in found if not question.answered_by(p))[:KEPT]
        on_done(number)
    return mined

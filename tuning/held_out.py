"""Held-out questions as the product would meet them: over retrieval, and now and then without what answers them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from core.text_match import f1
from core.types import Evidence
from generation.confidence import features
from generation.reader.model import Passage, Reader
from generation.reader.spans import WindowLogits, rank_spans
from tuning.corpus import Corpus
from tuning.dataset import Question

RIGHT = 0.5
"""Token F1 with a gold answer from which an answer counts as right."""
WITHHOLD_EVERY = 3
"""Of the answerable questions about one in so many is asked once more without what answers it, so that a quarter has no answer: people
ask what the documents do not hold far more often than they ask what was written to deceive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    question: Question
    evidence: Evidence
    withheld: bool
    """Every chunk that answers it was left out of the evidence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    found: Found
    windows: list[WindowLogits]

    @property
    def answerable(self) -> bool:
        return bool(self.found.question.spans) and not self.found.withheld


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A held-out question with the reader's best span."""

    question: Question
    withheld: bool
    answer: str
    features: NDArray[np.float64]

    @property
    def answerable(self) -> bool:
        return bool(self.question.spans) and not self.withheld

    @property
    def right(self) -> bool:
        return self.answerable and f1(self.answer, self.question.answers) >= RIGHT


def find(questions: Sequence[Question], corpus: Corpus, top_k: int) -> Iterator[Found]:
    """Each question with its evidence, and some of them once more as if the corpus did not hold their answer."""
    for question in questions:
        yield Found(question=question, evidence=corpus.search(question.text, top_k), withheld=False)
        if question.spans and sha256(question.question_id.encode()).digest()[0] % WITHHOLD_EVERY == 0:
            yield Found(question=question, evidence=corpus.search_without(question, top_k), withheld=True)


def read_found(reader: Reader, found: Iterable[Found], on_done: Callable[[int], None]) -> list[Reading]:
    """`on_done` hears how many questions are done; one that is asked twice counts once."""
    readings: list[Reading] = []
    done = 0
    for one in found:
        passages = [Passage(heading=hit.chunk.heading, text=hit.chunk.text) for hit in one.evidence]
        readings.append(Reading(found=one, windows=reader.read(one.question.text, passages)))
        done += not one.withheld
        on_done(done)
    return readings


def answers_of(readings: Sequence[Reading], retrieval_weight: float) -> list[Asked]:
    """The best span of each question; those without any evidence are left out."""
    asked = []
    for reading in readings:
        question, evidence = reading.found.question, reading.found.evidence
        spans = rank_spans(reading.windows, [retrieval_weight * hit.score for hit in evidence])
        if spans:
            text = evidence[spans[0].passage].chunk.text
            values = features(question.text, evidence, spans)
            answer = text[spans[0].start : spans[0].end]
            asked.append(Asked(question=question, withheld=reading.found.withheld, answer=answer, features=values))
    return asked

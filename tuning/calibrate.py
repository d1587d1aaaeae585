"""Fits the reader's calibrator on documents that its training did not see."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from core.errors import InvalidInput
from core.text_match import f1
from core.types import Evidence, Json
from generation.confidence import FEATURES, features
from generation.reader.model import Passage, Reader
from generation.reader.spans import WindowLogits, rank_spans
from tuning.dataset import Question
from tuning.recipe import Recipe

RIGHT = 0.5
"""Token F1 with a gold answer from which an answer counts as right."""
FOLDS = 5
LEAST = 100
ABSENT_ABOVE = 0.7
RETRIEVAL_WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A held-out question as the reader read it over retrieval."""

    question: Question
    evidence: Evidence
    windows: list[WindowLogits]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A held-out question with the reader's best span."""

    question: Question
    answer: str
    features: NDArray[np.float64]

    @property
    def answerable(self) -> bool:
        return bool(self.question.spans)

    @property
    def right(self) -> bool:
        return self.answerable and f1(self.answer, self.question.answers) >= RIGHT


def read_held_out(
    reader: Reader, questions: Sequence[Question], search: Callable[[str], Evidence], on_done: Callable[[int], None]
) -> list[Reading]:
    readings = []
    for number, question in enumerate(questions, 1):
        evidence = search(question.text)
        windows = reader.read(question.text, [Passage(heading=hit.chunk.heading, text=hit.chunk.text) for hit in evidence])
        readings.append(Reading(question=question, evidence=evidence, windows=windows))
        on_done(number)
    return readings


def answers_of(readings: Sequence[Reading], retrieval_weight: float) -> list[Asked]:
    """The best span of each question; those without any evidence are left out."""
    asked = []
    for reading in readings:
        spans = rank_spans(reading.windows, [retrieval_weight * hit.score for hit in reading.evidence])
        if spans:
            text = reading.evidence[spans[0].passage].chunk.text
            values = features(reading.question.text, reading.evidence, spans)
            asked.append(Asked(question=reading.question, answer=text[spans[0].start : spans[0].end], features=values))
    return asked


def fit_retrieval_weight(readings: Sequence[Reading]) -> float:
    """Of a few weights the one with the best F1 on the answerable questions."""
    answerable = [r for r in readings if r.question.spans]
    return max(RETRIEVAL_WEIGHTS, key=lambda weight: sum(f1(a.answer, a.question.answers) for a in answers_of(answerable, weight)))


def require_enough(questions: Sequence[Question]) -> None:
    """Before hours of training: raises InvalidInput when the held-out questions could not calibrate a reader."""
    documents = len({q.passage.document for q in questions})
    if len(questions) < LEAST or documents < 2:
        raise InvalidInput(
            f"{len(questions)} questions on {documents} documents are held out for calibration: it needs {LEAST} on 2 or more;"
            " give more data, or raise `held_out` in the recipe"
        )


def fit_calibrator(readings: Sequence[Reading], reader: str, recipe: Recipe) -> Json:
    """The settings of a `generation.confidence.Calibrator`; raises InvalidInput when there are too few questions to fit one."""
    retrieval_weight = fit_retrieval_weight(readings)
    asked = answers_of(readings, retrieval_weight)
    right = np.array([a.right for a in asked])
    absent = np.array([not a.answerable for a in asked])
    if right.all() or not right.any():
        raise InvalidInput(
            f"the reader answered {int(right.sum())} of {len(asked)} held-out questions right: a calibrator needs both kinds"
        )
    x = np.stack([a.features for a in asked])
    documents = [a.question.passage.document for a in asked]
    weight = np.where(absent, recipe.unanswerable_weight, 1.0)
    return {
        "format": 1,
        "reader": reader,
        "features": list(FEATURES),
        "retrieval_weight": retrieval_weight,
        "right": _fit(x, right, weight),
        "absent": _fit_or_never(x, absent),
        "absent_above": ABSENT_ABOVE,
        "held_out": _out_of_fold(x, right, absent, weight, documents),
        "fitted_on": {
            "questions": len(asked), "documents": len(set(documents)), "right": int(right.sum()), "absent": int(absent.sum()),
            "seed": recipe.seed,
        },
    }  # fmt: skip


def _fit(x: NDArray[np.float64], label: NDArray[np.bool_], weight: NDArray[np.float64] | None = None) -> Json:
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(C=0.03, max_iter=2000).fit((x - mean) / scale, label, sample_weight=weight)
    return {
        "mean": mean.tolist(), "scale": scale.tolist(), "weights": model.coef_[0].tolist(), "bias": float(model.intercept_[0]),
    }  # fmt: skip


def _never(x: NDArray[np.float64]) -> Json:
    """Nothing to tell apart: without unanswerable questions, say, the reader never claims that there is no answer."""
    return {"mean": [0.0] * x.shape[1], "scale": [1.0] * x.shape[1], "weights": [0.0] * x.shape[1], "bias": -20.0}


def _out_of_fold(
    x: NDArray[np.float64], right: NDArray[np.bool_], absent: NDArray[np.bool_], weight: NDArray[np.float64], documents: list[str]
) -> Json:
    """Confidence of every question by calibrators that did not see its document, 0 where they abstain: what thresholds are chosen on."""
    confidence = np.zeros(len(right))
    for fit, test in GroupKFold(min(FOLDS, len(set(documents)))).split(x, right, documents):
        offered = _probability(_fit_or_never(x[fit], absent[fit]), x[test]) < ABSENT_ABOVE
        confidence[test] = np.where(offered, _probability(_fit_or_never(x[fit], right[fit], weight[fit]), x[test]), 0.0)
    return {"confidence": np.round(confidence, 6).tolist(), "right": right.astype(int).tolist(), "weight": weight.tolist()}


def _fit_or_never(x: NDArray[np.float64], label: NDArray[np.bool_], weight: NDArray[np.float64] | None = None) -> Json:
    return _fit(x, label, weight) if label.any() and not label.all() else _never(x)


def _probability(model: Json, x: NDArray[np.float64]) -> NDArray[np.float64]:
    logits = (x - model["mean"]) / model["scale"] @ np.array(model["weights"]) + model["bias"]
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probability


def write_calibrator(settings: Json, folder: Path) -> None:
    (folder / "calibrator.json").write_text(json.dumps(settings) + "\n", encoding="utf-8")

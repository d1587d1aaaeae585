"""Fits the reader's calibrator on documents that its training did not see."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from core.errors import InvalidInput
from core.text_match import f1
from core.types import Json
from generation.confidence import FEATURES
from tuning.dataset import Question
from tuning.held_out import Reading, answers_of
from tuning.recipe import Recipe

FOLDS = 5
LEAST = 100
ABSENT_ABOVE = 0.7
RETRIEVAL_WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)


def fit_retrieval_weight(readings: Sequence[Reading]) -> float:
    """Of a few weights the one with the best F1 on the answerable questions."""
    answerable = [r for r in readings if r.answerable]
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
    weight = np.array([1.0 if a.answerable or a.withheld else recipe.unanswerable_weight for a in asked])
    return {
        "format": 1,
        "reader": reader,
        "features": list(FEATURES),
        "retrieval_weight": retrieval_weight,
        "right": _fit(x, right, weight),
        "absent": _fit_or_never(x, absent, weight),
        "absent_above": ABSENT_ABOVE,
        "held_out": _out_of_fold(x, right, absent, weight, documents),
        "fitted_on": {
            "questions": len(asked), "documents": len(set(documents)), "right": int(right.sum()), "absent": int(absent.sum()),
            "withheld": sum(a.withheld for a in asked),
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
        offered = _probability(_fit_or_never(x[fit], absent[fit], weight[fit]), x[test]) < ABSENT_ABOVE
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

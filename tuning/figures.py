"""What a tuned reader is worth: figures over retrieval on documents that neither training nor calibration saw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from core.text_match import exact_match, f1
from generation.confidence import Calibrator, acceptance
from tuning.held_out import Asked

LEVELS = (0.02, 0.05, 0.10, 0.20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Of one question set; rates in 0 to 1."""

    n: int
    unanswerable: int
    f1: float
    """Of the answerable questions; an abstention counts as 0."""
    exact_match: float
    right: float
    """Share of all questions: F1 of at least .5, or abstained where there is no answer."""
    auroc: float | None
    """How well confidence tells right from wrong; None where all are one or the other."""
    coverage: dict[str, float]
    """Share of questions accepted with at most so many wrong among them, the threshold chosen on these very questions."""


def measure(calibrator: Calibrator, asked: Sequence[Asked]) -> dict[str, Figures]:
    """`answerable`, `withheld` (with those whose answer was taken out of the corpus), `all` (with those that their set calls
    unanswerable), and the answerable and withheld of each set by its name."""
    usual = [a for a in asked if a.answerable or a.withheld]
    groups: dict[str, list[Asked]] = {"answerable": [a for a in asked if a.answerable], "withheld": usual, "all": list(asked)}
    for one in usual:
        groups.setdefault(one.question.passage.origin, []).append(one)
    return {name: _figures(calibrator, group) for name, group in groups.items() if group}


def _figures(calibrator: Calibrator, asked: Sequence[Asked]) -> Figures:
    judged = [calibrator.weigh(a.features) for a in asked]
    right = [int(not a.answerable if weighed.absent else a.right) for a, weighed in zip(asked, judged, strict=True)]
    confidence = [weighed.confidence for weighed in judged]
    offered = [0.0 if weighed.absent else weighed.confidence for weighed in judged]
    answered = [("" if weighed.absent else a.answer, a.question.answers) for a, weighed in zip(asked, judged, strict=True) if a.answerable]
    return Figures(
        n=len(asked),
        unanswerable=len(asked) - len(answered),
        f1=_mean([f1(answer, gold) for answer, gold in answered]),
        exact_match=_mean([exact_match(answer, gold) for answer, gold in answered]),
        right=_mean(right),
        auroc=float(roc_auc_score(right, confidence)) if 0 < sum(right) < len(right) else None,
        coverage={f"{level:.2f}": acceptance(offered, [int(a.right) for a in asked], level).coverage for level in LEVELS},
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0

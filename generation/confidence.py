"""What the reader saw -> features -> P(correct)."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import CorruptModel
from core.text_match import f1
from core.types import Evidence, Json
from generation.reader.spans import Span

FEATURES = (
    "log_probability", "mass", "margin", "null_margin", "null_probability", "best_null_margin", "second_null_margin", "start_probability",
    "end_probability", "tokens", "rank", "score", "score_gap", "dense", "dense_gap", "sparse", "sparse_share", "holders", "question_words",
    "overlap_near", "overlap_passage", "wants_number", "has_number", "wants_name", "has_name", "entropy", "expected_f1", "agreeing",
    "log_agreeing", "log_disagreeing",
)  # fmt: skip

_WORD = re.compile(r"\w+")
_NUMBER_QUESTION = re.compile(
    r"\b(how (many|much|long|old|far|often|big|high|large)|when|what (year|date|day|time|percentage|number))\b", re.I
)
_NAME_QUESTION = re.compile(r"\b(who|whose|whom|which (person|company|country|city))\b", re.I)
_STOP = frozenset(
    "a an and are as at be by did do does for from had has have how in is it its of on or that the their there they this to"
    " was were many much what when where which who whom whose why will with"
    .split()
)  # fmt: skip
NEAR = 120
"""Characters on each side of a span that count as near it."""


def features(question: str, evidence: Evidence, spans: Sequence[Span]) -> NDArray[np.float64]:
    """Shape (len(FEATURES),); `spans` are ranked, the first is the answer, and there is at least one."""
    best, hit = spans[0], evidence[spans[0].passage]
    text = hit.chunk.text
    answer = _plain(text[best.start : best.end])
    weights = _mass_by_answer(evidence, spans)
    rival = max((w for other, w in weights.items() if other != answer and not _same(other, answer)), default=1e-6)
    nulls = _null_margins(spans)
    asked = _content(question)
    near = text[max(0, best.start - NEAR) : best.end + NEAR]
    scores = sorted((h.score for h in evidence), reverse=True)
    dense = sorted((h.dense_score or 0.0 for h in evidence), reverse=True)
    sparse = [h.sparse_score or 0.0 for h in evidence]
    shares = np.array([*weights.values()])
    expected, agreeing = _agreement(evidence, spans)
    values = {
        "log_probability": best.log_probability,
        "mass": weights[answer],
        "margin": float(np.log(weights[answer] + 1e-6) - np.log(rival + 1e-6)),
        "null_margin": best.null_margin,
        "null_probability": best.null_probability,
        "best_null_margin": nulls[0],
        "second_null_margin": nulls[1] if len(nulls) > 1 else nulls[0] - 10.0,
        "start_probability": best.start_probability,
        "end_probability": best.end_probability,
        "tokens": float(np.log1p(best.tokens)),
        "rank": float(best.passage),
        "score": hit.score,
        "score_gap": hit.score - (scores[0] if hit.score < scores[0] else scores[1] if len(scores) > 1 else 0.0),
        "dense": hit.dense_score or 0.0,
        "dense_gap": (hit.dense_score or 0.0) - dense[0],
        "sparse": float(np.log1p(hit.sparse_score or 0.0)),
        "sparse_share": (hit.sparse_score or 0.0) / max([*sparse, 1e-6]),
        "holders": float(sum(f" {answer} " in f" {_plain(h.chunk.text)} " for h in evidence)),
        "question_words": float(np.log1p(len(asked))),
        "overlap_near": _overlap(asked, near),
        "overlap_passage": _overlap(asked, f"{hit.chunk.heading} {text}"),
        "wants_number": float(bool(_NUMBER_QUESTION.search(question))),
        "has_number": float(any(c.isdigit() for c in text[best.start : best.end])),
        "wants_name": float(bool(_NAME_QUESTION.search(question))),
        "has_name": float(text[best.start : best.end][:1].isupper()),
        "entropy": float(-(shares * np.log(shares + 1e-9)).sum()),
        "expected_f1": expected,
        "agreeing": agreeing,
        "log_agreeing": float(np.log(agreeing + 1e-3)),
        "log_disagreeing": float(np.log(1 - min(agreeing, 0.999))),
    }
    return np.array([values[name] for name in FEATURES])


def _mass_by_answer(evidence: Evidence, spans: Sequence[Span]) -> dict[str, float]:
    """Probability of each answer string, over all places where it stands."""
    mass: dict[str, float] = {}
    for span in spans:
        answer = _plain(evidence[span.passage].chunk.text[span.start : span.end])
        mass[answer] = mass.get(answer, 0.0) + float(np.exp(span.log_probability))
    return mass


def _agreement(evidence: Evidence, spans: Sequence[Span]) -> tuple[float, float]:
    """If one of the spans were the gold answer, as likely as the reader holds: F1 of the best span to expect, and P(F1 of .5 or more)."""
    answers = [evidence[span.passage].chunk.text[span.start : span.end] for span in spans]
    scores = [f1(answers[0], [answer]) for answer in answers]
    likely = [float(np.exp(span.log_probability)) for span in spans]
    expected = sum(p * score for p, score in zip(likely, scores, strict=True))
    return expected, sum(p for p, score in zip(likely, scores, strict=True) if score >= 0.5)


def _null_margins(spans: Sequence[Span]) -> list[float]:
    """The best margin over "not here" of each passage, best first."""
    best: dict[int, float] = {}
    for span in spans:
        best[span.passage] = max(span.null_margin, best.get(span.passage, -1e9))
    return sorted(best.values(), reverse=True)


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _same(a: str, b: str) -> bool:
    """One answer contains the other: a matter of where to cut, not of what is right."""
    return f" {a} " in f" {b} " or f" {b} " in f" {a} "


def _content(text: str) -> set[str]:
    return {word[:6] for word in _WORD.findall(text.lower()) if word not in _STOP}


def _overlap(asked: set[str], text: str) -> float:
    return len(asked & _content(text)) / len(asked) if asked else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    absent: bool
    """The reader holds that the documents have no answer."""
    confidence: float
    """P(what it says is right): that the span is, or that there is none."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Features -> probability; arrays of shape (features,)."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float

    def probability(self, values: NDArray[np.float64]) -> float:
        logit = float(((values - self.mean) / self.scale) @ self.weights) + self.bias
        return float(1.0 / (1.0 + np.exp(-logit)))


class Calibrator:
    """Fitted on documents that neither the reader's training nor its figures saw (`tuning/calibrate.py`)."""

    def __init__(self, settings: Json) -> None:
        if settings.get("format") != 1 or tuple(settings["features"]) != FEATURES:
            raise CorruptModel("the calibrator is of another version: restore the reader's folder from the repository, or tune it again")
        self._reader: str = settings["reader"]
        self._right, self._absent = _logistic(settings["right"]), _logistic(settings["absent"])
        self._absent_above: float = settings["absent_above"]
        self.retrieval_weight: float = settings["retrieval_weight"]
        self._held_out: Json = settings["held_out"]
        self.name = f"calibrator-{self._reader[:12]}"

    @classmethod
    def load(cls, path: Path) -> "Calibrator":
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptModel(
                f"the calibrator {path.name!r} cannot be loaded: restore the reader's folder from the repository ({error})"
            ) from error

    def check(self, reader: str) -> None:
        """Raises CorruptModel unless it was fitted for the reader with this digest: another reader's confidence means nothing."""
        if reader != self._reader:
            raise CorruptModel("the calibrator was fitted for another reader: restore the reader's folder, or tune it again")

    def priors(self, evidence: Evidence) -> list[float]:
        """What to add to the log-odds of a passage's spans for its place in retrieval."""
        return [self.retrieval_weight * hit.score for hit in evidence]

    def weigh(self, values: NDArray[np.float64]) -> Judgement:
        """`values` as `features` gives them."""
        absent = self._absent.probability(values)
        if absent >= self._absent_above:
            return Judgement(absent=True, confidence=absent)
        return Judgement(absent=False, confidence=self._right.probability(values))

    def acceptance(self, max_wrong: float) -> "Acceptance":
        """What could be accepted on held-out documents with at most this share of it wrong; a threshold above 1 accepts nothing."""
        held = self._held_out
        return acceptance(held["confidence"], held["right"], max_wrong, held["weight"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceptance:
    threshold: float
    coverage: float
    """Share of all questions that are accepted."""
    n: int


def acceptance(confidence: Sequence[float], right: Sequence[int], max_wrong: float, weight: Sequence[float] | None = None) -> Acceptance:
    """The most questions that can be accepted, surest first, with at most `max_wrong` wrong; one error is added, against luck.

    Questions of equal confidence are accepted together or not at all; a confidence of 0, as of an abstention, never is.
    `weight` says how much each question counts (1 each without it).
    """
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    ranked, hits = np.asarray(confidence, dtype=np.float64)[order], np.asarray(right)[order]
    counts = np.ones(len(hits)) if weight is None else np.asarray(weight, dtype=np.float64)[order]
    wrong = (np.cumsum(counts * (1 - hits)) + 1) / (np.cumsum(counts) + 1)
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    within = np.flatnonzero((wrong <= max_wrong) & last_of_equals & (ranked > 0))
    if not len(within):
        return Acceptance(threshold=1.01, coverage=0.0, n=len(hits))
    last = within[-1]
    return Acceptance(threshold=float(ranked[last]), coverage=float(counts[: last + 1].sum() / counts.sum()), n=len(hits))


def _logistic(settings: Json) -> Logistic:
    mean, scale, weights = (np.array(settings[name], dtype=np.float64) for name in ("mean", "scale", "weights"))
    return Logistic(mean, scale, weights, float(settings["bias"]))

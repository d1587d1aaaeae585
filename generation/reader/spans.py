"""Logits of several windows -> answer spans, ranked together."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MAX_SPAN_TOKENS = 48
STARTS = 16
"""Start positions that are followed up in each window."""


@dataclass(frozen=True, slots=True)
class WindowLogits:
    """One question + passage window as the model read it; arrays of shape (tokens,), the context's tokens alone."""

    passage: int
    start: Floats
    end: Floats
    null_start: float
    null_end: float
    """The [CLS] token's logits: the answer is not here."""
    offsets: Sequence[tuple[int, int]]
    """Characters of the passage's text, one pair per token."""

    @property
    def null(self) -> float:
        return self.null_start + self.null_end

    @property
    def null_probability(self) -> float:
        """P(not here) by this window alone."""
        start = self.null_start - _logsumexp(np.append(self.start, self.null_start))
        end = self.null_end - _logsumexp(np.append(self.end, self.null_end))
        return float(np.exp((start + end) / 2))


@dataclass(frozen=True, slots=True)
class Span:
    passage: int
    start: int
    end: int
    """Characters of the passage's text."""
    log_probability: float
    """Of start and end among the tokens of all windows (Clark & Gardner 2018, shared normalisation)."""
    null_margin: float
    """Its logits less those of "not here" in its own window."""
    null_probability: float
    start_probability: float
    end_probability: float
    tokens: int


def rank_spans(windows: Sequence[WindowLogits], priors: Sequence[float], limit: int = 20) -> list[Span]:
    """The best spans over all windows, best first; no windows give none.

    `priors` has one log-odds a passage, for what retrieval thinks of it; half of it goes to the start and half to the end.
    """
    windows = [w for w in windows if len(w.start)]
    if not windows:
        return []
    total_start = _logsumexp(np.concatenate([w.start + priors[w.passage] / 2 for w in windows]))
    total_end = _logsumexp(np.concatenate([w.end + priors[w.passage] / 2 for w in windows]))
    found = [c for w in windows for c in _candidates(w, total_start - priors[w.passage] / 2, total_end - priors[w.passage] / 2)]
    found.sort(key=lambda c: -c.log_probability)
    return [_span(candidate) for candidate in islice(_without_repeats(found), limit)]


class _Candidate(NamedTuple):
    """Little enough to make hundreds of, of which few become spans."""

    window: WindowLogits
    first: int
    last: int
    log_probability: float
    start: float
    end: float
    """Their log-probabilities."""
    null_probability: float


def _candidates(window: WindowLogits, total_start: float, total_end: float) -> Iterator[_Candidate]:
    null_probability = window.null_probability
    for first in np.argsort(-window.start)[:STARTS].tolist():
        ends = window.end[first : first + MAX_SPAN_TOKENS]
        start = float(window.start[first])
        for last in (first + np.argsort(-ends)[:3]).tolist():
            end = float(window.end[last])
            both = start - total_start + end - total_end
            yield _Candidate(window, first, last, both, start - total_start, end - total_end, null_probability)


def _span(found: _Candidate) -> Span:
    window = found.window
    return Span(
        passage=window.passage,
        start=window.offsets[found.first][0],
        end=window.offsets[found.last][1],
        log_probability=found.log_probability,
        null_margin=float(window.start[found.first]) + float(window.end[found.last]) - window.null,
        null_probability=found.null_probability,
        start_probability=math.exp(found.start),
        end_probability=math.exp(found.end),
        tokens=found.last - found.first + 1,
    )


def _without_repeats(found: Iterable[_Candidate]) -> Iterator[_Candidate]:
    """Overlapping windows of a long passage find the same span twice; the better one stays."""
    seen: set[tuple[int, int, int]] = set()
    for candidate in found:
        offsets = candidate.window.offsets
        key = (candidate.window.passage, offsets[candidate.first][0], offsets[candidate.last][1])
        if key not in seen:
            seen.add(key)
            yield candidate


def _logsumexp(values: Floats) -> float:
    peak = float(values.max())
    return peak + float(np.log(np.exp(values - peak).sum()))

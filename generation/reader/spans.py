"""Logits of several windows -> answer spans, ranked together."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    spans = [span for w in windows for span in _of_window(w, total_start - priors[w.passage] / 2, total_end - priors[w.passage] / 2)]
    spans.sort(key=lambda s: -s.log_probability)
    return _without_repeats(spans)[:limit]


def _of_window(window: WindowLogits, total_start: float, total_end: float) -> list[Span]:
    null_probability = window.null_probability
    found = []
    for first in np.argsort(-window.start)[:STARTS]:
        ends = window.end[first : first + MAX_SPAN_TOKENS]
        for last in first + np.argsort(-ends)[:3]:
            start, end = float(window.start[first]), float(window.end[last])
            found.append(
                Span(
                    passage=window.passage,
                    start=window.offsets[first][0],
                    end=window.offsets[last][1],
                    log_probability=start - total_start + end - total_end,
                    null_margin=start + end - window.null,
                    null_probability=null_probability,
                    start_probability=float(np.exp(start - total_start)),
                    end_probability=float(np.exp(end - total_end)),
                    tokens=int(last - first + 1),
                )
            )
    return found


def _without_repeats(spans: list[Span]) -> list[Span]:
    """Overlapping windows of a long passage find the same span twice; the better one stays."""
    seen: set[tuple[int, int, int]] = set()
    kept = []
    for span in spans:
        key = (span.passage, span.start, span.end)
        if key not in seen:
            seen.add(key)
            kept.append(span)
    return kept


def _logsumexp(values: Floats) -> float:
    peak = float(values.max())
    return peak + float(np.log(np.exp(values - peak).sum()))

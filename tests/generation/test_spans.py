"""Spans are ranked over all windows together, never one by one."""

import numpy as np
import pytest

from generation.reader.spans import WindowLogits, rank_spans


def window(passage: int, start: list[float], end: list[float], null: float = 0.0) -> WindowLogits:
    offsets = [(i * 5, i * 5 + 4) for i in range(len(start))]
    return WindowLogits(passage, np.array(start, np.float32), np.array(end, np.float32), null, null, offsets)


def test_rank_spans_prefers_the_higher_logits_whichever_the_window() -> None:
    spans = rank_spans([window(0, [1, 0, 0], [0, 1, 0]), window(1, [0, 5, 0], [0, 0, 5])], [0.0, 0.0])
    assert (spans[0].passage, spans[0].start, spans[0].end) == (1, 5, 14)


def test_rank_spans_probabilities_sum_to_at_most_one_over_all_windows() -> None:
    spans = rank_spans([window(0, [2, 1], [1, 2]), window(1, [2, 1], [1, 2])], [0.0, 0.0], limit=100)
    assert sum(np.exp(s.log_probability) for s in spans) <= 1.0
    assert spans[0].log_probability < np.log(0.5)  # two equal windows share the mass


def test_rank_spans_never_ends_before_it_starts() -> None:
    spans = rank_spans([window(0, [0, 0, 9], [9, 0, 0])], [0.0, 0.0], limit=100)
    assert all(s.end > s.start for s in spans)


def test_rank_spans_keeps_one_of_two_overlapping_windows_finds() -> None:
    spans = rank_spans([window(0, [3, 0], [0, 3]), window(0, [3, 0], [0, 3])], [0.0, 0.0], limit=100)
    assert len({(s.passage, s.start, s.end) for s in spans}) == len(spans)


@pytest.mark.parametrize("windows", [[], [window(0, [], [])]])
def test_rank_spans_of_nothing_is_nothing(windows: list[WindowLogits]) -> None:
    assert rank_spans(windows, [0.0]) == []


def test_null_probability_rises_with_the_null_logit() -> None:
    low, high = window(0, [1, 2], [2, 1], null=-5), window(0, [1, 2], [2, 1], null=9)
    assert low.null_probability < 0.01 < 0.99 < high.null_probability


def test_rank_spans_with_equal_logits_follows_the_prior() -> None:
    both = [window(0, [2, 1], [1, 2]), window(1, [2, 1], [1, 2])]
    assert rank_spans(both, [0.0, 1.0])[0].passage == 1
    assert rank_spans(both, [1.0, 0.0])[0].passage == 0


def test_prior_leaves_the_margin_over_not_here_alone() -> None:
    plain, raised = (rank_spans([window(0, [2, 1], [1, 2], null=0.5)], [prior])[0] for prior in (0.0, 3.0))
    assert plain.null_margin == raised.null_margin


def test_rank_spans_is_best_first_and_cut_at_the_limit() -> None:
    windows = [window(passage, [3, 1, 2, passage], [1, 2, 3, passage]) for passage in range(4)]
    everything = rank_spans(windows, [0.0] * 4, limit=1000)
    assert [s.log_probability for s in everything] == sorted((s.log_probability for s in everything), reverse=True)
    assert rank_spans(windows, [0.0] * 4, limit=5) == everything[:5]


def test_span_says_where_and_how_sure_in_its_own_window() -> None:
    (best, *_) = rank_spans([window(0, [0, 4, 0], [0, 0, 3], null=-1.0)], [0.0])
    assert (best.start, best.end, best.tokens) == (5, 14, 2)
    assert best.null_margin == pytest.approx(4 + 3 - 2 * -1.0)
    assert best.log_probability == pytest.approx(np.log(best.start_probability * best.end_probability))
    assert best.start_probability == pytest.approx(np.exp(4) / (np.exp(4) + 2))

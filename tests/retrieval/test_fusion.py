import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.types import Candidate
from retrieval.fusion import fuse


def candidate(chunk_id: str, dense: float | None, sparse: float | None) -> Candidate:
    return Candidate(chunk_id=chunk_id, dense=dense, sparse=sparse)


def test_scores_are_scaled_per_search_and_weighed() -> None:
    found = fuse([candidate("a", 0.9, 2.0), candidate("b", 0.5, 10.0), candidate("c", 0.1, None)], dense_weight=0.25)
    assert found == pytest.approx({"b": 0.25 * 0.5 + 0.75, "a": 0.25, "c": 0.0})
    assert list(found) == ["b", "a", "c"]


def test_missing_score_counts_as_the_lowest() -> None:
    found = fuse([candidate("both", 0.8, 3.0), candidate("dense", 0.9, None), candidate("low", 0.1, 1.0)], dense_weight=0.5)
    assert found["dense"] == pytest.approx(0.5)
    assert list(found) == ["both", "dense", "low"]


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_constant_lists_do_not_divide_by_zero(weight: float) -> None:
    found = fuse([candidate("b", 0.3, 2.0), candidate("a", 0.3, 2.0)], dense_weight=weight)
    assert found == {"a": 1.0, "b": 1.0}
    assert list(found) == ["a", "b"]


def test_one_search_alone_is_enough() -> None:
    assert fuse([candidate("a", 0.2, None)], dense_weight=0.5) == {"a": 0.5}
    assert fuse([candidate("a", None, 4.0)], dense_weight=0.5) == {"a": 0.5}


def test_no_candidates_give_nothing() -> None:
    assert fuse([], dense_weight=0.5) == {}


SCORES = st.none() | st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(SCORES, SCORES), max_size=30), st.floats(0, 1))
def test_every_score_is_in_0_to_1_best_first(rows: list[tuple[float | None, float | None]], weight: float) -> None:
    found = fuse([candidate(str(number), *row) for number, row in enumerate(rows)], dense_weight=weight)
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in found.values())
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert set(found) == {str(number) for number, row in enumerate(rows) if row != (None, None)}

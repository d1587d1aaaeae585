"""Convex fusion of a dense and a sparse search (Bruch, Gai and Ingber 2023, arXiv 2210.11934, section 3)."""

from collections.abc import Mapping, Sequence

from core.types import Candidate


def fuse(candidates: Sequence[Candidate], *, dense_weight: float) -> dict[str, float]:
    """Chunk id -> `w * minmax(dense) + (1 - w) * minmax(sparse)` in 0 to 1, best first, equal scores in the order of the ids.

    A search that did not return a chunk gives it 0, as the lowest of its own list gets.
    """
    dense = _minmax({candidate.chunk_id: candidate.dense for candidate in candidates})
    sparse = _minmax({candidate.chunk_id: candidate.sparse for candidate in candidates})
    fused = {key: dense_weight * dense.get(key, 0.0) + (1 - dense_weight) * sparse.get(key, 0.0) for key in dense | sparse}
    return dict(sorted(fused.items(), key=lambda item: (-item[1], item[0])))


def _minmax(scores: Mapping[str, float | None]) -> dict[str, float]:
    """A list whose scores are all equal says that each is as good as its best."""
    present = {key: score for key, score in scores.items() if score is not None}
    if not present:
        return {}
    low, high = min(present.values()), max(present.values())
    if high == low:
        return dict.fromkeys(present, 1.0)
    return {key: (score - low) / (high - low) for key, score in present.items()}

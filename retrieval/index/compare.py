"""What an index holds against what it should hold, a batch at a time."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from core.types import Point, PointDifference, Vector
from retrieval.sparse import Bm25Encoder

_BATCH = 500
_SAME = 1 - 1e-5
"""Cosine from which two vectors are one: an index may store them as its engine rounds them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A point as the index gives it back."""

    chunk_id: str
    document_id: str
    source: str
    media_type: str
    dense: Vector
    words: dict[int, float]
    """BM25 weights by term."""


def compare(
    expected: Iterable[Point], held: Callable[[list[str]], Iterable[Held]], chunk_ids: set[str], encoder: Bm25Encoder
) -> Iterator[PointDifference]:
    """`held` gives the points of some chunk ids, `chunk_ids` are all that there are; a second point of a chunk is one too many."""
    unexpected = set(chunk_ids)
    remaining = iter(expected)
    while batch := list(itertools.islice(remaining, _BATCH)):
        found: dict[str, Held] = {}
        for point in held([each.chunk_id for each in batch]):
            if point.chunk_id in found:
                yield PointDifference(kind="extra", chunk_id=point.chunk_id)
            found[point.chunk_id] = point
        for each in batch:
            unexpected.discard(each.chunk_id)
            yield from _differences(each, found.get(each.chunk_id), encoder)
    for chunk_id in sorted(unexpected):
        yield PointDifference(kind="extra", chunk_id=chunk_id)


def _differences(point: Point, held: Held | None, encoder: Bm25Encoder) -> Iterator[PointDifference]:
    if held is None:
        yield PointDifference(kind="missing", chunk_id=point.chunk_id)
        return
    if (held.document_id, held.source, held.media_type) != (point.document_id, point.source, point.media_type):
        yield PointDifference(kind="payload", chunk_id=point.chunk_id)
    if not _is_same(point.dense, held.dense):
        yield PointDifference(kind="vector", chunk_id=point.chunk_id)
    weights = encoder.encode_document(point.embedded_text)
    if not _are_same(dict(zip(weights.indices, weights.values, strict=True)), held.words):
        yield PointDifference(kind="words", chunk_id=point.chunk_id)


def _is_same(one: Vector, other: Vector) -> bool:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return one.shape == other.shape and lengths > 0 and float(one @ other) / lengths >= _SAME


def _are_same(one: dict[int, float], other: dict[int, float]) -> bool:
    return one.keys() == other.keys() and all(abs(weight - other[term]) <= 1e-3 * abs(weight) for term, weight in one.items())

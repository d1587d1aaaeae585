"""Text -> BM25 weights, with the encoder of Qdrant Edge; the index adds the inverse document frequencies at query time."""

from dataclasses import dataclass

import qdrant_edge

_MEAN_LENGTH = 80.0
"""Words that count in a chunk, about: BM25 measures a chunk's length against it. The encoder's own 256 is for whole documents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SparseWeights:
    indices: list[int]
    values: list[float]


class Bm25Encoder:
    """English stop words and stemmer. Words of other languages are kept as they stand; a script without spaces is one word a run."""

    def __init__(self) -> None:
        self._bm25 = qdrant_edge.Bm25(qdrant_edge.Bm25Config(avg_len=_MEAN_LENGTH))

    def encode_document(self, text: str) -> SparseWeights:
        return _weights(self._bm25.embed_document(text))

    def encode_query(self, text: str) -> SparseWeights:
        """Without any word that counts, as in "the", both lists are empty."""
        return _weights(self._bm25.embed_query(text))


def _weights(vector: qdrant_edge.SparseVector) -> SparseWeights:
    return SparseWeights(indices=list(vector.indices), values=list(vector.values))

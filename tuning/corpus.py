"""Passages of a question set in an index of their own, searched as the product searches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from core.protocols import Embedder
from core.types import Chunk, Evidence, Filters, Hit, Point, Scope
from ingest.cuts import ContentCuts, make_chunks
from ingest.outline import outline
from retrieval.fusion import fuse
from retrieval.index.edge import EdgeIndex
from tuning.dataset import Passage, Question

_CANDIDATES = 100
_ANSWERING = 15
"""Chunks that may hold an answer and are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The settings of ingest and retrieval that decide what the reader gets to read."""

    min_tokens: int = 48
    max_tokens: int = 200
    dense_weight: float = 0.5


class Corpus:
    """Every passage is a document; `directory` holds the index, which the caller removes."""

    def __init__(self, passages: Iterable[Passage], embedder: Embedder, directory: Path, scope: Scope, limits: Limits) -> None:
        self._embedder, self._scope, self._weight = embedder, scope, limits.dense_weight
        self._passages = {passage_document(p): p for p in passages}
        cuts = ContentCuts(embedder.count_tokens, window=embedder.max_tokens, min_tokens=limits.min_tokens, max_tokens=limits.max_tokens)
        chunks = [chunk for document, passage in self._passages.items() for chunk in _chunks(scope, document, passage, cuts)]
        self._chunks = {chunk.chunk_id: chunk for chunk in chunks}
        index = EdgeIndex(directory)
        index.build(
            scope, 1, base=None, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=self._points(chunks), removed=()
        )
        self._version = index.open(1, embedder=embedder.fingerprint)

    def search(self, question: str, top_k: int) -> Evidence:
        """At most `top_k` hits, best first."""
        found = self._version.search(self._scope, self._embedder.embed_query(question), question, limit=_CANDIDATES, filters=Filters())
        by_id = {candidate.chunk_id: candidate for candidate in found}
        best = list(fuse(found, dense_weight=self._weight).items())[:top_k]
        return tuple(self._hit(key, score, by_id[key].dense, by_id[key].sparse) for key, score in best)

    def search_without(self, question: Question, top_k: int) -> Evidence:
        """What would be found if no passage that answers the question were here: the usual way in which there is no answer."""
        found = self.search(question.text, top_k + _ANSWERING)
        return tuple(hit for hit in found if not question.answered_by(self.passage(hit)))[:top_k]

    def passage(self, hit: Hit) -> Passage:
        return self._passages[hit.chunk.document_id]

    def close(self) -> None:
        self._version.close()

    def _points(self, chunks: Sequence[Chunk]) -> Iterator[Point]:
        vectors = self._embedder.embed_documents([chunk.embedded_text for chunk in chunks])
        for chunk, vector in zip(chunks, vectors, strict=True):
            yield Point(
                chunk_id=chunk.chunk_id, document_id=chunk.document_id, source=chunk.document_id, media_type="text/plain",
                dense=vector, embedded_text=chunk.embedded_text,
            )  # fmt: skip

    def _hit(self, key: str, score: float, dense: float | None, sparse: float | None) -> Hit:
        chunk = self._chunks[key]
        title = self._passages[chunk.document_id].title
        return Hit(chunk=chunk, source=chunk.document_id, title=title, score=score, dense_score=dense, sparse_score=sparse)


def passage_document(passage: Passage) -> str:
    return sha256(passage.passage_id.encode()).hexdigest()[:32]


def _chunks(scope: Scope, document: str, passage: Passage, cuts: ContentCuts) -> Sequence[Chunk]:
    """Cut as ingest cuts it, under the title as its heading."""
    found = [replace(cut, heading=passage.title) for cut in cuts.cut(outline(passage.text))]
    return make_chunks(scope.tenant, document, passage.text, found)

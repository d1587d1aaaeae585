"""Deterministic doubles, one per protocol of core/protocols.py."""

import asyncio
import math
import zlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence

import numpy as np

from core.errors import CorruptIndex, EmbedderMismatch, NothingPublished, TierCancelled, TierFailed, VersionNotKept
from core.types import (
    Candidate,
    Chunk,
    Citation,
    Delta,
    Draft,
    Evidence,
    Filters,
    Hit,
    Matrix,
    Point,
    PointDifference,
    Quoted,
    Readiness,
    Scope,
    Snapshot,
    Spending,
    Vector,
)
from retrieval.sparse import Bm25Encoder


class WordEmbedder:
    """Vectors of hashed words: texts that share words are near each other. Deterministic, and needs no model."""

    dimensions = 64
    max_tokens = 254

    def __init__(self, fingerprint: str = "words-1") -> None:
        self.fingerprint = fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed_query(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in text.lower().split()[: self.max_tokens]:
            vector[zlib.crc32(word.strip(".,:;!?()").encode()) % self.dimensions] += 1
        unit: Vector = vector / np.linalg.norm(vector)
        return unit

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Matrix:
        vectors = np.array([self.embed_query(text) for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)
        if texts:
            on_batch(len(texts))
        return vectors


class MemoryIndex:
    """Versions as dictionaries, searched by brute force: slow, and plain enough to be the reference for the others."""

    stands_apart = True

    def __init__(self) -> None:
        self.versions: dict[int, tuple[str, dict[tuple[str, str], Point]]] = {}

    def claim(self, owner: str) -> None: ...

    def build(
        self,
        scope: Scope,
        version: int,
        *,
        base: int | None,
        embedder: str,
        dimensions: int,
        added: Iterable[Point],
        removed: Collection[str],
    ) -> "MemoryVersion":
        if base is not None and base not in self.versions:
            raise CorruptIndex()
        built, points = self.versions[base] if base is not None else (embedder, {})
        if built != embedder:
            raise EmbedderMismatch()
        kept = {key: point for key, point in points.items() if key[0] != scope.tenant or key[1] not in removed}
        self.versions[version] = (embedder, kept | {(scope.tenant, point.chunk_id): point for point in added})
        return MemoryVersion(self.versions[version][1])

    def open(self, version: int, *, embedder: str, whole: bool = False) -> "MemoryVersion":
        if version not in self.versions:
            raise CorruptIndex()
        if self.versions[version][0] != embedder:
            raise EmbedderMismatch()
        return MemoryVersion(self.versions[version][1])

    def collect(self, keep: Collection[int]) -> None:
        self.versions = {version: held for version, held in self.versions.items() if version in keep}


class MemoryVersion:
    def __init__(self, points: dict[tuple[str, str], Point]) -> None:
        self._points = points

    def search(self, scope: Scope, dense: Vector, question: str, *, limit: int, filters: Filters) -> list[Candidate]:
        own = self._own(scope)
        matching = [point.chunk_id for point in own.values() if _matches(point, filters)]
        by_dense = {chunk_id: float(own[chunk_id].dense @ dense) for chunk_id in matching}
        scored = _bm25({chunk_id: point.embedded_text for chunk_id, point in own.items()}, question)
        by_sparse = {chunk_id: scored[chunk_id] for chunk_id in matching if scored[chunk_id] > 0}
        best = {name: _best(scores, limit) for name, scores in (("dense", by_dense), ("sparse", by_sparse))}
        return [
            Candidate(chunk_id=key, dense=best["dense"].get(key), sparse=best["sparse"].get(key)) for key in best["dense"] | best["sparse"]
        ]

    def chunk_ids(self, scope: Scope) -> set[str]:
        return set(self._own(scope))

    def count(self, scope: Scope) -> int:
        return len(self._own(scope))

    def held(self, scope: Scope, chunk_ids: Collection[str]) -> set[str]:
        return set(self._own(scope)) & set(chunk_ids)

    def compare(self, scope: Scope, expected: Iterable[Point]) -> Iterator[PointDifference]:
        own = self._own(scope)
        for point in expected:
            held = own.pop(point.chunk_id, None)
            if held is None:
                yield PointDifference(kind="missing", chunk_id=point.chunk_id)
                continue
            if (held.document_id, held.source, held.media_type) != (point.document_id, point.source, point.media_type):
                yield PointDifference(kind="payload", chunk_id=point.chunk_id)
            if held.dense.shape != point.dense.shape or held.dense @ point.dense < 0.9999:
                yield PointDifference(kind="vector", chunk_id=point.chunk_id)
            if held.embedded_text != point.embedded_text:
                yield PointDifference(kind="words", chunk_id=point.chunk_id)
        yield from (PointDifference(kind="extra", chunk_id=chunk_id) for chunk_id in own)

    def close(self) -> None: ...

    def _own(self, scope: Scope) -> dict[str, Point]:
        return {chunk_id: point for (tenant, chunk_id), point in self._points.items() if tenant == scope.tenant}


def _matches(point: Point, filters: Filters) -> bool:
    sources = [point.source.startswith(value) if value.endswith("/") else point.source == value for value in filters.source]
    return (
        (not filters.document_id or point.document_id in filters.document_id)
        and (not sources or any(sources))
        and (not filters.media_type or point.media_type in filters.media_type)
    )


def _bm25(texts: dict[str, str], question: str) -> dict[str, float]:
    """Robertson and Zaragoza 2009, with the encoder's term weights and the tenant's own document frequencies."""
    encoder = Bm25Encoder()
    encoded = {key: encoder.encode_document(text) for key, text in texts.items()}
    weights = {key: dict(zip(found.indices, found.values, strict=True)) for key, found in encoded.items()}
    n = sum(bool(row) for row in weights.values())
    scores = dict.fromkeys(texts, 0.0)
    for term in encoder.encode_query(question).indices:
        holders = [key for key, row in weights.items() if term in row]
        idf = math.log((n - len(holders) + 0.5) / (len(holders) + 0.5) + 1)
        for key in holders:
            scores[key] += idf * weights[key][term]
    return scores


def _best(scores: dict[str, float], limit: int) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda item: -item[1])[:limit])


class FixedRetriever:
    """The same hits for every question, for the tenants it is told of."""

    def __init__(self, hits: Sequence[Hit] = (), *, version: int | None = 7, tenants: Sequence[str] = ("default",)) -> None:
        self.hits = tuple(hits)
        self.version = version
        self.tenants = tenants
        self.asked: list[tuple[str, int, Filters]] = []

    def published(self, as_of: int | None = None) -> Snapshot:
        if self.version is None:
            raise NothingPublished()
        if as_of is not None and as_of > self.version:
            raise VersionNotKept()
        return Snapshot(version=as_of or self.version, embedder="fixed")

    def check(self, snapshot: Snapshot) -> None: ...

    def retrieve(self, question: str, scope: Scope, snapshot: Snapshot, *, top_k: int, filters: Filters) -> Evidence:
        self.asked.append((question, top_k, filters))
        return self.hits[:top_k] if scope.tenant in self.tenants else ()


class FirstWordTier:
    """Answers with the first word of the first hit, as sure as it is told to be."""

    def __init__(self, name: str = "reader", *, confidence: float = 0.9, ready: bool = True, fails: str = "", seconds: float = 0.0) -> None:
        self.name = name
        self._confidence = confidence
        self._ready = ready
        self._fails = fails
        self._seconds = seconds

    def readiness(self) -> Readiness:
        return Readiness(ready=self._ready, reason="the test wants it so")

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        await asyncio.sleep(self._seconds)
        if self._fails:
            raise TierFailed(self._fails)
        text = evidence[0].chunk.text.partition(" ")[0] if evidence else None
        citations = tuple(_cite(hit) for hit in evidence[:1])
        return Draft(
            text=text, citations=citations, model="first-word", confidence=self._confidence, confidence_source="the test",
            spending=Spending(cost_micro_usd=3),
        )  # fmt: skip


class WordByWordTier(FirstWordTier):
    """Streams the first hit word by word and charges a micro-dollar a word, however it ends; `fails` after its second word."""

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        parts = [part async for part in self.stream(question, evidence, deadline=deadline)]
        assert isinstance(parts[-1], Draft)
        return parts[-1]

    async def stream(self, question: str, evidence: Evidence, *, deadline: float) -> AsyncIterator[Delta | Quoted | Draft]:
        said = ""
        try:
            for i, word in enumerate(evidence[0].chunk.text.split() if evidence else []):
                await asyncio.sleep(self._seconds)
                if self._fails and i == 2:
                    raise TierFailed(self._fails, model="word-by-word", spending=_charged(said))
                said = f"{said} {word}".strip()
                yield Delta(text=f" {word}" if i else word)
        except asyncio.CancelledError as error:
            raise TierCancelled(*error.args, model="word-by-word", spending=_charged(said)) from error
        for hit in evidence[:1]:
            yield Quoted(citation=_cite(hit))
        citations = tuple(_cite(hit) for hit in evidence[:1])
        yield Draft(
            text=said or None, citations=citations, model="word-by-word", confidence=None, confidence_source="the test",
            spending=_charged(said),
        )  # fmt: skip


def _charged(said: str) -> Spending:
    return Spending(cost_micro_usd=len(said.split()))


def make_hit(text: str, *, source: str = "handbook/leave.md", heading: str = "Leave") -> Hit:
    chunk = Chunk(chunk_id="c" * 32, document_id="d" * 32, ordinal=0, heading=heading, text=text, start=0, end=len(text))
    return Hit(chunk=chunk, source=source, title="Leave", score=1.0, dense_score=0.6, sparse_score=None)


def _cite(hit: Hit) -> Citation:
    chunk = hit.chunk
    return Citation(
        chunk_id=chunk.chunk_id, document_id=chunk.document_id, source=hit.source, title=hit.title, heading=chunk.heading,
        quote=chunk.text, start=chunk.start, end=chunk.end,
    )  # fmt: skip

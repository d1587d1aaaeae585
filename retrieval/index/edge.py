"""The embedded index: a version is a directory with a Qdrant Edge shard, written once and then only read."""

import errno
import itertools
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import qdrant_edge as edge
from filelock import FileLock, Timeout

from core.errors import CorruptIndex, EmbedderMismatch, StorageFull, SyncRunning, UnderstudyError
from core.types import Candidate, Filters, Point, Scope, Vector
from retrieval.index.manifest import FORMAT, Manifest, check_files, list_files, read_manifest, write_manifest
from retrieval.index.scrap import copy_sparse, occupied_bytes, publish, remove
from retrieval.sparse import Bm25Encoder, SparseWeights

_SCRAP = ".scrap-"
_BATCH = 500
_PAGE = 10_000
_EXACT_UP_TO_KB = 80_000
"""Vectors below this are scanned, which is exact: 20,000 of 384 dimensions take 1.5 ms, and no graph has to be built first."""
_SPARE_BYTES = 64 << 20
_REWRITTEN = frozenset({"edge_config.json"})
"""The engine writes this file anew, in one rename, whenever it loads a shard."""

_T = TypeVar("_T")


class EdgeIndex:
    stands_apart = True

    def __init__(self, directory: Path, *, spare_bytes: int = _SPARE_BYTES) -> None:
        """A build that would leave less than `spare_bytes` free on the disk is refused before it starts."""
        self._directory = directory
        self._spare_bytes = spare_bytes
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
    ) -> None:
        with _storage_errors(), self._writing():
            scrap = self._directory / f"{_SCRAP}{version}"
            remove(scrap)
            try:
                with closing(self._start(scrap / "shard", base, embedder, dimensions)) as shard:
                    self._write(shard, scope, added, removed)
                    shard.flush()
                    self._require_space(occupied_bytes(scrap))  # optimizing writes segments anew beside the old ones
                    shard.optimize()
                    shard.flush()
                write_manifest(scrap, _settle(scrap / "shard", embedder, dimensions))
                remove(self._folder(version))
                publish(scrap, self._folder(version))
            finally:
                remove(scrap)

    def open(self, version: int, *, embedder: str) -> "EdgeVersion":
        folder = self._folder(version)
        manifest = read_manifest(folder)
        if manifest.embedder != embedder:
            raise EmbedderMismatch()
        check_files(folder, folder / "shard", manifest, whole=False)
        opened = EdgeVersion(_load(folder / "shard"), self._encoder)
        if opened.chunk_counts() != manifest.chunks:
            raise CorruptIndex(f"the index version {version} has lost chunks. {CorruptIndex.__doc__}")
        return opened

    def collect(self, keep: Collection[int]) -> None:
        kept = {str(version) for version in keep}
        with self._writing():
            for path in self._directory.iterdir():
                if path.name.startswith(_SCRAP) or (path.name.isdigit() and path.name not in kept):
                    remove(path)

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

    def _start(self, shard: Path, base: int | None, embedder: str, dimensions: int) -> edge.EdgeShard:
        """A shard that holds what the base does, or nothing."""
        if base is None:
            self._require_space(0)
            shard.mkdir(parents=True)
            return _create(shard, dimensions)
        folder = self._folder(base)
        manifest = read_manifest(folder)
        if (manifest.embedder, manifest.dimensions) != (embedder, dimensions):
            raise EmbedderMismatch()
        check_files(folder, folder / "shard", manifest, whole=True)
        self._require_space(occupied_bytes(folder))
        copy_sparse(folder / "shard", shard)
        return _load(shard)

    def _require_space(self, needed: int) -> None:
        """The engine writes through mapped memory, where a full disk ends the process instead of raising an error."""
        if shutil.disk_usage(self._directory).free < 2 * needed + self._spare_bytes:
            raise StorageFull()

    def _write(self, shard: edge.EdgeShard, scope: Scope, added: Iterable[Point], removed: Collection[str]) -> None:
        for ids in _batches(removed):
            own = edge.Filter(must=[_tenant(scope), edge.HasIdCondition({UUID(chunk_id) for chunk_id in ids})])
            shard.update(edge.UpdateOperation.delete_points_by_filter(own))
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
        with _engine_panics():
            by_dense, by_sparse = (_scores(found) for found in self._shard.query_batch(edge.QueryBatchRequest(batch)))
        return [Candidate(chunk_id=key, dense=by_dense.get(key), sparse=by_sparse.get(key)) for key in by_dense | by_sparse]

    def chunk_ids(self, scope: Scope) -> set[str]:
        found: set[str] = set()
        own, offset = edge.Filter(must=[_tenant(scope)]), None
        while True:
            records, offset = self._shard.scroll(edge.ScrollRequest(offset=offset, limit=_PAGE, filter=own, with_payload=False))
            found.update(_hex(record.id) for record in records)
            if offset is None:
                return found

    def chunk_counts(self) -> dict[str, int]:
        tenants = self._shard.facet(edge.FacetRequest(key="tenant", limit=_PAGE, exact=True)).hits
        return {str(tenant.value): tenant.count for tenant in tenants}

    def close(self) -> None:
        self._shard.close()


def _create(shard: Path, dimensions: int) -> edge.EdgeShard:
    """Without the engine's log, which would lock out other readers: flush and rename make a version durable."""
    created = edge.EdgeShard.create(
        str(shard),
        edge.EdgeConfig(
            vectors={"dense": edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
            sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_EXACT_UP_TO_KB, default_segment_number=1),
            wal_enabled=False,
        ),
    )
    fields = {
        "tenant": edge.KeywordIndexParams(is_tenant=True),
        "document_id": edge.KeywordIndexParams(),
        "source": edge.KeywordIndexParams(prefix=True),
        "media_type": edge.KeywordIndexParams(),
    }
    for name, parameters in fields.items():
        created.update(edge.UpdateOperation.create_field_index(name, parameters))
    return created


def _settle(shard: Path, embedder: str, dimensions: int) -> Manifest:
    """Load once more before readers do: the engine's first load after a write folds its journals in and removes them."""
    loaded = EdgeVersion(_load(shard), Bm25Encoder())
    chunks = loaded.chunk_counts()
    loaded.close()
    return Manifest(format=FORMAT, embedder=embedder, dimensions=dimensions, chunks=chunks, files=list_files(shard, ignored=_REWRITTEN))


def _load(shard: Path) -> edge.EdgeShard:
    try:
        return edge.EdgeShard.load(str(shard))
    except BaseException as error:
        if isinstance(error, Exception) or _is_panic(error):
            raise CorruptIndex(f"the index version {shard.parent.name} is damaged ({error}). {CorruptIndex.__doc__}") from error
        raise


@contextmanager
def _storage_errors() -> Iterator[None]:
    with _engine_panics():
        try:
            yield
        except UnderstudyError:
            raise
        except Exception as error:  # the engine raises bare Exception
            if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in str(error):
                raise StorageFull() from error
            raise


@contextmanager
def _engine_panics() -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not _is_panic(error):
            raise
        if "No space left" in str(error):
            raise StorageFull() from error
        raise CorruptIndex(f"the engine gave up on the index ({error}). {CorruptIndex.__doc__}") from error


def _is_panic(error: BaseException) -> bool:
    """A damaged file can make the engine panic, which Python sees as a BaseException."""
    return not isinstance(error, Exception | KeyboardInterrupt | SystemExit | GeneratorExit)


def _tenant(scope: Scope) -> edge.FieldCondition:
    return edge.FieldCondition(key="tenant", match=edge.MatchValue(scope.tenant))


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

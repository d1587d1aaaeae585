"""The index on a Qdrant server: one collection per embedder, in which a point lives `from <= version < to`.

A further collection holds one record per version, written last: a version without a record does not exist. History is a line, so
building on a base undoes what an unfinished build put after it. Its record 0 names the installation that all of this belongs to.
No alias is switched for a new embedder: the published version names its embedder, and so its collection.
"""

import itertools
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from core.errors import Conflict, CorruptIndex, EmbedderMismatch, StorageFull, Unavailable
from core.types import Candidate, Filters, Point, PointDifference, Scope, Vector
from retrieval.index.compare import Held, compare
from retrieval.sparse import Bm25Encoder

_OPEN = 2**53 - 1
"""The `to` of a point that nothing has replaced: the largest integer that is exact as a float, in which the server compares."""
_BATCH = 256
_PAGE = 2_000
_SECONDS = 30
_OWNER = 0

_T = TypeVar("_T")


def connect(url: str, api_key: str | None, collection: str) -> "ServerIndex":
    """No request is made yet: a server that is down must not keep the rest from starting."""
    return ServerIndex(QdrantClient(url=url, api_key=api_key, timeout=_SECONDS, check_compatibility=False), collection)


class ServerIndex:
    stands_apart = False

    def __init__(self, client: QdrantClient, collection: str) -> None:
        self._client = client
        self._name = collection
        self._records = f"{collection}_versions"
        self._encoder = Bm25Encoder()

    def claim(self, owner: str) -> None:
        """Also where two claim at once: only what the server says at the end counts."""
        with _server_errors():
            self._create_records()
            if self._owner() is None:
                self._client.upsert(self._records, [models.PointStruct(id=_OWNER, vector={}, payload={"owner": owner})], wait=True)
            if self._owner() != owner:
                raise Conflict(
                    f"the collection {self._name!r} on the Qdrant server belongs to another installation of Understudy:"
                    " give this one another name in UNDERSTUDY_QDRANT__COLLECTION"
                )

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
    ) -> "ServerVersion":
        with _server_errors():
            if base is not None and self._record(base)["embedder"] != embedder:
                raise EmbedderMismatch()
            name = self._collection(embedder)
            self._create(name, dimensions)
            self._undo(name, after=version - 1 if base is None else base)
            ids = self._insert(name, scope, version, added)
            self._close_old(name, scope, version, everything=base is None, chunk_ids=ids | set(removed))
            payload = {"embedder": embedder, "chunks": self._count(name, _alive(version))}
            self._client.upsert(self._records, [models.PointStruct(id=version, vector={}, payload=payload)])
        return self.open(version, embedder=embedder)

    def open(self, version: int, *, embedder: str, whole: bool = False) -> "ServerVersion":
        with _server_errors():
            record = self._record(version)
            if record["embedder"] != embedder:
                raise EmbedderMismatch()
            name = self._collection(embedder)
            if not self._client.collection_exists(name) or self._count(name, _alive(version)) != record["chunks"]:
                raise CorruptIndex(f"the index version {version} has lost chunks. {CorruptIndex.__doc__}")
        return ServerVersion(self._client, name, version, self._encoder)

    def collect(self, keep: Collection[int]) -> None:
        with _server_errors():
            records = self._all_records()
            kept = {embedder for version, embedder in records.items() if version in keep}
            for embedder in set(records.values()) - kept:
                self._client.delete_collection(self._collection(embedder))
            unseen: list[Any] = [models.Filter(must=_alive(version)) for version in keep]
            closed = models.Filter(must=[_range("to", lt=_OPEN)], must_not=unseen)
            for embedder in kept:
                self._client.delete(self._collection(embedder), points_selector=models.FilterSelector(filter=closed))
            self._forget([version for version in records if version not in keep])

    def _collection(self, embedder: str) -> str:
        return f"{self._name}_{embedder}"

    def _owner(self) -> str | None:
        found = self._client.retrieve(self._records, [_OWNER])
        return str((found[0].payload or {})["owner"]) if found else None

    def _record(self, version: int) -> dict[str, Any]:
        found = self._client.retrieve(self._records, [version]) if self._client.collection_exists(self._records) else []
        if not found or not found[0].payload:
            raise CorruptIndex(f"the index version {version} is not on the Qdrant server. {CorruptIndex.__doc__}")
        return found[0].payload

    def _all_records(self) -> dict[int, str]:
        if not self._client.collection_exists(self._records):
            return {}
        records = _scroll(self._client, self._records, None, True)
        return {int(record.id): (record.payload or {})["embedder"] for record in records if record.id != _OWNER}

    def _forget(self, versions: list[int]) -> None:
        if versions:
            self._client.delete(self._records, points_selector=models.PointIdsList(points=list(versions)))

    def _create_records(self) -> None:
        if not self._client.collection_exists(self._records):
            self._client.create_collection(self._records, vectors_config={})

    def _create(self, name: str, dimensions: int) -> None:
        self._create_records()
        if self._client.collection_exists(name):
            return
        self._client.create_collection(
            name,
            vectors_config={"dense": models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
            sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        self._create_payload_indexes(name)

    def _create_payload_indexes(self, name: str) -> None:
        keyword, integer = models.KeywordIndexType.KEYWORD, models.IntegerIndexType.INTEGER
        fields: dict[str, Any] = {
            "tenant": models.KeywordIndexParams(type=keyword, is_tenant=True),
            "chunk_id": models.KeywordIndexParams(type=keyword),
            "document_id": models.KeywordIndexParams(type=keyword),
            "source": models.KeywordIndexParams(type=keyword, prefix=True),
            "media_type": models.KeywordIndexParams(type=keyword),
            "from": models.IntegerIndexParams(type=integer, lookup=False, range=True),
            "to": models.IntegerIndexParams(type=integer, lookup=True, range=True),
        }
        with warnings.catch_warnings(action="ignore"):  # the client's local mode says that it has no payload indexes
            for field, schema in fields.items():
                self._client.create_payload_index(name, field, field_schema=schema)

    def _undo(self, name: str, *, after: int) -> None:
        """Take back what builds after this version did, which ended before their record was published."""
        newer = models.Filter(must=[_range("from", gt=after)])
        self._client.delete(name, points_selector=models.FilterSelector(filter=newer))
        closed = models.Filter(must=[_range("to", gt=after, lt=_OPEN)])
        self._client.set_payload(name, {"to": _OPEN}, points=models.FilterSelector(filter=closed))
        self._forget([version for version in self._all_records() if version > after])

    def _insert(self, name: str, scope: Scope, version: int, added: Iterable[Point]) -> set[str]:
        """Put the new points in and read back that they are there, before anything old is closed."""
        ids: set[str] = set()
        for points in _batches(added):
            ids.update(point.chunk_id for point in points)
            self._client.upsert(name, [self._to_sdk(scope, version, point) for point in points], wait=True)
        arrived = self._count(name, [_equal("tenant", scope.tenant), _equal("from", version)])
        if arrived != len(ids):
            raise Unavailable(f"the Qdrant server took {arrived} of {len(ids)} new chunks: run the command again")
        return ids

    def _close_old(self, name: str, scope: Scope, version: int, *, everything: bool, chunk_ids: set[str]) -> None:
        old: list[Any] = [_equal("to", _OPEN), _range("from", lt=version)]
        if everything:
            self._set_to(name, version, old)
            return
        for ids in _batches(sorted(chunk_ids)):
            self._set_to(name, version, [*old, _equal("tenant", scope.tenant), _any_of(ids)])

    def _set_to(self, name: str, version: int, conditions: list[Any]) -> None:
        self._client.set_payload(name, {"to": version}, points=models.FilterSelector(filter=models.Filter(must=conditions)), wait=True)

    def _count(self, name: str, conditions: list[Any]) -> int:
        return self._client.count(name, count_filter=models.Filter(must=conditions), exact=True).count

    def _to_sdk(self, scope: Scope, version: int, point: Point) -> models.PointStruct:
        weights = self._encoder.encode_document(point.embedded_text)
        vector: dict[str, Any] = {"dense": point.dense.tolist()}
        if weights.indices:
            vector["bm25"] = models.SparseVector(indices=weights.indices, values=weights.values)
        payload = {
            "tenant": scope.tenant,
            "chunk_id": point.chunk_id,
            "document_id": point.document_id,
            "source": point.source,
            "media_type": point.media_type,
            "from": version,
            "to": _OPEN,
        }
        point_id = uuid5(NAMESPACE_OID, f"{scope.tenant} {point.chunk_id} {version}")
        return models.PointStruct(id=str(point_id), vector=vector, payload=payload)


class ServerVersion:
    def __init__(self, client: QdrantClient, collection: str, version: int, encoder: Bm25Encoder) -> None:
        self._client = client
        self._collection = collection
        self._version = version
        self._encoder = encoder

    def search(self, scope: Scope, dense: Vector, question: str, *, limit: int, filters: Filters) -> list[Candidate]:
        own = self._own(scope)
        narrowed = models.Filter(must=[*own, *_conditions(filters)])
        weights = self._encoder.encode_query(question)
        queries = [
            models.QueryRequest(query=dense.tolist(), using="dense", filter=narrowed, limit=limit, with_payload=["chunk_id"]),
            models.QueryRequest(
                query=models.SparseVector(indices=weights.indices, values=weights.values),
                using="bm25",
                filter=narrowed,
                params=models.SearchParams(idf=models.IdfCorpusParams(corpus=models.Filter(must=own))),
                limit=limit,
                with_payload=["chunk_id"],
            ),
        ]
        with _server_errors():  # a question without a word that counts has no sparse vector to search with
            found = self._client.query_batch_points(self._collection, queries if weights.indices else queries[:1])
        by_dense = _scores(found[0])
        by_sparse = _scores(found[1]) if weights.indices else {}
        return [Candidate(chunk_id=key, dense=by_dense.get(key), sparse=by_sparse.get(key)) for key in by_dense | by_sparse]

    def chunk_ids(self, scope: Scope) -> set[str]:
        return self._scrolled(self._own(scope))

    def count(self, scope: Scope) -> int:
        with _server_errors():
            return self._client.count(self._collection, count_filter=models.Filter(must=self._own(scope)), exact=True).count

    def held(self, scope: Scope, chunk_ids: Collection[str]) -> set[str]:
        return {found for ids in _batches(chunk_ids) for found in self._scrolled([*self._own(scope), _any_of(ids)])}

    def _scrolled(self, conditions: list[Any]) -> set[str]:
        with _server_errors():
            records = _scroll(self._client, self._collection, models.Filter(must=conditions), ["chunk_id"])
            return {(record.payload or {})["chunk_id"] for record in records}

    def compare(self, scope: Scope, expected: Iterable[Point]) -> Iterator[PointDifference]:
        with _server_errors():
            yield from compare(expected, partial(self._held, scope), self.chunk_ids(scope), self._encoder)

    def _held(self, scope: Scope, chunk_ids: list[str]) -> Iterator[Held]:
        named = models.FieldCondition(key="chunk_id", match=models.MatchAny(any=chunk_ids))
        for record in _scroll(self._client, self._collection, models.Filter(must=[*self._own(scope), named]), True, vectors=True):
            yield _to_held(record)

    def close(self) -> None:
        """The client belongs to whoever made it."""

    def _own(self, scope: Scope) -> list[Any]:
        return [_equal("tenant", scope.tenant), *_alive(self._version)]


@contextmanager
def _server_errors() -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        if "No space left" in str(error):
            raise StorageFull("the disk of the Qdrant server is full: free some space there and run the command again") from error
        refusal = f"{error.status_code} {error.reason_phrase}"
        raise Unavailable(f"the Qdrant server refused ({refusal}): check UNDERSTUDY_QDRANT__API_KEY and the server's log") from error
    except ApiException as error:
        raise Unavailable(f"the Qdrant server cannot be reached ({error}): check UNDERSTUDY_QDRANT__URL and that it runs") from error


def _to_held(record: models.Record) -> Held:
    payload = record.payload or {}
    vector: Any = record.vector or {}
    words = vector.get("bm25")
    return Held(
        chunk_id=str(payload.get("chunk_id")),
        document_id=str(payload.get("document_id")),
        source=str(payload.get("source")),
        media_type=str(payload.get("media_type")),
        dense=np.asarray(vector.get("dense", ()), dtype=np.float32),
        words={} if words is None else dict(zip(words.indices, words.values, strict=True)),
    )


def _scroll(
    client: QdrantClient, name: str, condition: models.Filter | None, payload: bool | list[str], *, vectors: bool = False
) -> Iterator[models.Record]:
    offset = None
    while True:
        records, offset = client.scroll(
            name, scroll_filter=condition, limit=_PAGE, offset=offset, with_payload=payload, with_vectors=vectors
        )
        yield from records
        if offset is None:
            return


def _alive(version: int) -> list[Any]:
    return [_range("from", lte=version), _range("to", gt=version)]


def _conditions(filters: Filters) -> list[models.Filter]:
    alternatives: tuple[list[Any], ...] = (
        [_equal("document_id", value) for value in filters.document_id],
        [_source(value) for value in filters.source],
        [_equal("media_type", value) for value in filters.media_type],
    )
    return [models.Filter(should=some) for some in alternatives if some]


def _source(value: str) -> models.FieldCondition:
    if value.endswith("/"):
        return models.FieldCondition(key="source", match=models.MatchPrefix(prefix=value))
    return _equal("source", value)


def _equal(field: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _any_of(chunk_ids: list[str]) -> models.FieldCondition:
    return models.FieldCondition(key="chunk_id", match=models.MatchAny(any=chunk_ids))


def _range(field: str, **bounds: int) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.Range(**{name: float(bound) for name, bound in bounds.items()}))


def _scores(response: models.QueryResponse) -> dict[str, float]:
    return {(point.payload or {})["chunk_id"]: point.score for point in response.points}


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch

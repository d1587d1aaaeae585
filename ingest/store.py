"""Documents, chunks and embeddings in SQL: rows with a life from one version to another."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite

from core.schema import chunks, documents, embeddings
from core.types import Chunk, Matrix, Point, Scope, Vector
from core.versions import alive
from ingest.cuts import embedded_hash
from ingest.diff import Plan, Stored
from ingest.reading import Incoming

_BATCH = 500
_FLOAT = np.dtype("<f4")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Searchable:
    """A chunk on its way into the index."""

    chunk_id: str
    document_id: str
    source: str
    media_type: str
    embedded_text: str
    embedded_hash: str


def read_documents(connection: Connection, scope: Scope) -> dict[str, Stored]:
    """The published documents by id."""
    columns = [documents.c[name] for name in Stored.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(_alive(documents, scope)))
    return {row.document_id: Stored(**row._mapping) for row in rows}


def read_chunks(connection: Connection, scope: Scope, document_ids: Collection[str]) -> dict[str, list[Chunk]]:
    """The published chunks of some documents, by document."""
    columns = [chunks.c[name] for name in Chunk.__dataclass_fields__]
    found: dict[str, list[Chunk]] = {}
    for batch in batches(document_ids):
        query = select(*columns).where(_alive(chunks, scope), chunks.c.document_id.in_(batch))
        for row in connection.execute(query):
            found.setdefault(row.document_id, []).append(Chunk(**row._mapping))
    return found


def read_chunk_ids(connection: Connection, scope: Scope) -> set[str]:
    return set(connection.execute(select(chunks.c.chunk_id).where(_alive(chunks, scope))).scalars())


def count_chunks(connection: Connection, scope: Scope) -> int:
    return int(connection.execute(select(func.count()).select_from(chunks).where(_alive(chunks, scope))).scalar_one())


def read_searchables(
    connection: Connection, scope: Scope, *, without: Collection[str] = (), version: int | None = None
) -> list[Searchable]:
    """Every chunk but some of the published or a kept version, as the index needs it."""
    same_document = (documents.c.tenant == chunks.c.tenant) & (documents.c.document_id == chunks.c.document_id)
    query = (
        select(
            chunks.c.chunk_id,
            chunks.c.document_id,
            chunks.c.heading,
            chunks.c.text,
            chunks.c.embedded_hash,
            documents.c.source,
            documents.c.media_type,
        )
        .join(documents, same_document & _living(documents, version))
        .where(chunks.c.tenant == scope.tenant, _living(chunks, version))
    )
    dropped = set(without)
    return [
        Searchable(
            chunk_id=row.chunk_id,
            document_id=row.document_id,
            source=row.source,
            media_type=row.media_type,
            embedded_text=f"{row.heading}\n{row.text}" if row.heading else row.text,
            embedded_hash=row.embedded_hash,
        )
        for row in connection.execute(query)
        if row.chunk_id not in dropped
    ]


def planned_searchables(plan: Plan) -> list[Searchable]:
    return [
        Searchable(
            chunk_id=chunk.chunk_id,
            document_id=document.document_id,
            source=document.source,
            media_type=document.media_type,
            embedded_text=chunk.embedded_text,
            embedded_hash=embedded_hash(chunk),
        )
        for document, chunk in plan.added_points
    ]


def known_embeddings(connection: Connection, scope: Scope, embedder: str, hashes: Collection[str]) -> set[str]:
    known: set[str] = set()
    for batch in batches(hashes):
        known.update(connection.execute(select(embeddings.c.embedded_hash).where(_embedded(scope, embedder, batch))).scalars())
    return known


def count_unembedded(connection: Connection, embedder: str) -> int:
    """Texts of all tenants' published chunks that have no vector of this embedder."""
    same = (embeddings.c.tenant == chunks.c.tenant) & (embeddings.c.embedded_hash == chunks.c.embedded_hash)
    known = exists().where(same, embeddings.c.embedder == embedder)
    texts = select(chunks.c.tenant, chunks.c.embedded_hash).where(chunks.c.to_version.is_(None), ~known).distinct().subquery()
    return connection.execute(select(func.count()).select_from(texts)).scalar_one()


def keep_embeddings(connection: Connection, scope: Scope, embedder: str, hashes: Sequence[str], vectors: Matrix) -> None:
    """Also where another run was first: equal texts have equal vectors. Each counts as unused until its text is published."""
    row = {"tenant": scope.tenant, "embedder": embedder, "unused_since": time.time()}
    rows = [{**row, "embedded_hash": key, "vector": vector.astype(_FLOAT).tobytes()} for key, vector in zip(hashes, vectors, strict=True)]
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(embeddings).on_conflict_do_nothing(), rows)


def read_vectors(connection: Connection, scope: Scope, embedder: str, hashes: Collection[str]) -> dict[str, Vector]:
    """By the hash of their text; those that are not kept are left out."""
    found: dict[str, Vector] = {}
    for batch in batches(hashes):
        query = select(embeddings.c.embedded_hash, embeddings.c.vector).where(_embedded(scope, embedder, batch))
        found |= {row.embedded_hash: np.frombuffer(row.vector, dtype=_FLOAT) for row in connection.execute(query)}
    return found


def vector_length(stored: bytes) -> int:
    return len(stored) // _FLOAT.itemsize


def read_points(engine: Engine, scope: Scope, embedder: str, searchables: Iterable[Searchable]) -> Iterator[Point]:
    """Chunks with their kept vectors, a batch at a time."""
    for batch in batches(searchables):
        with engine.connect() as connection:
            vectors = read_vectors(connection, scope, embedder, {row.embedded_hash for row in batch})
        for row in batch:
            yield Point(
                chunk_id=row.chunk_id,
                document_id=row.document_id,
                source=row.source,
                media_type=row.media_type,
                dense=vectors[row.embedded_hash],
                embedded_text=row.embedded_text,
            )


def apply_plan(connection: Connection, scope: Scope, version: int, plan: Plan) -> None:
    """Inside the caller's transaction."""
    _end(connection, documents, documents.c.document_id, scope, version, plan.closed_documents)
    _end(connection, chunks, chunks.c.chunk_id, scope, version, plan.closed_chunks)
    _insert(connection, documents, (_document_row(scope, version, new) for new in plan.opened_documents))
    _insert(connection, chunks, (_chunk_row(scope, version, chunk) for chunk in plan.opened_chunks))


def touch_files(connection: Connection, scope: Scope, touched: Mapping[str, Incoming]) -> None:
    """A file's hash, and how the text was cut, tell nothing about the content that is served, so they belong to no version."""
    if touched:
        change = documents.update().where(_alive(documents, scope), documents.c.document_id == bindparam("identity"))
        names = ("file_hash", "cut_by", "outline")
        rows = [{"identity": identity, **{f"new_{name}": getattr(new, name) for name in names}} for identity, new in touched.items()]
        connection.execute(change.values({name: bindparam(f"new_{name}") for name in names}), rows)


def batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _alive(table: Table, scope: Scope) -> ColumnElement[bool]:
    return (table.c.tenant == scope.tenant) & table.c.to_version.is_(None)


def _living(table: Table, version: int | None) -> ColumnElement[bool]:
    return table.c.to_version.is_(None) if version is None else alive(table, version)


def _embedded(scope: Scope, embedder: str, hashes: Collection[str]) -> ColumnElement[bool]:
    return (embeddings.c.tenant == scope.tenant) & (embeddings.c.embedder == embedder) & embeddings.c.embedded_hash.in_(hashes)


def _end(connection: Connection, table: Table, key: ColumnElement[Any], scope: Scope, version: int, ids: Collection[str]) -> None:
    for batch in batches(ids):
        connection.execute(table.update().where(_alive(table, scope), key.in_(batch)).values(to_version=version))


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    for batch in batches(rows):
        connection.execute(table.insert(), batch)


def _document_row(scope: Scope, version: int, new: Incoming) -> dict[str, Any]:
    document = new.document
    return {
        "tenant": scope.tenant,
        "document_id": document.document_id,
        "from_version": version,
        "to_version": None,
        "source_id": new.source_id,
        "path": new.path,
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "content_hash": document.content_hash,
        "file_hash": new.file_hash,
        "text": document.text,
        "outline": new.outline,
        "cut_by": new.cut_by,
    }


def _chunk_row(scope: Scope, version: int, chunk: Chunk) -> dict[str, Any]:
    return {
        "tenant": scope.tenant,
        "chunk_id": chunk.chunk_id,
        "from_version": version,
        "to_version": None,
        "document_id": chunk.document_id,
        "ordinal": chunk.ordinal,
        "heading": chunk.heading,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "embedded_hash": embedded_hash(chunk),
    }

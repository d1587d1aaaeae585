"""The documents and chunks of kept versions, and which of them differ between two; read from SQL alone."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, select

from core.schema import chunks, documents
from core.types import Chunk, Scope
from core.versions import alive
from ingest.diff import Stored
from ingest.store import batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Cutting:
    """A chunk without its text."""

    chunk_id: str
    document_id: str
    ordinal: int
    heading: str
    start: int
    end: int
    embedded_hash: str
    """Equal for texts that read the same."""


def differing(connection: Connection, scope: Scope, one: int, other: int) -> list[str]:
    """Ids of the documents of which a row or a chunk came or went between two versions, in order."""
    found: set[str] = set()
    for table in (documents, chunks):
        query = select(table.c.document_id).where(table.c.tenant == scope.tenant, _came_or_went(table, one, other))
        found.update(connection.execute(query.distinct()).scalars())
    return sorted(found)


def documents_at(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> dict[str, Stored]:
    query = _columns(documents, Stored.__dataclass_fields__, scope, version)
    return {row["document_id"]: Stored(**row) for row in _rows(connection, query, documents.c.document_id, document_ids)}


def texts_at(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> dict[str, str]:
    """Whole documents."""
    query = _columns(documents, ("document_id", "text"), scope, version)
    return {row["document_id"]: row["text"] for row in _rows(connection, query, documents.c.document_id, document_ids)}


def outlines_at(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> dict[str, str | None]:
    query = _columns(documents, ("document_id", "outline"), scope, version)
    return {row["document_id"]: row["outline"] for row in _rows(connection, query, documents.c.document_id, document_ids)}


def cuttings_at(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> dict[str, list[Cutting]]:
    """By document, in the order of its text."""
    query = _columns(chunks, Cutting.__dataclass_fields__, scope, version).order_by(chunks.c.ordinal)
    found: dict[str, list[Cutting]] = {}
    for row in _rows(connection, query, chunks.c.document_id, document_ids):
        found.setdefault(row["document_id"], []).append(Cutting(**row))
    return found


def chunks_at(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> dict[str, list[Chunk]]:
    """By document, in the order of its text."""
    query = _columns(chunks, Chunk.__dataclass_fields__, scope, version).order_by(chunks.c.ordinal)
    found: dict[str, list[Chunk]] = {}
    for row in _rows(connection, query, chunks.c.document_id, document_ids):
        found.setdefault(row["document_id"], []).append(Chunk(**row))
    return found


def chunk_texts_at(connection: Connection, scope: Scope, version: int, chunk_ids: Collection[str]) -> dict[str, str]:
    query = _columns(chunks, ("chunk_id", "text"), scope, version)
    return {row["chunk_id"]: row["text"] for row in _rows(connection, query, chunks.c.chunk_id, chunk_ids)}


def orphans(connection: Connection, scope: Scope, version: int) -> list[str]:
    """Ids of chunks of which no document is in the version."""
    same = (documents.c.tenant == chunks.c.tenant) & (documents.c.document_id == chunks.c.document_id) & alive(documents, version)
    lost = (chunks.c.tenant == scope.tenant) & alive(chunks, version) & documents.c.document_id.is_(None)
    return list(connection.execute(select(chunks.c.chunk_id).select_from(chunks.outerjoin(documents, same)).where(lost)).scalars())


def _columns(table: Table, names: Iterable[str], scope: Scope, version: int) -> Select[Any]:
    return select(*(table.c[name] for name in names)).where(table.c.tenant == scope.tenant, alive(table, version))


def _rows(connection: Connection, query: Select[Any], key: ColumnElement[Any], keys: Collection[str]) -> Iterator[RowMapping]:
    for batch in batches(keys):
        yield from connection.execute(query.where(key.in_(batch))).mappings()


def _came_or_went(table: Table, one: int, other: int) -> ColumnElement[bool]:
    low, high = sorted((one, other))
    return table.c.from_version.between(low + 1, high) | table.c.to_version.between(low + 1, high)

"""The texts behind chunk ids, as one version of the database has them."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, Table, and_, or_, select
from sqlalchemy.sql.elements import ColumnElement

from core.schema import chunks, documents
from core.types import Chunk, Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkText:
    chunk: Chunk
    source: str
    title: str


def read_texts(connection: Connection, scope: Scope, version: int, chunk_ids: Collection[str]) -> dict[str, ChunkText]:
    """In one query, by chunk id; ids that this tenant does not have in this version are left out."""
    joined = chunks.join(documents, and_(documents.c.tenant == chunks.c.tenant, documents.c.document_id == chunks.c.document_id))
    query = (
        select(chunks, documents.c.source, documents.c.title)
        .select_from(joined)
        .where(chunks.c.tenant == scope.tenant, chunks.c.chunk_id.in_(chunk_ids), alive(chunks, version), alive(documents, version))
    )
    return {row["chunk_id"]: _chunk_text(row) for row in connection.execute(query).mappings()}


def alive(table: Table, version: int) -> ColumnElement[bool]:
    """The rows that are in `version`."""
    return and_(table.c.from_version <= version, or_(table.c.to_version.is_(None), table.c.to_version > version))


def _chunk_text(row: RowMapping) -> ChunkText:
    fields = ("chunk_id", "document_id", "ordinal", "heading", "text", "start", "end")
    return ChunkText(chunk=Chunk(**{name: row[name] for name in fields}), source=row["source"], title=row["title"])

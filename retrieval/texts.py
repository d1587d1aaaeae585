"""The texts behind chunk ids, as one version of the database has them."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, RowMapping, Select, and_, bindparam, select

from core.schema import chunks, documents
from core.types import Chunk, Scope
from core.versions import alive

_FIELDS = ("chunk_id", "document_id", "ordinal", "heading", "text", "start", "end")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkText:
    chunk: Chunk
    source: str
    title: str


def read_texts(connection: Connection, scope: Scope, version: int, chunk_ids: Collection[str]) -> dict[str, ChunkText]:
    """In one query, by chunk id; ids that this tenant does not have in this version are left out."""
    values = {"tenant": scope.tenant, "version": version, "chunk_ids": list(chunk_ids)}
    return {row["chunk_id"]: _chunk_text(row) for row in connection.execute(_by_id(), values).mappings()}


@cache
def _by_id() -> Select[Any]:
    """Built once: composing it takes longer than running it."""
    version = bindparam("version", type_=BigInteger)
    joined = chunks.join(documents, and_(documents.c.tenant == chunks.c.tenant, documents.c.document_id == chunks.c.document_id))
    return (
        select(*(chunks.c[name] for name in _FIELDS), documents.c.source, documents.c.title)
        .select_from(joined)
        .where(
            chunks.c.tenant == bindparam("tenant"), chunks.c.chunk_id.in_(bindparam("chunk_ids", expanding=True)),
            alive(chunks, version), alive(documents, version),
        )
    )  # fmt: skip


def _chunk_text(row: RowMapping) -> ChunkText:
    return ChunkText(chunk=Chunk(**{name: row[name] for name in _FIELDS}), source=row["source"], title=row["title"])

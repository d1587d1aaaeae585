"""Documents are cut again from what is kept of them, without their file."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, select

from core.schema import documents
from core.types import Document
from ingest.cuts import make_chunks
from ingest.parsed import parsed_again
from ingest.reading import Incoming
from ingest.store import batches
from ingest.target import Target

_FIELDS = tuple(Document.__dataclass_fields__)
_READ = (*_FIELDS, "source_id", "path", "file_hash", "outline")


def recut(target: Target, document_ids: Collection[str]) -> list[Incoming]:
    """Of the published documents; without those whose outline is not known, or whose text is not the one that was read."""
    published = (documents.c.tenant == target.scope.tenant) & documents.c.to_version.is_(None)
    query = select(*(documents.c[name] for name in _READ)).where(published, documents.c.outline.is_not(None))
    with target.engine.connect() as connection:
        found = (connection.execute(query.where(documents.c.document_id.in_(batch))) for batch in batches(document_ids))
        return [cut for rows in found for row in rows if (cut := _cut(target, row)) is not None]


def _cut(target: Target, row: Row[*tuple[Any, ...]]) -> Incoming | None:
    parsed = parsed_again(row.text, row.outline, row.media_type, row.content_hash)
    if parsed is None:
        return None
    return Incoming(
        document=Document(**{name: row._mapping[name] for name in _FIELDS}), source_id=row.source_id, path=row.path,
        file_hash=row.file_hash or "", outline=row.outline, cut_by=target.cut_by,
        chunks=make_chunks(target.scope.tenant, row.document_id, row.text, target.chunker.cut(parsed)),
    )  # fmt: skip

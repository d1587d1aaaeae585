"""Documents that were cut by another chunker are cut again from what is kept of them, without their file."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, or_, select

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
    """Those of the published documents that this chunker has not cut; without those whose outline is not known."""
    other = or_(documents.c.cut_by.is_(None), documents.c.cut_by != target.cut_by) & documents.c.outline.is_not(None)
    published = (documents.c.tenant == target.scope.tenant) & documents.c.to_version.is_(None)
    query = select(*(documents.c[name] for name in _READ)).where(published, other)
    with target.engine.connect() as connection:
        found = (connection.execute(query.where(documents.c.document_id.in_(batch))) for batch in batches(document_ids))
        return [_cut(target, row) for rows in found for row in rows]


def _cut(target: Target, row: Row[*tuple[Any, ...]]) -> Incoming:
    cuts = target.chunker.cut(parsed_again(row.text, row.outline))
    return Incoming(
        document=Document(**{name: row._mapping[name] for name in _FIELDS}), source_id=row.source_id, path=row.path,
        file_hash=row.file_hash or "", outline=row.outline, cut_by=target.cut_by,
        chunks=make_chunks(target.scope.tenant, row.document_id, row.text, cuts),
    )  # fmt: skip

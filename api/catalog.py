"""What the published version holds, read from SQL; always one tenant's."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, func, select

from api.question import is_storable
from api.schemas import DocumentReply, DocumentsReply, DocumentSummary, FailureBody, HoldBody, IndexReply, ProgressBody, SourceBody
from core.database import one_moment
from core.errors import Conflict, NotFound, NothingPublished
from core.schema import chunks, documents, failures, forgotten, index_versions, sources
from core.types import Scope, SyncProgress
from core.versions import alive, reading
from ingest.catalog import read_sources
from ingest.hold import read_hold, require_released
from ingest.sources import display_name
from ingest.versions import read_published


def read_index(engine: Engine, scope: Scope, *, sync_running: bool, progress: SyncProgress | None = None) -> IndexReply:
    with one_moment(engine) as connection:
        version = read_published(connection).version
        published = connection.execute(select(index_versions).where(index_versions.c.version == version)).one_or_none()
        return IndexReply(
            version=version,
            documents=_count(connection, documents, scope, version),
            chunks=_count(connection, chunks, scope, version),
            embedder=published.embedder if published else None,
            published_at=published.published_at if published else None,
            sources=_sources(connection, scope),
            failed=_failures(connection, scope),
            sync_running=sync_running,
            sync_progress=None if progress is None else ProgressBody.model_validate(progress),
            held=_held(connection, scope),
        )


def _held(connection: Connection, scope: Scope) -> HoldBody | None:
    held = read_hold(connection, scope)
    return None if held is None else HoldBody.model_validate(held)


def count_all(engine: Engine) -> tuple[int, int, int]:
    """Published version, documents and chunks of every tenant together, for the metrics."""
    with one_moment(engine) as connection:
        version = read_published(connection).version
        return version or 0, _count(connection, documents, None, version), _count(connection, chunks, None, version)


def list_documents(engine: Engine, scope: Scope, *, after: str, limit: int, as_of: int | None = None) -> DocumentsReply:
    """A page of documents in the order of their ids, beginning behind the id `after`; raises VersionNotKept."""
    with one_moment(engine) as connection, _reading(connection, as_of) as version:
        columns = [documents.c[name] for name in ("document_id", "source", "title", "media_type", "content_hash")]
        page = select(*columns).where(_alive(documents, scope, version), documents.c.document_id > after)
        rows = connection.execute(page.order_by(documents.c.document_id).limit(limit + 1)).all()
        total = _count(connection, documents, scope, version)
    shown = [
        DocumentSummary(id=r.document_id, source=r.source, title=r.title, media_type=r.media_type, content_hash=r.content_hash)
        for r in rows[:limit]
    ]
    return DocumentsReply(documents=shown, total=total, next=shown[-1].id if len(rows) > limit else None, index_version=version)


def read_document(engine: Engine, scope: Scope, document_id: str, *, as_of: int | None = None) -> DocumentReply:
    """Raises NotFound, and VersionNotKept."""
    with one_moment(engine) as connection, _reading(connection, as_of) as version:
        found = select(documents).where(_alive(documents, scope, version), documents.c.document_id == document_id)
        row = connection.execute(found).one_or_none() if is_storable(document_id) else None
        if row is None:
            raise NotFound(f"no document {document_id!r} in version {version}: GET /v1/documents lists those that are there")
        cut = connection.execute(
            select(func.count()).where(_alive(chunks, scope, version), chunks.c.document_id == document_id)
        ).scalar_one()
    return DocumentReply(
        id=row.document_id, source=row.source, title=row.title, media_type=row.media_type, content_hash=row.content_hash,
        text=row.text, index_version=version, chunks=cut,
    )  # fmt: skip


def require_deletable(engine: Engine, scope: Scope, document_id: str) -> None:
    """Raises NotFound for a document that is not there, Conflict for one that a folder or file would bring back."""
    with one_moment(engine) as connection:
        version = _required_version(connection)
        kind = select(documents.c.source, sources.c.kind).join(
            sources, and_(sources.c.tenant == documents.c.tenant, sources.c.source_id == documents.c.source_id)
        )
        row = connection.execute(kind.where(_alive(documents, scope, version), documents.c.document_id == document_id)).one_or_none()
    if row is None:
        raise NotFound(f"no document {document_id!r} in version {version}: GET /v1/documents lists those that are there")
    if row.kind != "api":
        raise Conflict(f"{row.source!r} is a file: delete the file and sync, or the next sync would bring it back")


@contextmanager
def _reading(connection: Connection, as_of: int | None) -> Iterator[int]:
    version = _required_version(connection) if as_of is None else as_of
    with reading(connection, version):
        yield version


def require_syncable(engine: Engine, scope: Scope) -> None:
    """Raises SourcesHeld."""
    with engine.connect() as connection:
        require_released(connection, scope)


def _required_version(connection: Connection) -> int:
    version = read_published(connection).version
    if version is None:
        raise NothingPublished()
    return version


def _alive(table: Table, scope: Scope | None, version: int) -> ColumnElement[bool]:
    life = alive(table, version)
    return life if scope is None else and_(life, table.c.tenant == scope.tenant)


def _count(connection: Connection, table: Table, scope: Scope | None, version: int | None) -> int:
    if version is None:
        return 0
    return connection.execute(select(func.count()).select_from(table).where(_alive(table, scope, version))).scalar_one()


def _sources(connection: Connection, scope: Scope) -> list[SourceBody]:
    rows = connection.execute(select(sources).where(sources.c.tenant == scope.tenant).order_by(sources.c.added_at, sources.c.name))
    counted = select(forgotten.c.source_id, func.count().label("forgotten")).where(forgotten.c.tenant == scope.tenant)
    left_out: dict[str, int] = {row.source_id: row.forgotten for row in connection.execute(counted.group_by(forgotten.c.source_id))}
    return [
        SourceBody(
            kind=row.kind, name=row.name, location=row.location, ref=row.ref, revision=row.revision,
            forgotten=left_out.get(row.source_id, 0),
        )
        for row in rows
    ]  # fmt: skip


def _failures(connection: Connection, scope: Scope) -> list[FailureBody]:
    named = {source.source_id: source for source in read_sources(connection, scope)}
    rows = connection.execute(select(failures).where(failures.c.tenant == scope.tenant).order_by(failures.c.path)).all()
    shown = [FailureBody(source=display_name(named[row.source_id], row.path), reason=row.reason) for row in rows if row.source_id in named]
    return sorted(shown, key=lambda failure: failure.source)

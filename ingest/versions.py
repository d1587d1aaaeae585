"""Versions: which one is published, the next number, publication in one transaction, and what may go afterwards."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, Table, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from core.database import read_state, write_state
from core.errors import EmbedderMismatch, SyncRunning, UnderstudyError
from core.protocols import Index
from core.schema import chunks, documents, embeddings, failures, index_versions
from core.types import Scope, SyncReport
from ingest.diff import Plan
from ingest.sources import Unread
from ingest.store import apply_plan, touch_files

_PUBLISHED = "published_version"
_LAST = "last_version"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    version: int | None
    embedder: str | None

    def require(self, embedder: str) -> None:
        if self.version is not None and self.embedder != embedder:
            raise EmbedderMismatch()


def read_published(connection: Connection) -> Published:
    value = read_state(connection, _PUBLISHED)
    version = int(value) if value else None
    embedder = connection.execute(select(index_versions.c.embedder).where(index_versions.c.version == version)).scalar_one_or_none()
    return Published(version=version, embedder=embedder)


def reserve_version(engine: Engine) -> int:
    """A number that was never used, not even by a run that was broken off."""
    with engine.begin() as connection:
        newest = connection.execute(select(func.max(index_versions.c.version))).scalar_one() or 0
        version = max(newest, int(read_state(connection, _LAST) or 0)) + 1
        write_state(connection, _LAST, str(version))
    return version


def publish(connection: Connection, scope: Scope, base: int | None, embedder: str, plan: Plan, report: SyncReport) -> SyncReport:
    """Inside the caller's transaction, whose end is the moment in which readers see the new version."""
    if read_published(connection).version != base:
        raise SyncRunning("another sync has published meanwhile, on another machine: run this one again")
    apply_plan(connection, scope, report.version, plan)
    touch_files(connection, scope, plan.touched)
    counts = {"documents": _count(connection, documents, scope), "chunks": _count(connection, chunks, scope)}
    row = {"version": report.version, "tenant": scope.tenant, "embedder": embedder, "published_at": time.time(), "report": asdict(report)}
    connection.execute(index_versions.insert().values(**row, **counts))
    write_state(connection, _PUBLISHED, str(report.version))
    return report


def record_failures(connection: Connection, scope: Scope, unread: Sequence[Unread]) -> None:
    """What could not be read this time, instead of last time's."""
    connection.execute(failures.delete().where(failures.c.tenant == scope.tenant))
    rows = {(failure.source.source_id, failure.path): failure for failure in unread}
    now = time.time()
    if rows:
        identities = [{"tenant": scope.tenant, "source_id": source_id, "path": path} for source_id, path in rows]
        values = [{**identity, "reason": row.reason, "at": now} for identity, row in zip(identities, rows.values(), strict=True)]
        connection.execute(failures.insert(), values)


def collect_garbage(engine: Engine, index: Index, keep_versions: int) -> None:
    """Best effort: what stays now goes after the next sync."""
    try:
        with engine.begin() as connection:
            newest = select(index_versions.c.version).order_by(index_versions.c.version.desc()).limit(keep_versions)
            kept = list(connection.execute(newest).scalars())
            if kept:
                _drop_before(connection, min(kept))
        index.collect(kept)
    except (UnderstudyError, OSError, SQLAlchemyError) as error:
        _log.warning("old versions could not be removed yet: %s", error)


def _drop_before(connection: Connection, oldest: int) -> None:
    dropped = connection.execute(delete(index_versions).where(index_versions.c.version < oldest)).rowcount
    for table in (documents, chunks):
        dropped += connection.execute(delete(table).where(table.c.to_version <= oldest)).rowcount
    if dropped:
        for tenant in connection.execute(select(embeddings.c.tenant).distinct()).scalars().all():
            used = select(chunks.c.embedded_hash).where(chunks.c.tenant == tenant)
            connection.execute(delete(embeddings).where(embeddings.c.tenant == tenant, embeddings.c.embedded_hash.not_in(used)))


def _count(connection: Connection, table: Table, scope: Scope) -> int:
    query = select(func.count()).select_from(table).where(table.c.tenant == scope.tenant, table.c.to_version.is_(None))
    return int(connection.execute(query).scalar_one())

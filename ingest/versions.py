"""Versions: which one is published, the next number, publication in one transaction, and what may go afterwards."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, exists, func, select
from sqlalchemy.exc import SQLAlchemyError

from core.database import empty_journal, read_state, replace_state
from core.errors import SyncRunning, UnderstudyError
from core.protocols import Index
from core.schema import chunks, documents, embeddings, failures, index_versions
from core.types import BuiltBy, Cause, Scope, SyncReport
from core.versions import built_by
from ingest.diff import Plan
from ingest.sources import Unread
from ingest.store import apply_plan, touch_files

_PUBLISHED = "published_version"
_LAST = "last_version"
_DAY_SECONDS = 86_400.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeping:
    """What stays of the past."""

    versions: int = 10
    """At most so many, the newest, the published one among them."""
    days: float = 30.0
    """Those that were superseded longer ago go too."""
    vectors_days: float = 30.0
    """Of texts that are in no kept version; a vector is not its text, and spares a model call where the text comes back."""
    longest_request_seconds: float = 60.0
    """How long a request may go on reading a version that has been superseded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    version: int | None
    builder: BuiltBy | None

    @property
    def embedder(self) -> str | None:
        return self.builder.fingerprint if self.builder else None


def read_published(connection: Connection) -> Published:
    value = read_state(connection, _PUBLISHED)
    version = int(value) if value else None
    builder = None if version is None else built_by(connection, version)
    return Published(version=version, builder=builder)


def reserve_version(engine: Engine, published: int | None) -> int:
    """A number that was never used, not even by a run that was broken off.

    Raises SyncRunning when another version than `published` is out by now: building beside it would undo it.
    """
    with engine.begin() as connection:
        last = read_state(connection, _LAST)
        newest = connection.execute(select(func.max(index_versions.c.version))).scalar_one() or 0
        version = max(newest, int(last or 0)) + 1
        if read_published(connection).version != published or not replace_state(connection, _LAST, last, str(version)):
            raise _overtaken()
    return version


def publish(
    connection: Connection, scope: Scope, base: int | None, embedder: BuiltBy, plan: Plan, report: SyncReport, cause: Cause
) -> None:
    """Inside the caller's transaction, whose end is the moment in which readers see the new version."""
    if not replace_state(connection, _PUBLISHED, None if base is None else str(base), str(report.version)):
        raise _overtaken()
    apply_plan(connection, scope, report.version, plan)
    touch_files(connection, scope, plan.touched)
    _note_used_vectors(connection)
    counts = {"documents": _count(connection, documents, scope), "chunks": _count(connection, chunks, scope)}
    row = {"version": report.version, "tenant": scope.tenant, "cause": cause, "published_at": time.time()}
    connection.execute(index_versions.insert().values(**row, **counts, **_columns(embedder), report=asdict(report)))


def _columns(builder: BuiltBy) -> dict[str, str]:
    name = {"embedder_model": builder.name.model, "embedder_runtime": builder.name.runtime} if builder.name else {}
    return {"embedder": builder.fingerprint, **name}


def _overtaken() -> SyncRunning:
    return SyncRunning("another sync has published meanwhile, on another machine: run this one again")


def record_failures(connection: Connection, scope: Scope, unread: Sequence[Unread], listed: Collection[str]) -> None:
    """What could not be read this time, instead of last time's, of the sources that were listed."""
    for source_id in listed:
        connection.execute(failures.delete().where(failures.c.tenant == scope.tenant, failures.c.source_id == source_id))
    rows = {(failure.source.source_id, failure.path): failure for failure in unread}
    now = time.time()
    if rows:
        identities = [{"tenant": scope.tenant, "source_id": source_id, "path": path} for source_id, path in rows]
        values = [{**identity, "reason": row.reason, "at": now} for identity, row in zip(identities, rows.values(), strict=True)]
        connection.execute(failures.insert(), values)


def collect_garbage(engine: Engine, index: Index, keeping: Keeping) -> None:
    """Best effort: what stays now goes after the next sync."""
    try:
        with engine.begin() as connection:
            kept = _kept(connection, keeping)
            dropped = _drop_before(connection, min(kept)) if kept else 0
            if dropped:
                _note_unused_vectors(connection)
            dropped += _drop_vectors(connection, keeping)
        if dropped:
            empty_journal(engine)
        index.collect(kept)  # also of nothing: the index is ours, its claim was the first thing
    except (UnderstudyError, OSError, SQLAlchemyError) as error:
        _log.warning("old versions could not be removed yet: %s", error)


def _kept(connection: Connection, keeping: Keeping) -> list[int]:
    """The newest versions, but not the old ones among them, and those that a request may still be reading.

    Without gaps: where the clock was set back, a newer one can look older than those before it.
    """
    columns = (index_versions.c.version, index_versions.c.published_at)
    newest = connection.execute(select(*columns).order_by(index_versions.c.version.desc())).all()
    now = time.time()
    ages = [0.0, *(now - successor.published_at for successor in newest)][: len(newest)]
    stays = [
        age < keeping.longest_request_seconds or (place < keeping.versions and age < keeping.days * _DAY_SECONDS) or place == 0
        for place, age in enumerate(ages)
    ]
    oldest = max((place for place, fits in enumerate(stays) if fits), default=-1)
    return [row.version for row in newest[: oldest + 1]]


def _drop_before(connection: Connection, oldest: int) -> int:
    dropped = connection.execute(delete(index_versions).where(index_versions.c.version < oldest)).rowcount
    for table in (documents, chunks):
        dropped += connection.execute(delete(table).where(table.c.to_version <= oldest)).rowcount
    return dropped


def _note_used_vectors(connection: Connection) -> None:
    """Those of new texts, and of texts that came back."""
    noted = embeddings.c.unused_since.is_not(None)
    connection.execute(embeddings.update().where(noted, _is_used()).values(unused_since=None))


def _note_unused_vectors(connection: Connection) -> None:
    in_use = embeddings.c.unused_since.is_(None)
    connection.execute(embeddings.update().where(in_use, ~_is_used()).values(unused_since=time.time()))


def _drop_vectors(connection: Connection, keeping: Keeping) -> int:
    """A vector outlives its text for a while, since text often comes back."""
    long_unused = embeddings.c.unused_since <= time.time() - keeping.vectors_days * _DAY_SECONDS
    return connection.execute(delete(embeddings).where(long_unused, ~_is_used())).rowcount


def _is_used() -> ColumnElement[bool]:
    return exists().where(chunks.c.tenant == embeddings.c.tenant, chunks.c.embedded_hash == embeddings.c.embedded_hash)


def _count(connection: Connection, table: Table, scope: Scope) -> int:
    query = select(func.count()).select_from(table).where(table.c.tenant == scope.tenant, table.c.to_version.is_(None))
    return int(connection.execute(query).scalar_one())

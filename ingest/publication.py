"""Brings the published state up to a plan, and writes down what was done."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from core.database import installation_id
from core.errors import UnderstudyError
from core.types import Cause, Failure, Scope, SyncProgress, SyncReport
from ingest.build import Built, build_afresh, carry_on
from ingest.diff import Plan, Stored, plan_changes
from ingest.embed import Embedded
from ingest.erasure import finish_erasing
from ingest.git.clones import collect_clones
from ingest.leftovers import remove_leftovers
from ingest.lock import only_database_writer, only_writer
from ingest.reading import Incoming
from ingest.sources import Unread
from ingest.storage import storage_errors
from ingest.store import read_chunks, read_documents, touch_files
from ingest.target import Target
from ingest.versions import Published, collect_garbage, publish, read_published

_log = logging.getLogger(__name__)

Also: TypeAlias = Callable[[Connection], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What a report tells besides the changes."""

    cause: Cause
    started: float = field(default_factory=time.monotonic)
    unread: Sequence[Unread] = ()
    skipped: int = 0
    notes: Sequence[str] = ()
    content_of: int | None = None


@contextmanager
def writing(target: Target) -> Iterator[None]:
    """Alone on the data directory; whatever happens, no scrap is left behind."""
    with storage_errors(), only_writer(target.data_dir), only_database_writer(target.engine):
        target.index.claim(installation_id(target.engine))
        try:
            yield
        finally:
            collect_garbage(target.engine, target.index, target.limits.keeping)
            collect_clones(target.engine, target.data_dir)
            _finish_erasing(target)


def _finish_erasing(target: Target) -> None:
    """What an earlier `forget` could not take off the disk, best effort: what stays now goes with the next writer."""
    try:
        remove_leftovers(target.data_dir)
        finish_erasing(target)
    except (UnderstudyError, OSError, SQLAlchemyError) as error:
        _log.warning("forgotten text could not be taken off the disk yet: %s", error)


def published_state(target: Target, *, rebuild: bool = False) -> tuple[Published, dict[str, Stored]]:
    """Raises EmbedderMismatch when another embedder built the index, unless it is to be built again."""
    with target.engine.connect() as connection:
        published = read_published(connection)
        stored = read_documents(connection, target.scope)
    if not rebuild:
        published.require(target.embedder.fingerprint)
    return published, stored


def plan_for(target: Target, stored: dict[str, Stored], incoming: Sequence[Incoming], gone: Sequence[str], unchanged: int = 0) -> Plan:
    touched = [new.document.document_id for new in incoming if new.document.document_id in stored]
    with target.engine.connect() as connection:
        chunks = read_chunks(connection, target.scope, [*touched, *gone])
    return plan_changes(stored, incoming, gone, chunks, unchanged)


def bring_up_to(
    target: Target, plan: Plan, published: Published, account: Account, also: Also, *, rebuild: bool = False, everyone: Sequence[Scope] = ()
) -> SyncReport:
    """`also` joins the transaction that publishes; without a change nothing is published and only `also` happens."""
    if plan.is_empty and not rebuild:
        _require_index(target, published)
        with target.engine.begin() as connection:
            touch_files(connection, target.scope, plan.touched)
            also(connection)
        return _report(plan, Built(version=published.version or 0, embedded=Embedded(), concerned=0), account)
    base = None if rebuild else published.version
    built = build_afresh(target, plan, published.version, everyone) if base is None else carry_on(target, plan, base)
    report = _report(plan, built, account)
    target.on_progress(SyncProgress(step="publishing"))
    with target.engine.begin() as connection:
        publish(connection, target.scope, published.version, target.embedder.fingerprint, plan, report, account.cause)
        also(connection)
    return report


def _require_index(target: Target, published: Published) -> None:
    """Raises CorruptIndex: that nothing changed is no success where what is published cannot be read."""
    if published.version is not None:
        target.index.open(published.version, embedder=target.embedder.fingerprint).close()


def _report(plan: Plan, built: Built, account: Account) -> SyncReport:
    return SyncReport(
        version=built.version,
        added=len(plan.added),
        changed=len(plan.changed),
        renamed=len(plan.renamed),
        removed=len(plan.removed),
        unchanged=plan.unchanged,
        skipped=account.skipped,
        chunks_embedded=built.embedded.texts,
        chunks_reused=max(0, built.concerned - built.embedded.texts),
        embedding_seconds=round(built.embedded.seconds, 3),
        notes=tuple(account.notes),
        failed=tuple(Failure(source=failure.display, reason=failure.reason) for failure in account.unread),
        seconds=round(time.monotonic() - account.started, 3),
        content_of=account.content_of,
    )

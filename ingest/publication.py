"""Brings the published state up to a plan, and writes down what was done."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from core.database import installation_id
from core.errors import CorruptIndex, EmbedderMismatch, UnderstudyError
from core.types import Cause, Failure, SyncProgress, SyncReport
from ingest.again import is_lost, restore_lost
from ingest.build import Built, build_afresh, carry_on, embed
from ingest.diff import Plan, Stored, plan_changes
from ingest.embed import Embedded
from ingest.erasure import finish_erasing
from ingest.git.clones import collect_clones
from ingest.leftovers import remove_leftovers
from ingest.lock import only_database_writer, only_writer
from ingest.reading import Incoming
from ingest.sources import Unread
from ingest.storage import storage_errors
from ingest.store import count_unembedded, read_chunks, read_documents, touch_files
from ingest.target import Target
from ingest.versions import Published, collect_garbage, publish, read_published

_HEALED = "the index was damaged or gone, and was built again from the database"
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
        if not rebuild and published.builder is not None and published.embedder != target.embedder.fingerprint:
            raise _other_embedder(target, published, count_unembedded(connection, target.embedder.fingerprint))
    return published, stored


def _other_embedder(target: Target, published: Published, texts: int) -> EmbedderMismatch:
    name = published.builder.name if published.builder else None
    old = f"by {name.model!r} ({name.runtime})" if name else "by another embedder than the settings name"
    new = f" with {target.embedder_name.model!r} ({target.embedder_name.runtime})" if target.embedder_name else ""
    return EmbedderMismatch(
        f"version {published.version} was built {old}, and goes on answering: `understudy rebuild` embeds {texts:,} texts{new} beside it"
        " and switches at the end; or set the old embedder again"
    )


def plan_for(target: Target, stored: dict[str, Stored], incoming: Sequence[Incoming], gone: Sequence[str], unchanged: int = 0) -> Plan:
    """Also of new documents the chunks are looked for: those of one whose own row was lost are taken over."""
    concerned = [*(new.document.document_id for new in incoming), *gone]
    with target.engine.connect() as connection:
        chunks = read_chunks(connection, target.scope, concerned)
    return plan_changes(stored, incoming, gone, chunks, unchanged)


def bring_up_to(
    target: Target, plan: Plan, published: Published, account: Account, also: Also = lambda _: None, *, rebuild: bool = False
) -> SyncReport:
    """`also` joins the transaction that publishes; without a change nothing is published and only `also` happens.

    An index that is damaged or gone is built again from SQL, whether anybody asked for it or not.
    """
    afresh = rebuild or published.version is None
    if plan.is_empty and not rebuild:
        afresh = is_lost(target, published)
        if not afresh:
            with target.engine.begin() as connection:
                touch_files(connection, target.scope, plan.touched)
                also(connection)
            return _report(plan, Built(version=published.version or 0, embedded=Embedded(), concerned=0), account)
    built, healed = _built(target, plan, published, afresh=afresh)
    if healed or (afresh and not rebuild and published.version is not None):
        account = replace(account, notes=[*account.notes, _HEALED])
    report = _report(plan, built, account)
    target.on_progress(SyncProgress(step="publishing"))
    with target.engine.begin() as connection:
        publish(connection, target.scope, published.version, target.built_by, plan, report, account.cause)
        also(connection)
    if afresh or healed:
        restore_lost(target)
    return report


def _built(target: Target, plan: Plan, published: Published, *, afresh: bool) -> tuple[Built, bool]:
    """And whether the base turned out to be lost."""
    if afresh or published.version is None:
        return build_afresh(target, plan, published.version), False
    embedded = embed(target, plan)
    try:
        return carry_on(target, plan, published.version, embedded), False
    except CorruptIndex as error:
        if not is_lost(target, published, whole=True):  # then it is the rows that are wrong
            raise
        _log.warning("the index is built again from the database: %s", error)
    built = build_afresh(target, plan, published.version)
    return replace(built, embedded=embedded + built.embedded), True


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

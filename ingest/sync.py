"""The main path of indexing: sources -> parsed -> cut -> compared -> embedded -> built -> published."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from core.protocols import Embedder, Index, OnProgress
from core.types import Scope, SyncProgress, SyncReport
from ingest.catalog import record_revisions
from ingest.cuts import Chunker
from ingest.diff import Stored
from ingest.listing import list_all, vanished
from ingest.places import add_sources
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.reading import Reading
from ingest.sandbox import Sandbox
from ingest.sources import Listing, Unread
from ingest.target import DEFAULT_LIMITS, Limits, Target, ignore_progress
from ingest.versions import record_failures


def sync(
    engine: Engine,
    index: Index,
    embedder: Embedder,
    scope: Scope,
    places: Sequence[str | Path] = (),
    *,
    data_dir: Path,
    limits: Limits = DEFAULT_LIMITS,
    chunker: Chunker | None = None,
    rebuild: bool = False,
    everyone: Sequence[Scope] = (),
    on_progress: OnProgress = ignore_progress,
) -> SyncReport:
    """Add `places`, paths and git addresses, to the tenant's sources, read all of them again and publish what changed.

    A file that cannot be read is reported and keeps its last good version; the same sync twice publishes nothing new.
    `rebuild` makes the whole index anew from SQL, with kept vectors where this embedder made them; an index that several
    tenants share then needs the scopes of `everyone`. Raises SyncRunning, EmbedderMismatch, InvalidInput, CorruptIndex
    and StorageFull; after each of them the version that was published before is still there.
    """
    started = time.monotonic()
    target = Target(
        engine=engine, index=index, embedder=embedder, scope=scope, data_dir=data_dir,
        limits=limits, custom_chunker=chunker, on_progress=on_progress,
    )  # fmt: skip
    with writing(target):
        published, stored = published_state(target, rebuild=rebuild)
        sources = add_sources(engine, scope, places, git_seconds=limits.git_seconds)
        with closing(list_all(target, sources)) as listing:
            reading = _read(target, listing, stored)
        gone = vanished(scope.tenant, stored.values(), sources, listing)
        unread = listing.unread + reading.unread
        plan = plan_for(target, stored, reading.incoming, gone, unchanged=len(reading.same))
        account = Account(
            cause="rebuild" if rebuild else "sync", started=started, unread=unread, skipped=listing.skipped, notes=listing.notes
        )
        also = partial(_record, scope=scope, unread=unread, revisions=listing.revisions)
        return bring_up_to(target, plan, published, account, also, rebuild=rebuild, everyone=everyone)


def _record(connection: Connection, scope: Scope, unread: Sequence[Unread], revisions: Mapping[str, str]) -> None:
    record_failures(connection, scope, unread)
    record_revisions(connection, scope, revisions)


def _read(target: Target, listing: Listing, stored: dict[str, Stored]) -> Reading:
    total = len(listing.entries)
    known = {identity: document.file_hash for identity, document in stored.items()}
    with Sandbox(seconds=target.limits.parse_seconds) as parser:
        return target.reader(parser).read(
            listing.entries, known, lambda done: target.on_progress(SyncProgress(step="parsing", documents=done, documents_total=total))
        )

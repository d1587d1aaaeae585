"""The main path of indexing: sources -> parsed -> cut -> compared -> embedded -> built -> published."""

import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from core.types import SyncReport
from ingest.forgettable import documents_of_path, take_back
from ingest.hold import release_sources, require_released
from ingest.places import add_sources
from ingest.publication import Account, bring_up_to, published_state, writing
from ingest.sources import Source
from ingest.survey import Survey, record, survey
from ingest.target import Target


def sync(
    target: Target,
    places: Sequence[str | Path] = (),
    *,
    only: Collection[str] | None = None,
    release: bool = False,
) -> SyncReport:
    """Add `places`, paths and git addresses, to the tenant's sources, read all of them again and publish what changed.

    A file that cannot be read is reported and keeps its last good version; the same sync twice publishes nothing new. `only`
    are the ids of the sources to read, where not all of them are. Sources that a rollback holds are read only with `release`,
    which ends that. Raises SyncRunning, SourcesHeld, EmbedderMismatch, InvalidInput, Unavailable, CorruptIndex and StorageFull;
    after each of them the version that was published before is still there.
    """
    started = time.monotonic()
    with writing(target):
        _require_released(target, release=release)
        published, stored = published_state(target)
        sources = add_sources(target.engine, target.scope, places, git_seconds=target.limits.git_seconds)
        _take_back(target, sources, places)
        found = survey(target, stored, sources, only=only)
        account = Account(cause="sync", started=started, unread=found.unread, skipped=found.skipped, notes=found.notes)
        return bring_up_to(target, found.plan, published, account, partial(_record, found=found, target=target))


def _require_released(target: Target, *, release: bool) -> None:
    if not release:
        with target.engine.connect() as connection:
            require_released(connection, target.scope)


def _take_back(target: Target, sources: Sequence[Source], places: Sequence[str | Path]) -> None:
    """A forgotten file that is named itself is wanted again."""
    named = [each for place in places for each, _ in documents_of_path(target.scope.tenant, sources, place)]
    with target.engine.begin() as connection:
        take_back(connection, target.scope, named)


def _record(connection: Connection, found: Survey, target: Target) -> None:
    record(connection, found, target)
    release_sources(connection, target.scope)

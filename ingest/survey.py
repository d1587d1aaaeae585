"""What a sync finds before it writes anything: what the sources say now, and the plan that follows from it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from core.types import SyncProgress
from ingest.catalog import record_revisions
from ingest.diff import Plan, Stored
from ingest.listing import left_behind, list_all, vanished
from ingest.publication import plan_for
from ingest.reading import Reading
from ingest.recut import recut
from ingest.sandbox import Sandbox
from ingest.sources import Listing, Source, Unread
from ingest.target import Target
from ingest.versions import record_failures


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    plan: Plan
    listed: Collection[str]
    """Ids of the sources that were looked at."""
    unread: Sequence[Unread]
    skipped: int
    notes: Sequence[str]
    revisions: Mapping[str, str]


def survey(
    target: Target, stored: dict[str, Stored], sources: Sequence[Source], *, only: Collection[str] | None = None, beside: Path | None = None
) -> Survey:
    """`only` are the ids of the sources to look at; None looks at all of them.

    `beside` is a folder for clones of git sources that are dropped afterwards; without it those of the data directory follow.
    """
    listed = [source for source in sources if source.kind != "api" and (only is None or source.source_id in only)]
    with closing(list_all(target, listed, sources, beside=beside)) as listing:
        reading = _read(target, listing, stored)
    again = recut(target, _cut_otherwise(target, stored.values(), sources)) if only is None else []
    gone = vanished(target.scope.tenant, stored.values(), listed, listing)
    gone += left_behind(stored.values(), sources) if only is None else []
    ids = {source.source_id for source in listed}
    elsewhere = sum(document.source_id not in ids for document in stored.values()) if only is not None else 0
    return Survey(
        plan=plan_for(target, stored, reading.incoming + again, gone, unchanged=len(reading.same) + elsewhere),
        listed=ids,
        unread=listing.unread + reading.unread,
        skipped=listing.skipped,
        notes=listing.notes,
        revisions=listing.revisions,
    )


def _cut_otherwise(target: Target, stored: Collection[Stored], sources: Sequence[Source]) -> list[str]:
    """Documents of the API that another chunker has cut: no file brings them in again."""
    of_api = {source.source_id for source in sources if source.kind == "api"}
    return [each.document_id for each in stored if each.source_id in of_api and each.cut_by != target.cut_by]


def record(connection: Connection, found: Survey, target: Target) -> None:
    """Inside the caller's transaction."""
    record_failures(connection, target.scope, found.unread, found.listed)
    record_revisions(connection, target.scope, found.revisions)


def _read(target: Target, listing: Listing, stored: dict[str, Stored]) -> Reading:
    total = len(listing.entries)
    known = {identity: document.file_hash for identity, document in stored.items()}
    with Sandbox(seconds=target.limits.parse_seconds) as parser:
        return target.reader(parser).read(
            listing.entries, known, lambda done: target.on_progress(SyncProgress(step="parsing", documents=done, documents_total=total))
        )

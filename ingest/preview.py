"""What a sync would do, without doing it: no row, no index version, no lock."""

import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, select

from core.schema import index_versions
from core.types import Failure, Json, Renaming, SyncPreview
from ingest.catalog import read_sources
from ingest.embed import unknown_texts
from ingest.hold import read_hold
from ingest.publication import published_state
from ingest.store import planned_searchables
from ingest.survey import survey
from ingest.target import Target

_HELD = "the sources are held since a rollback: `understudy sync --release` would do this"


def preview(target: Target) -> SyncPreview:
    """May run beside a sync, and then tells of the version that is published at its start. Raises EmbedderMismatch.

    A sync that finds nothing to do takes as long as looking does.
    """
    started = time.monotonic()
    published, stored = published_state(target)
    with target.engine.connect() as connection:
        sources = read_sources(connection, target.scope)
        held = read_hold(connection, target.scope)
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        found = survey(target, stored, sources, beside=Path(folder))
    plan = found.plan
    texts = unknown_texts(target, target.scope, planned_searchables(plan))
    with target.engine.connect() as connection:
        expected = _expected_seconds(connection, len(texts))
    seconds = round(time.monotonic() - started, 3)
    return SyncPreview(
        version=published.version,
        added=tuple(plan.added),
        changed=tuple(plan.changed),
        renamed=tuple(Renaming(before=before, after=after) for before, after in plan.renamed),
        removed=tuple(plan.removed),
        unchanged=plan.unchanged,
        skipped=found.skipped,
        failed=tuple(Failure(source=failure.display, reason=failure.reason) for failure in found.unread),
        notes=(*found.notes, *([_HELD] if held else ())),
        chunks_to_embed=len(texts),
        characters_to_embed=sum(map(len, texts.values())),
        expected_seconds=round(seconds, 1) if plan.is_empty and published.version else expected,
        seconds=seconds,
    )


def _expected_seconds(connection: Connection, chunks: int) -> float | None:
    """What the last sync took besides embedding, and the chunks at the rate of the kept reports; None where nothing tells."""
    newest = select(index_versions.c.report).order_by(index_versions.c.version.desc())
    reports: list[Json] = [report for report in connection.execute(newest).scalars() if "embedding_seconds" in report]
    embedded: int = sum(report["chunks_embedded"] for report in reports)
    if not reports or (chunks and not embedded):
        return None
    rest: float = max(0.0, reports[0]["seconds"] - reports[0]["embedding_seconds"])
    rate: float = sum(report["embedding_seconds"] for report in reports) / embedded if embedded else 0.0
    return round(rest + chunks * rate, 1)

"""Erases documents: their rows and whatever was made of their text in one transaction, then what is left of it on the disk.

The transaction leaves a mark, which goes when nothing is left: a run that is broken off in between is finished by the next writer.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, exists, select

from core.database import erase_traces, read_state, write_state
from core.schema import (
    answers,
    attempts,
    chunks,
    documents,
    embeddings,
    failures,
    feedback,
    forgotten,
    index_versions,
    jobs,
)
from core.types import Scope
from core.versions import LAST_FORGOTTEN, alive, kept_versions
from ingest.again import build_again, drop_version
from ingest.forgettable import Forgettable
from ingest.leftovers import remove_leftovers
from ingest.store import batches
from ingest.target import Target
from ingest.traffic import erase_traffic, words_of

_MARK = "erasing"
_WRITTEN = (documents, chunks, embeddings, answers, attempts, feedback, failures, jobs, index_versions)


@dataclass(kw_only=True, slots=True)
class Erased:
    versions: tuple[int, ...] = ()
    vectors: int = 0
    answers: int = 0


def erase(connection: Connection, scope: Scope, found: Forgettable, *, apart: bool, marked: Mapping[str, str], erased: Erased) -> None:
    """In the transaction that publishes the version without them; `marked` holds the ids, with their sources, that no sync takes back."""
    kept = kept_versions(connection)
    write_state(connection, LAST_FORGOTTEN, str(max(kept, default=0)))
    holders = _holders(connection, scope, found.document_ids, kept)
    _mark(connection, [version for version in kept[1:] if version not in holders] if apart else [])
    own_words = _own_words(connection, scope, found.document_ids)
    connection.execute(delete(index_versions).where(index_versions.c.version.in_(holders)))
    for table in (chunks, documents):
        _delete(connection, table, scope, found.document_ids)
    _note_forgotten(connection, scope, found, marked)
    _clear_reports(connection, scope, found, own_words)
    erased.versions = tuple(holders)
    erased.vectors = _drop_vectors(connection, scope)
    erased.answers = erase_traffic(connection, scope, found.document_ids, own_words)


def finish_erasing(target: Target) -> list[str]:
    """Whatever a `forget` left to do; without its mark, nothing. Tells what is out of reach; raises what was in the way."""
    with target.engine.connect() as connection:
        mark = read_state(connection, _MARK)
        kept = set(kept_versions(connection))
    if not mark:
        return []
    target.index.collect(kept)
    again = [version for version in json.loads(mark) if version in kept]
    for version in again:
        if not build_again(target, version):
            drop_version(target, version)
    if again:
        with target.engine.connect() as connection:
            target.index.collect(kept_versions(connection))
    remove_leftovers(target.data_dir)
    left = erase_traces(target.engine, _WRITTEN)
    with target.engine.begin() as connection:
        write_state(connection, _MARK, "")
    return left


def _mark(connection: Connection, versions: Sequence[int]) -> None:
    """With the kept versions that are to be built again, those of an earlier run among them."""
    earlier = json.loads(read_state(connection, _MARK) or "[]")
    write_state(connection, _MARK, json.dumps(sorted({*earlier, *versions})))


def _holders(connection: Connection, scope: Scope, document_ids: Sequence[str], kept: Sequence[int]) -> list[int]:
    def holds(version: int) -> bool:
        for batch in batches(document_ids):
            held = select(documents.c.document_id).where(_own(documents, scope), alive(documents, version))
            if connection.execute(held.where(documents.c.document_id.in_(batch)).limit(1)).first():
                return True
        return False

    return [version for version in kept if holds(version)]


def _own_words(connection: Connection, scope: Scope, document_ids: Sequence[str]) -> set[str]:
    """The words that these documents have and no other one, in any version that is still there."""
    gone = set(document_ids)
    own: set[str] = set()
    others: set[str] = set()
    query = select(documents.c.document_id, documents.c.title, documents.c.text).where(_own(documents, scope))
    for row in connection.execute(query.execution_options(yield_per=100)):
        (own if row.document_id in gone else others).update(words_of(row.title), words_of(row.text))
    return own - others


def _drop_vectors(connection: Connection, scope: Scope) -> int:
    """Also those of texts that are in no version any more: whose they were is not known."""
    used = exists().where(chunks.c.tenant == embeddings.c.tenant, chunks.c.embedded_hash == embeddings.c.embedded_hash)
    return connection.execute(delete(embeddings).where(_own(embeddings, scope), ~used)).rowcount


def _note_forgotten(connection: Connection, scope: Scope, found: Forgettable, marked: Mapping[str, str]) -> None:
    _delete(connection, forgotten, scope, list(marked))
    for identity, source_id in marked.items():
        row = {"tenant": scope.tenant, "document_id": identity, "source_id": source_id, "at": time.time()}
        connection.execute(forgotten.insert().values(row))
    for place in found.places:
        same = (failures.c.source_id == place.source_id) & (failures.c.path == place.path)
        connection.execute(delete(failures).where(_own(failures, scope), same))


def _clear_reports(connection: Connection, scope: Scope, found: Forgettable, own_words: set[str]) -> None:
    names = {*found.names, *found.document_ids}
    for table, key in ((jobs, jobs.c.job_id), (index_versions, index_versions.c.version)):
        rows = connection.execute(select(key.label("key"), table.c.report).where(_own(table, scope))).all()
        for row in rows:
            if row.report and (cleared := _cleared(row.report, names)) != row.report:
                connection.execute(table.update().where(key == row.key).values(report=cleared))
    for row in connection.execute(select(jobs.c.job_id, jobs.c.error).where(_own(jobs, scope), jobs.c.error.is_not(None))).all():
        if any(name in row.error for name in names) or own_words & words_of(row.error):
            connection.execute(jobs.update().where(jobs.c.job_id == row.job_id).values(error="it failed on a document that was forgotten"))


def _cleared(report: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    failed = [failure for failure in report.get("failed", ()) if failure["source"] not in names]
    notes = [note for note in report.get("notes", ()) if not any(name in note for name in names)]
    return {**report, **({"failed": failed} if "failed" in report else {}), **({"notes": notes} if "notes" in report else {})}


def _delete(connection: Connection, table: Table, scope: Scope, document_ids: Sequence[str]) -> None:
    for batch in batches(document_ids):
        connection.execute(delete(table).where(_own(table, scope), table.c.document_id.in_(batch)))


def _own(table: Table, scope: Scope) -> Any:
    return table.c.tenant == scope.tenant

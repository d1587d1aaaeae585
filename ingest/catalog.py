"""The sources that a tenant has, kept in SQL."""

import os
import time
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from core.errors import NotFound
from core.schema import documents, failures, sources
from core.types import Scope
from ingest.cuts import short_hash
from ingest.sources import Source, SourceKind


def read_sources(connection: Connection, scope: Scope) -> list[Source]:
    rows = connection.execute(select(sources).where(sources.c.tenant == scope.tenant).order_by(sources.c.added_at, sources.c.source_id))
    return [Source(**{name: row._mapping[name] for name in Source.__dataclass_fields__}) for row in rows]


def api_source(connection: Connection, scope: Scope) -> Source:
    """The source of the documents that are put over the API; made when it is first needed."""
    known = read_sources(connection, scope)
    found = next((source for source in known if source.kind == "api"), None)
    return found or insert_source(connection, scope, "api", "", "api", known)


def restore_api_source(connection: Connection, scope: Scope) -> None:
    """Where documents that came over the API are published, and their source was dropped since."""
    identity = short_hash(scope.tenant, "api", "")
    own = select(documents.c.document_id).where(documents.c.tenant == scope.tenant, documents.c.source_id == identity)
    if connection.execute(own.where(documents.c.to_version.is_(None)).limit(1)).first() is not None:
        api_source(connection, scope)


def find_source(connection: Connection, scope: Scope, name: str) -> Source:
    """By its name or its path; raises NotFound."""
    known = read_sources(connection, scope)
    for source in known:
        if name in (source.name, source.location or None) or (source.location and os.path.abspath(name) == source.location):
            return source
    names = ", ".join(source.name for source in known) or "none"
    raise NotFound(f"there is no source {name!r}; there are: {names}")


def insert_source(
    connection: Connection, scope: Scope, kind: SourceKind, location: str, name: str, known: Collection[Source], *, ref: str | None = None
) -> Source:
    identity = short_hash(scope.tenant, kind, location)
    source = Source(source_id=identity, kind=kind, location=location, name=_free_name(name or "root", kind, known), ref=ref)
    row = {"source_id": source.source_id, "kind": kind, "location": location, "name": source.name, "ref": ref}
    connection.execute(sources.insert().values(tenant=scope.tenant, added_at=time.time(), **row))
    return source


def record_revisions(connection: Connection, scope: Scope, revisions: Mapping[str, str]) -> None:
    """The commits that are published now, inside the caller's transaction."""
    for source_id, commit in revisions.items():
        same = (sources.c.tenant == scope.tenant) & (sources.c.source_id == source_id)
        connection.execute(sources.update().where(same).values(revision=commit))


def drop_source(connection: Connection, scope: Scope, source: Source) -> None:
    for table in (sources, failures):
        connection.execute(table.delete().where(table.c.tenant == scope.tenant, table.c.source_id == source.source_id))


def _free_name(name: str, kind: SourceKind, known: Collection[Source]) -> str:
    taken = {source.name for source in known}
    stem, suffix = os.path.splitext(name) if kind == "file" else (name, "")
    candidate, number = name, 1
    while candidate in taken or (candidate == "api" and kind != "api"):
        number += 1
        candidate = f"{stem}-{number}{suffix}"
    return candidate

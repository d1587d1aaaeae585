"""What a person names when something is to be forgotten: a source, or a document of any version."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select

from core.errors import Conflict, NotFound
from core.schema import documents, forgotten
from core.types import Scope
from ingest.catalog import find_source, read_sources
from ingest.sources import Source, document_id, readable_path, real_path
from ingest.store import batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a document comes from."""

    document_id: str
    source_id: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgettable:
    source: Source | None
    """None where single documents are meant."""
    places: tuple[Place, ...]
    """Of documents that are, or once were, in a version whose rows are still there."""
    names: frozenset[str]
    """What reports call them."""

    @property
    def document_ids(self) -> list[str]:
        return [place.document_id for place in self.places]


def find_forgettable(connection: Connection, scope: Scope, name: str) -> Forgettable:
    """By a source's name or path, or a document's id, source or path; raises NotFound, and Conflict for a name of several things."""
    source = _source(connection, scope, name)
    found = _documents(connection, scope, name)
    if source is not None:
        if any(row.source_id != source.source_id for row in found):
            raise Conflict(f"{name!r} names a source and a document: give the source's path, or the document as citations show it")
        return _of(connection, scope, source)
    if not found:
        known = ", ".join(each.name for each in read_sources(connection, scope)) or "none"
        raise NotFound(
            f"there is no source {name!r} and no document of that id, name or path; sources are: {known};"
            " citations and `understudy search` show documents"
        )
    if len({row.document_id for row in found}) > 1:
        ids = ", ".join(sorted({row.document_id for row in found}))
        raise Conflict(f"{name!r} names several documents: give one of the ids {ids}")
    return _forgettable(None, found)


def find_document(connection: Connection, scope: Scope, identity: str) -> Forgettable:
    """By its id alone; raises NotFound."""
    rows = connection.execute(_rows(scope).where(documents.c.document_id == identity)).all()
    if not rows:
        raise NotFound(f"there is no document {identity!r}: GET /v1/documents lists those that are there")
    return _forgettable(None, list(rows))


def read_forgotten(connection: Connection, scope: Scope) -> set[str]:
    """Ids of the documents that a sync leaves out though their file is there."""
    return set(connection.execute(select(forgotten.c.document_id).where(forgotten.c.tenant == scope.tenant)).scalars())


def take_back(connection: Connection, scope: Scope, document_ids: Collection[str]) -> None:
    """These are wanted again, inside the caller's transaction."""
    for batch in batches(document_ids):
        connection.execute(delete(forgotten).where(forgotten.c.tenant == scope.tenant, forgotten.c.document_id.in_(batch)))


def documents_of_path(tenant: str, sources: Sequence[Source], path: str | Path) -> Iterator[tuple[str, str]]:
    """Ids, and those of their sources, of the documents that a file on this machine can stand for."""
    for source, relative in _places(sources, path):
        yield document_id(tenant, source, relative), source.source_id


def _source(connection: Connection, scope: Scope, name: str) -> Source | None:
    with suppress(NotFound):
        return find_source(connection, scope, name)
    return None


def _documents(connection: Connection, scope: Scope, name: str) -> list[Row[Any]]:
    by_name = _rows(scope).where((documents.c.document_id == name) | (documents.c.source == name))
    found = list(connection.execute(by_name).all())
    for source, relative in [] if found else _places(read_sources(connection, scope), name):
        at_path = _rows(scope).where(documents.c.source_id == source.source_id, documents.c.path == relative)
        found += connection.execute(at_path).all()
    return found


def _of(connection: Connection, scope: Scope, source: Source) -> Forgettable:
    return _forgettable(source, list(connection.execute(_rows(scope).where(documents.c.source_id == source.source_id)).all()))


def _rows(scope: Scope) -> Select[Any]:
    columns = (documents.c.document_id, documents.c.source_id, documents.c.path, documents.c.source)
    return select(*columns).where(documents.c.tenant == scope.tenant).distinct()


def _forgettable(source: Source | None, rows: list[Row[Any]]) -> Forgettable:
    places = {row.document_id: Place(document_id=row.document_id, source_id=row.source_id, path=row.path) for row in rows}
    return Forgettable(source=source, places=tuple(places.values()), names=frozenset(row.source for row in rows))


def _places(sources: Sequence[Source], path: str | Path) -> Iterator[tuple[Source, str]]:
    """As it was written, and with its links followed."""
    named = Path(os.path.abspath(Path(path).expanduser()))
    for source in sources:
        location = Path(source.location)
        if source.kind == "file" and named == location:
            yield source, readable_path(location.name)
        for file, root in ((named, location), (real_path(named), real_path(location))) if source.kind == "folder" else ():
            if file != root and file.is_relative_to(root):
                yield source, readable_path(file.relative_to(root).as_posix())

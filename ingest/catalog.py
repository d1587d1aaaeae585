"""The sources that a tenant has, kept in SQL."""

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from core.errors import InvalidInput, NotFound
from core.schema import failures, sources
from core.types import Scope
from ingest.cuts import short_hash
from ingest.files import File
from ingest.folder import list_folder
from ingest.parse import SUPPORTED, media_type_of
from ingest.sources import Source, SourceKind, real_path


def read_sources(connection: Connection, scope: Scope) -> list[Source]:
    rows = connection.execute(select(sources).where(sources.c.tenant == scope.tenant).order_by(sources.c.added_at, sources.c.source_id))
    return [Source(source_id=row.source_id, kind=row.kind, location=row.location, name=row.name) for row in rows]


def add_sources(engine: Engine, scope: Scope, paths: Sequence[Path]) -> list[Source]:
    """All sources of the tenant, with `paths` among them; raises InvalidInput before anything is kept if one cannot be read."""
    checked = [(_absolute(path), _kind(path)) for path in paths]
    with engine.begin() as connection:
        known = read_sources(connection, scope)
        for location, kind in checked:
            if not _is_covered(location, kind, known):
                known.append(_insert(connection, scope, kind, str(location), location.name, known))
    return known


def api_source(connection: Connection, scope: Scope) -> Source:
    """The source of the documents that are put over the API; made when it is first needed."""
    known = read_sources(connection, scope)
    found = next((source for source in known if source.kind == "api"), None)
    return found or _insert(connection, scope, "api", "", "api", known)


def find_source(connection: Connection, scope: Scope, name: str) -> Source:
    """By its name or its path; raises NotFound."""
    known = read_sources(connection, scope)
    for source in known:
        if name == source.name or (source.location and os.path.abspath(name) == source.location):
            return source
    names = ", ".join(source.name for source in known) or "none"
    raise NotFound(f"there is no source {name!r}; there are: {names}")


def drop_source(connection: Connection, scope: Scope, source: Source) -> None:
    for table in (sources, failures):
        connection.execute(table.delete().where(table.c.tenant == scope.tenant, table.c.source_id == source.source_id))


def _absolute(path: Path) -> Path:
    if not str(path).isprintable() and os.fsencode(path).decode("utf-8", "ignore") != str(path):
        raise InvalidInput(f"{os.fsencode(path)!r} is no path in UTF-8: rename the file or folder")
    return Path(os.path.abspath(path.expanduser()))  # not resolved: a link may point elsewhere tomorrow


def _kind(path: Path) -> SourceKind:
    path = path.expanduser()
    try:
        if path.is_dir():
            return "folder"
        if path.is_file():
            if media_type_of(path.name) is None:
                raise InvalidInput(f"{str(path)!r} is of a kind that is not read; these are: {SUPPORTED}")
            return "file"
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error}") from error
    if path.exists():
        raise InvalidInput(f"{str(path)!r} is neither a file nor a folder")
    raise InvalidInput(f"there is no file or folder {str(path)!r}: check the path")


def _is_covered(location: Path, kind: SourceKind, known: Collection[Source]) -> bool:
    """Whether a source is this path, or a folder that reads it anyway."""
    for source in known:
        if source.kind == "api":
            continue
        if source.location == str(location) or (source.kind == kind and _same(Path(source.location), location)):
            return True
        if source.kind == "folder" and _reads(source, real_path(location)):
            return True
    return False


def _same(left: Path, right: Path) -> bool:
    try:
        return left.samefile(right)
    except OSError:
        return False


def _reads(source: Source, path: Path) -> bool:
    if not path.is_relative_to(real_path(source.location)):
        return False
    listing = list_folder(source, elsewhere=(), max_bytes=1 << 62)
    return any(isinstance(entry.content, File) and entry.content.location.is_relative_to(path) for entry in listing.entries)


def _insert(connection: Connection, scope: Scope, kind: SourceKind, location: str, name: str, known: Collection[Source]) -> Source:
    identity = short_hash(scope.tenant, kind, location)
    source = Source(source_id=identity, kind=kind, location=location, name=_free_name(name or "root", kind, known))
    row = {"source_id": source.source_id, "kind": kind, "location": location, "name": source.name}
    connection.execute(sources.insert().values(tenant=scope.tenant, added_at=time.time(), **row))
    return source


def _free_name(name: str, kind: SourceKind, known: Collection[Source]) -> str:
    taken = {source.name for source in known}
    stem, suffix = os.path.splitext(name) if kind == "file" else (name, "")
    candidate, number = name, 1
    while candidate in taken or (candidate == "api" and kind != "api"):
        number += 1
        candidate = f"{stem}-{number}{suffix}"
    return candidate

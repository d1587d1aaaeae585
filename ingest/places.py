"""What a person names, a path or the address of a repository, becomes a source."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from core.errors import InvalidInput, Unavailable
from core.schema import sources
from core.types import Scope
from ingest.catalog import insert_source, read_sources
from ingest.files import File
from ingest.folder import list_folder
from ingest.git.address import GitAddress, is_git_address, parse_address, without_secrets
from ingest.git.clone import remote_commit
from ingest.parse import SUPPORTED, media_type_of
from ingest.sources import Source, SourceKind, real_path

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def add_sources(engine: Engine, scope: Scope, places: Sequence[str | Path], *, git_seconds: float) -> list[Source]:
    """All sources of the tenant, with `places` among them: paths, and addresses of git repositories.

    Raises InvalidInput or Unavailable before anything is kept if one cannot be read.
    """
    with engine.connect() as connection:
        known = read_sources(connection, scope)
    checked = [_checked(place, known, git_seconds) for place in places]
    with engine.begin() as connection:
        for found in checked:
            known = read_sources(connection, scope)
            if isinstance(found, GitAddress):
                _follow(connection, scope, found, known)
            elif not _is_covered(Path(found.location), found.kind, known):
                insert_source(connection, scope, found.kind, found.location, found.name, known)
        return read_sources(connection, scope)


def _checked(place: str | Path, known: Collection[Source], git_seconds: float) -> "GitAddress | _OnDisk":
    text = str(place)
    if is_git_address(text):
        return _checked_git(text, known, git_seconds)
    if _ADDRESS.match(text):
        raise InvalidInput(
            f"{without_secrets(text)!r} is no place that is read: give a path, or a git repository as in git+https://host/repo"
        )
    return _checked_path(Path(place))


@dataclass(frozen=True, kw_only=True, slots=True)
class _OnDisk:
    location: str
    kind: SourceKind
    name: str


def _checked_path(path: Path) -> _OnDisk:
    location = _absolute(path)
    return _OnDisk(location=str(location), kind=_kind(path), name=location.name)


def _checked_git(text: str, known: Collection[Source], seconds: float) -> GitAddress:
    address = parse_address(text)
    if not any((source.location, source.ref) == (address.location, address.ref) for source in known):
        try:
            remote_commit(address, seconds)
        except Unavailable as error:
            raise Unavailable(f"{text!r} cannot be read: {error}") from error
    return address


def _follow(connection: Connection, scope: Scope, address: GitAddress, known: Collection[Source]) -> None:
    """The same place at another ref stays the same source, which follows the new one from now on."""
    for source in known:
        if source.location == address.location:
            same = (sources.c.tenant == scope.tenant) & (sources.c.source_id == source.source_id)
            connection.execute(sources.update().where(same).values(ref=address.ref))
            return
    insert_source(connection, scope, "git", address.location, address.name, known, ref=address.ref)


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
        if source.kind in ("api", "git"):
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

"""What there is to read: files and folders, walked in a stable order."""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ingest.cuts import short_hash
from ingest.ignore import Ignores
from ingest.parse import media_type_of

SourceKind = Literal["folder", "file", "api"]
_NEVER = frozenset(("CVS", "_darcs", "node_modules", "__pycache__"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    source_id: str
    kind: SourceKind
    location: str
    """Absolute path; empty for the documents that came over the API."""
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file to read."""

    source: Source
    path: str
    """Relative to the source, with slashes, NFC."""
    location: Path
    media_type: str
    size: int

    @property
    def display(self) -> str:
        return display_name(self.source, self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """A path that could not be listed or read; what is below it in the index stays."""

    source: Source
    path: str
    reason: str

    @property
    def display(self) -> str:
        return display_name(self.source, self.path)

    def covers(self, path: str) -> bool:
        return self.path in ("", path) or path.startswith(f"{self.path}/")


@dataclass(kw_only=True, slots=True)
class Listing:
    entries: list[Entry] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    skipped: int = 0
    """Files of kinds that are not read."""


def display_name(source: Source, path: str) -> str:
    """Where a person finds a document, on one line."""
    name = source.name if source.kind == "file" or not path else f"{source.name}/{path}"
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "\N{REPLACEMENT CHARACTER}", name)


def real_path(path: str | Path) -> Path:
    """Unlike `Path.resolve`, this also has an answer for links that go in a circle."""
    return Path(os.path.realpath(path))


def document_id(tenant: str, source: Source, path: str) -> str:
    return path if source.kind == "api" else short_hash(tenant, source.source_id, path)


def list_source(source: Source, *, elsewhere: Collection[Path], max_bytes: int) -> Listing:
    """`elsewhere` are paths that are not part of this source: our own data, and other sources below it.

    A folder that cannot be listed is reported and hides nothing else; the source itself missing counts as that.
    """
    listing = Listing()
    root = real_path(source.location)
    try:
        if source.kind == "file":
            found = [_Found(root, Path(source.location).name, root.stat())]
        else:
            found = list(_Walk(root, frozenset(map(real_path, elsewhere)), listing, source).files())
    except OSError as error:
        listing.unread.append(Unread(source=source, path="", reason=_reason(error)))
        return listing
    for file in found:
        _sort_in(listing, source, file, max_bytes)
    return listing


@dataclass(frozen=True, slots=True)
class _Found:
    location: Path
    path: str
    status: os.stat_result


def _sort_in(listing: Listing, source: Source, file: _Found, max_bytes: int) -> None:
    media_type = media_type_of(file.path)
    if media_type is None:
        listing.skipped += 1
    elif listing.entries and listing.entries[-1].path == file.path:
        listing.unread.append(Unread(source=source, path=file.path, reason="has the same name as its neighbour, in another Unicode form"))
    elif file.status.st_size > max_bytes:
        reason = f"has {file.status.st_size / 1e6:,.1f} MB, over the limit of {max_bytes / 1e6:,.1f} MB (UNDERSTUDY_INGEST__MAX_FILE_BYTES)"
        listing.unread.append(Unread(source=source, path=file.path, reason=reason))
    else:
        entry = Entry(source=source, path=file.path, location=file.location, media_type=media_type, size=file.status.st_size)
        listing.entries.append(entry)


class _Walk:
    """Visits every real folder once and never leaves the root: links are followed last, and only inside it."""

    def __init__(self, root: Path, elsewhere: frozenset[Path], listing: Listing, source: Source) -> None:
        self._root = root
        self._elsewhere = elsewhere
        self._listing = listing
        self._source = source
        self._seen: set[Path] = set()
        self._links: list[tuple[Path, Path]] = []

    def files(self) -> list[_Found]:
        found = list(self._folder(self._root, self._root, Ignores.above(self._root)))
        while self._links:
            target, shown = self._links.pop()
            if target not in self._seen:
                found += self._linked(target, shown)
        return sorted(found, key=lambda file: (file.path, os.fsencode(file.location)))

    def _linked(self, target: Path, shown: Path) -> list[_Found]:
        try:
            if target.is_dir():
                return list(self._folder(target, shown, Ignores.above(target)))
            return list(self._file(target, shown, target.stat()))
        except OSError as error:
            self._report(shown, error)
            return []

    def _folder(self, folder: Path, shown: Path, ignores: Ignores) -> Iterator[_Found]:
        """`shown` is the path under which it was met."""
        self._seen.add(folder)
        try:
            ignores = ignores.entering(folder)
            with os.scandir(folder) as scan:
                children = sorted(scan, key=lambda child: child.name)
        except OSError as error:
            if folder == self._root:
                raise
            self._report(shown, error)
            return
        for child in children:
            yield from self._child(Path(child.path), shown / child.name, ignores)

    def _child(self, path: Path, shown: Path, ignores: Ignores) -> Iterator[_Found]:
        if path.name.startswith(".") or path.name in _NEVER or path in self._elsewhere:
            return
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            self._report(shown, error)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if ignores.match(path, is_folder=is_folder):
            return
        if stat.S_ISLNK(status.st_mode):
            self._link(path, shown)
        elif is_folder and path not in self._seen:
            yield from self._folder(path, shown, ignores)
        elif stat.S_ISREG(status.st_mode):
            yield from self._file(path, shown, status)

    def _file(self, path: Path, shown: Path, status: os.stat_result) -> Iterator[_Found]:
        self._seen.add(path)
        yield _Found(path, self._name(shown), status)

    def _link(self, path: Path, shown: Path) -> None:
        try:
            target = Path(os.path.realpath(path, strict=True))
            mode = target.stat().st_mode
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):  # a link to nothing leads nowhere; any other may lead to documents
                self._report(shown, error)
            return
        usable = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
        if usable and target.is_relative_to(self._root) and target not in self._elsewhere:
            self._links.insert(0, (target, shown))

    def _report(self, shown: Path, error: OSError) -> None:
        self._listing.unread.append(Unread(source=self._source, path=self._name(shown), reason=_reason(error)))

    def _name(self, path: Path) -> str:
        name = path.relative_to(self._root).as_posix()
        readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return unicodedata.normalize("NFC", readable)


def _reason(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"

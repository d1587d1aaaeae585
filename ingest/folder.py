"""A folder or a single file on this machine, walked in a stable order."""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.files import File
from ingest.ignore import Ignores, read_rules
from ingest.sources import Listing, Source, Unread, is_hidden, readable_path, real_path


def list_folder(source: Source, *, elsewhere: Collection[Path], max_bytes: int) -> Listing:
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
        listing.unread.append(Unread(source=source, path="", reason=_reason(error) + _advice(error, source)))
        return listing
    for file in found:
        listing.take(source, file.path, File(file.location), file.status.st_size, max_bytes)
    return listing


@dataclass(frozen=True, slots=True)
class _Found:
    location: Path
    path: str
    status: os.stat_result


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
            ignores = ignores.entering(folder, read_rules(folder))
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
        if is_hidden(path.name) or path in self._elsewhere:
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
        return readable_path(path.relative_to(self._root).as_posix())


def _advice(error: OSError, source: Source) -> str:
    gone = isinstance(error, FileNotFoundError)
    return f"; its documents stay. If it is gone for good, `understudy forget {source.name}` erases them" if gone else ""


def _reason(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"

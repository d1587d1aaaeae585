"""The vocabulary of listing: sources, what there is to read in them, and what could not be listed."""

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Self

from ingest.cuts import short_hash
from ingest.parse import media_type_of

SourceKind = Literal["folder", "file", "git", "api"]
_NEVER = frozenset(("CVS", "_darcs", "node_modules", "__pycache__"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    source_id: str
    kind: SourceKind
    location: str
    """Absolute path, or a git address without its ref; empty for the documents that came over the API."""
    name: str
    ref: str | None = None
    """Of a git source: what it follows; None for the remote's own choice."""
    revision: str | None = None
    """Of a git source: the commit that is published."""


class Content(Protocol):
    """Where the bytes of a file come from."""

    @property
    def stamp(self) -> str | None:
        """Equal stamps mean equal bytes; None where only reading them tells."""
        ...

    def read(self, max_bytes: int) -> bytes:
        """One consistent state of the file; raises ParseFailed with the reason."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file to read."""

    source: Source
    path: str
    """Relative to the source, with slashes, NFC."""
    content: Content
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
    notes: list[str] = field(default_factory=list)
    """What was left out on purpose, and why."""
    revisions: dict[str, str] = field(default_factory=dict)
    """Source id -> the commit that was listed."""
    closings: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Its entries cannot be read any more."""
        while self.closings:
            self.closings.pop()()

    def __iadd__(self, other: "Listing") -> Self:
        self.entries += other.entries
        self.unread += other.unread
        self.skipped += other.skipped
        self.notes += other.notes
        self.revisions |= other.revisions
        self.closings += other.closings
        return self

    def take(self, source: Source, path: str, content: Content, size: int, max_bytes: int) -> None:
        """A file that was found; they come in the order of their paths."""
        media_type = media_type_of(path)
        if media_type is None:
            self.skipped += 1
        elif self.entries and (self.entries[-1].source, self.entries[-1].path) == (source, path):
            self.unread.append(Unread(source=source, path=path, reason="has the same name as its neighbour, in another Unicode form"))
        elif size > max_bytes:
            reason = f"has {size / 1e6:,.1f} MB, over the limit of {max_bytes / 1e6:,.1f} MB (UNDERSTUDY_INGEST__MAX_FILE_BYTES)"
            self.unread.append(Unread(source=source, path=path, reason=reason))
        else:
            self.entries.append(Entry(source=source, path=path, content=content, media_type=media_type, size=size))


def display_name(source: Source, path: str) -> str:
    """Where a person finds a document, on one line."""
    return on_one_line(source.name if source.kind == "file" or not path else f"{source.name}/{path}")


def on_one_line(name: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "\N{REPLACEMENT CHARACTER}", name)


def readable_path(path: str) -> str:
    """NFC; what is not UTF-8 is written as escapes."""
    return unicodedata.normalize("NFC", path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def is_hidden(name: str) -> bool:
    """Files and folders that are never read, wherever they are."""
    return name.startswith(".") or name in _NEVER


def real_path(path: str | Path) -> Path:
    """Unlike `Path.resolve`, this also has an answer for links that go in a circle."""
    return Path(os.path.realpath(path))


def document_id(tenant: str, source: Source, path: str) -> str:
    return path if source.kind == "api" else short_hash(tenant, source.source_id, path)

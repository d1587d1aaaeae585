"""Listed files -> parsed and cut documents; files that have not changed are not parsed again."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from core.errors import ParseFailed
from core.types import Chunk, Document
from ingest.cuts import Chunker, make_chunks, short_hash
from ingest.parse import PARSER_VERSION
from ingest.parsed import Parsed
from ingest.sources import Entry, Source, Unread, display_name, document_id, on_one_line


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """A document as its file says it now."""

    document: Document
    source_id: str
    path: str
    file_hash: str
    chunks: tuple[Chunk, ...]
    outline: str | None = None
    """Of the parsed text, to cut it again; None where it is not known."""
    cut_by: str | None = None


@dataclass(kw_only=True, slots=True)
class Reading:
    incoming: list[Incoming] = field(default_factory=list)
    same: set[str] = field(default_factory=set)
    """Ids of documents whose file has not changed."""
    unread: list[Unread] = field(default_factory=list)


class Parser(Protocol):
    def parse(self, content: bytes, media_type: str) -> Parsed:
        """Raises ParseFailed."""
        ...


def cut_by(chunker: Chunker, embedder: str) -> str:
    """Equal where the same text would be cut alike: the chunker counts the embedder's tokens."""
    return short_hash(chunker.fingerprint, embedder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Reads files for one tenant, with one way of parsing and cutting."""

    tenant: str
    parser: Parser
    chunker: Chunker
    embedder: str
    max_bytes: int

    def read(self, entries: Iterable[Entry], known: Mapping[str, str | None], on_file: Callable[[int], None]) -> Reading:
        """`known` is the file hash of each published document; `on_file` hears how many files are done."""
        reading = Reading()
        for number, entry in enumerate(entries, 1):
            try:
                self._read(entry, known, reading)
            except ParseFailed as error:
                reading.unread.append(Unread(source=entry.source, path=entry.path, reason=str(error)))
            on_file(number)
        return reading

    def _read(self, entry: Entry, known: Mapping[str, str | None], reading: Reading) -> None:
        identity = document_id(self.tenant, entry.source, entry.path)
        stamp = entry.content.stamp
        if stamp is not None and known.get(identity) == self._file_hash(stamp.encode(), entry.media_type):
            reading.same.add(identity)
            return
        content = entry.content.read(self.max_bytes)
        file_hash = self._file_hash(content if stamp is None else stamp.encode(), entry.media_type)
        if known.get(identity) == file_hash:
            reading.same.add(identity)
        else:
            reading.incoming.append(self.document(entry.source, entry.path, content, entry.media_type, file_hash=file_hash))

    def document(
        self, source: Source, path: str, content: bytes, media_type: str, *, title: str = "", shown_as: str = "", file_hash: str = ""
    ) -> Incoming:
        """Raises ParseFailed."""
        parsed = self.parser.parse(content, media_type)
        identity = document_id(self.tenant, source, path)
        document = Document(
            document_id=identity,
            source=shown_as or display_name(source, path),
            title=title or parsed.title or parsed.first_heading or on_one_line(PurePosixPath(path).stem),
            text=parsed.text,
            media_type=media_type,
            content_hash=parsed.content_hash(media_type),
        )
        chunks = make_chunks(self.tenant, identity, parsed.text, self.chunker.cut(parsed))
        file_hash = file_hash or self._file_hash(content, media_type)
        return Incoming(
            document=document, source_id=source.source_id, path=path, file_hash=file_hash, chunks=chunks, outline=parsed.outline(),
            cut_by=cut_by(self.chunker, self.embedder),
        )  # fmt: skip

    def _file_hash(self, content: bytes, media_type: str) -> str:
        """Of the bytes, or of a stamp that stands for them."""
        recipe = f"{PARSER_VERSION} {self.chunker.fingerprint} {self.embedder} {media_type}\0"
        return hashlib.sha256(recipe.encode() + content).hexdigest()

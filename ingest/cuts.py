"""Cuts a document into chunks where its content says so.

An edit changes the chunks that it touches: a cut depends on the sentences around it, not on the distance from the top.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.types import Chunk
from ingest.parsed import Parsed
from ingest.units import CountTokens, Section, Unit, sections

_VERSION = 2
_SEPARATOR = " > "
_WINDOW = 2  # sentences that decide about the cut after them
_LONGEST_TOKEN = 8  # characters, on the average of a text


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """One chunk's place: `text[start:end]`, and the headings above it."""

    heading: str
    start: int
    end: int


class Chunker(Protocol):
    @property
    def fingerprint(self) -> str:
        """Changes when the same text would be cut differently."""
        ...

    def cut(self, parsed: Parsed) -> list[Cut]:
        """In order; no text gives no cuts."""
        ...


class ContentCuts:
    """The default chunker. `window` is what the embedder reads of a text, headings included."""

    def __init__(self, count_tokens: CountTokens, *, window: int, min_tokens: int, max_tokens: int) -> None:
        self._count_tokens = _weighed(count_tokens)
        self._max = max(1, min(max_tokens, window * 4 // 5))
        self._min = max(1, min(min_tokens, self._max // 2))
        self._heading_room = window - self._max

    @property
    def fingerprint(self) -> str:
        return f"content-{_VERSION}-{self._min}-{self._max}-{self._heading_room}"

    def cut(self, parsed: Parsed) -> list[Cut]:
        room = _HeadingRoom(self._heading_room, self._count_tokens)
        return [
            Cut(heading=room.fit(section.headings), start=units[0].start, end=units[-1].end)
            for section in sections(parsed, self._max, self._count_tokens)
            for units in self._runs(parsed.text, section)
        ]

    def _runs(self, text: str, section: Section) -> Iterator[Sequence[Unit]]:
        ranks = _ranks(text, section.units)
        left = sum(unit.tokens for unit in section.units)
        start = 0
        while left > self._max:
            end = self._end_of_run(section.units, ranks, start, left)
            yield section.units[start:end]
            left -= sum(unit.tokens for unit in section.units[start:end])
            start = end
        if start < len(section.units):
            yield section.units[start:]

    def _end_of_run(self, units: Sequence[Unit], ranks: Sequence[tuple[bool, int]], start: int, left: int) -> int:
        """Of the places between minimum and maximum, the one whose hash is lowest; ends of paragraphs go first."""
        best, size = None, 0
        for index in range(start, len(units)):
            size += units[index].tokens
            if size > self._max:
                return best + 1 if best is not None else max(index, start + 1)
            leaves_enough = left - size >= self._min
            if size >= self._min and leaves_enough and (best is None or ranks[index] < ranks[best]):
                best = index
        return best + 1 if best is not None else len(units)


def _weighed(count_tokens: CountTokens) -> CountTokens:
    """A tokenizer may take what it does not know, however long, for a single token; a chunk must stay readable all the same."""

    def count(texts: Sequence[str]) -> list[int]:
        return [max(tokens, len(text) // _LONGEST_TOKEN) for tokens, text in zip(count_tokens(texts), texts, strict=True)]

    return count


def _ranks(text: str, units: Sequence[Unit]) -> list[tuple[bool, int]]:
    hashes = [_hash(text[unit.start : unit.end]) for unit in units]
    windows = (hashes[max(0, index + 1 - _WINDOW) : index + 1] for index in range(len(units)))
    mixed = [_hash(" ".join(map(str, window))) for window in windows]
    return [(not unit.ends_block, value) for unit, value in zip(units, mixed, strict=True)]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


class _HeadingRoom:
    """Shortens heading paths so that heading and text together fit the embedder's window."""

    def __init__(self, tokens: int, count_tokens: CountTokens) -> None:
        self._tokens = tokens
        self._count_tokens = count_tokens
        self._fitted: dict[tuple[str, ...], str] = {}

    def fit(self, headings: tuple[str, ...]) -> str:
        if headings not in self._fitted:
            self._fitted[headings] = self._shortened(headings)
        return self._fitted[headings]

    def _shortened(self, headings: tuple[str, ...]) -> str:
        """The innermost headings say most; a single one that is too long loses its end."""
        while len(headings) > 1 and not self._fits(_SEPARATOR.join(headings)):
            headings = headings[1:]
        heading = _SEPARATOR.join(headings)
        while heading and not self._fits(heading):
            heading = heading[: len(heading) * 3 // 4].rstrip()
        return heading

    def _fits(self, heading: str) -> bool:
        return len(heading.encode()) <= self._tokens or self._count_tokens([heading])[0] <= self._tokens  # no token is less than a byte


def make_chunks(tenant: str, document_id: str, text: str, cuts: Sequence[Cut]) -> tuple[Chunk, ...]:
    """Chunks with their lasting ids: the same words under the same headings keep their id wherever they move in the document."""
    seen: dict[tuple[str, str], int] = {}
    chunks: list[Chunk] = []
    for ordinal, cut in enumerate(cuts):
        piece = text[cut.start : cut.end]
        words = normalised(piece)
        occurrence = seen[cut.heading, words] = seen.get((cut.heading, words), -1) + 1
        chunk_id = short_hash(tenant, document_id, cut.heading, words, str(occurrence))
        chunks.append(
            Chunk(
                chunk_id=chunk_id, document_id=document_id, ordinal=ordinal, heading=cut.heading, text=piece, start=cut.start, end=cut.end
            )
        )
    return tuple(chunks)


def embedded_hash(chunk: Chunk) -> str:
    """Equal for texts that the embedder cannot tell apart."""
    return hashlib.sha256(normalised(chunk.embedded_text).encode()).hexdigest()


def normalised(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def short_hash(*parts: str) -> str:
    """32 hex digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:32]

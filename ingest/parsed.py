"""What parsing gives: clean text, and the blocks it is made of."""

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading", "paragraph", "item", "row", "code"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Of a heading: 0 is the title of the whole, 1 the outermost below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    title: str | None
    """As the document itself names it outside of its text (front matter, HTML title); None where it does not."""
    text: str
    """NFC, without control characters."""
    blocks: tuple[Block, ...]
    """In order and apart: only white space lies between them."""

    @property
    def first_heading(self) -> str | None:
        headings = (self.text[block.start : block.end] for block in self.blocks if block.kind == "heading")
        return next(headings, None)

    def content_hash(self, media_type: str) -> str:
        shape = ",".join(f"{block.kind[0]}{block.level}:{block.start}-{block.end}" for block in self.blocks)
        return hashlib.sha256("\0".join((media_type, self.title or "", shape, self.text)).encode()).hexdigest()

    def outline(self) -> str:
        """All of it but the text, as `parsed_again` takes it."""
        return json.dumps([self.title, [(block.kind, block.start, block.end, block.level) for block in self.blocks]], separators=(",", ":"))


def parsed_again(text: str, outline: str, media_type: str, content_hash: str) -> Parsed | None:
    """From what is kept of it; None where that is not what was parsed once."""
    try:
        title, rows = json.loads(outline)
        blocks = tuple(Block(kind=kind, start=start, end=end, level=level) for kind, start, end, level in rows)
        parsed = Parsed(title=title, text=text, blocks=blocks)
        return parsed if parsed.content_hash(media_type) == content_hash else None
    except (ValueError, TypeError):
        return None


class TextBuilder:
    """Collects blocks and lays them out as one text."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._blocks: list[Block] = []
        self._length = 0

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        cleaned = clean_code(text) if kind == "code" else clean_line(text)
        if not cleaned:
            return
        separator = self._separator(kind)
        start = self._length + len(separator)
        self._pieces += [separator, cleaned]
        self._length = start + len(cleaned)
        self._blocks.append(Block(kind=kind, start=start, end=self._length, level=level))

    def _separator(self, kind: BlockKind) -> str:
        if not self._blocks:
            return ""
        return "\n" if kind in ("item", "row") and self._blocks[-1].kind == kind else "\n\n"

    def parsed(self, title: str | None = None) -> Parsed:
        return Parsed(title=(clean_line(title)[:500] or None) if title else None, text="".join(self._pieces), blocks=tuple(self._blocks))


_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffc"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
    # Joiners spell words in Arabic and Indic scripts; elsewhere they only hide things.
    "|(?<![\u0600-\u0dff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u0dff])"
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_BREAK = re.compile(r" ?\n[ \n]*")


def clean(text: str) -> str:
    """NFC without control, zero-width and bidirectional characters; lines end with a line feed."""
    return unicodedata.normalize("NFC", _UNSEEN.sub("", _LINE_ENDS.sub("\n", text)))


def clean_line(text: str) -> str:
    """Runs of spaces become one; a line feed that is left is a wanted line break."""
    return _AROUND_BREAK.sub("\n", _SPACES.sub(" ", clean(text))).strip()


def clean_code(text: str) -> str:
    lines = (line.rstrip() for line in clean(text).expandtabs(4).split("\n"))
    return "\n".join(lines).strip("\n")

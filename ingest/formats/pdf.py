"""PDF: lines put together again to paragraphs and tables; larger type is a heading."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pypdfium2

from core.errors import ParseFailed
from ingest.formats.pdf_lines import Line, read_lines
from ingest.formats.pdf_tables import table_at
from ingest.parsed import Parsed, TextBuilder

_BULLET = re.compile(r"(?:[•●▪◦■○∙·*–—-]|\(?(?:\d{1,2}|[a-z])[.)])\s+")
_NO_TITLE = re.compile(r"\.\w{2,4}$|^untitled|^\(?anonymous|^microsoft word|^powerpoint|^slide 1$|^document\d*$", re.IGNORECASE)
_HYPHENS = ("-", "\u2010", "\xad", "\x02", "\ufffe")
_SENTENCE_END = (".", "!", "?", ":", ";", "”", '"', "…")


def parse_pdf(content: bytes) -> Parsed:
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        encrypted = "is encrypted; save a copy without a password"
        raise ParseFailed(encrypted if "assword" in str(error) else f"is not a PDF that can be read: {error}") from error
    with document:
        lines = read_lines(document)
        title = document.get_metadata_value("Title").strip()
    if not lines:
        raise ParseFailed("holds no text (scanned pages need text recognition first)")
    return _Build(lines).parsed(title if title and not _NO_TITLE.search(title) else None)


@dataclass(frozen=True, slots=True)
class _Page:
    """What is usual in this document."""

    levels: dict[float, int]
    """Type size -> heading level."""
    right_edge: float


class _Build:
    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._usual = _Page(levels=_levels(lines), right_edge=_right_edge(lines))
        self._builder = TextBuilder()
        self._header: Line | None = None

    def parsed(self, title: str | None) -> Parsed:
        position = 0
        while position < len(self._lines):
            table = table_at(self._lines, position, self._header)
            if table:
                self._header = table.header
                for text in table.texts():
                    self._builder.add("row", text)
                position += table.lines
            else:
                group = self._paragraph_at(position)
                self._add_paragraph(group)
                position += len(group)
        return self._builder.parsed(title)

    def _paragraph_at(self, position: int) -> list[Line]:
        group = [self._lines[position]]
        for index in range(position + 1, len(self._lines)):
            if not _continues(group[-1], self._lines[index], self._usual.right_edge) or table_at(self._lines, index, self._header):
                break
            group.append(self._lines[index])
        return group

    def _add_paragraph(self, group: Sequence[Line]) -> None:
        text = _joined(group)
        level = self._usual.levels.get(group[0].size)
        if level is not None and len(text) < 200 and any(character.isalpha() for character in text):
            self._header = None
            self._builder.add("heading", text, level=level)
        elif _BULLET.match(text):
            self._builder.add("item", re.sub(r"^[•●▪◦■○∙·*–—]\s+", "- ", text))
        else:
            self._builder.add("paragraph", text)


def _levels(lines: Sequence[Line]) -> dict[float, int]:
    """Sizes clearly above that of most letters are headings, the largest of the first level."""
    letters: Counter[float] = Counter()
    for line in lines:
        letters[line.size] += len(line.text)
    body = letters.most_common(1)[0][0]
    return {size: min(level, 6) for level, size in enumerate(sorted((size for size in letters if size > body * 1.12), reverse=True), 1)}


def _right_edge(lines: Sequence[Line]) -> float:
    return sorted(line.right for line in lines)[int(len(lines) * 0.9)]


def _continues(before: Line, line: Line, right_edge: float) -> bool:
    if abs(before.size - line.size) > 0.6 or _BULLET.match(line.text):
        return False
    if before.page != line.page or line.bottom > before.top:  # next page or column
        return not before.text.endswith(_SENTENCE_END) and line.text[:1].islower()
    gap = before.bottom - line.top
    if gap > before.size * 0.75:
        return False
    indented = line.left - before.left > before.size * 0.8 and not _BULLET.match(before.text)
    short = right_edge - before.right > (right_edge - before.left) * 0.35
    if before.text.endswith(_SENTENCE_END):
        return not (indented or short)
    return not (short and line.text[:1].isupper() and gap > before.size * 0.4)


def _joined(group: Sequence[Line]) -> str:
    text = group[0].text
    for line in group[1:]:
        if text.endswith(_HYPHENS) and len(text) > 1 and text[-2].isalpha() and line.text[:1].islower():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    return text

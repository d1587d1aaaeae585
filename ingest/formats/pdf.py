"""PDF: lines put together again to paragraphs; larger type is a heading; what every page repeats is left out."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from core.errors import ParseFailed
from ingest.parsed import Parsed, TextBuilder

_BULLET = re.compile(r"(?:[•●▪◦■○∙·*–—-]|\(?(?:\d{1,2}|[a-z])[.)])\s+")
_NO_TITLE = re.compile(r"\.\w{2,4}$|^untitled|^microsoft word|^slide 1$|^document\d*$", re.IGNORECASE)
_HYPHENS = ("-", "\u2010", "\xad", "\x02", "\ufffe")
_SENTENCE_END = (".", "!", "?", ":", ";", "”", '"', "…")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    page: int
    text: str
    size: float
    """Height of its type in points."""
    left: float
    right: float
    top: float
    bottom: float


def parse_pdf(content: bytes) -> Parsed:
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        reason = "is encrypted; save a copy without a password" if "assword" in str(error) else f"is not a PDF that can be read: {error}"
        raise ParseFailed(reason) from error
    with document:
        pages = [_page_lines(document, number) for number in range(len(document))]
        title = document.get_metadata_value("Title")
    lines = [line for page in _without_running_heads(pages) for line in page]
    if not lines:
        raise ParseFailed("holds no text (scanned pages need text recognition first)")
    return _build(lines, title if _is_real_title(title) else None)


def _page_lines(document: pypdfium2.PdfDocument, number: int) -> list[Line]:
    page = document[number]
    words = page.get_textpage()
    try:
        return list(_lines(words, number))
    finally:
        words.close()
        page.close()


def _lines(words: pypdfium2.PdfTextPage, page: int) -> Iterator[Line]:
    position = 0
    for raw in _raw_text(words).split("\n"):
        text = raw.strip()
        if text:
            first = position + raw.index(text[0])
            yield _line(words, page, text, first, first + len(text) - 1)
        position += len(raw) + 1


def _raw_text(words: pypdfium2.PdfTextPage) -> str:
    """One character for each of the page's character indices."""
    count = words.count_chars()
    return "".join(_character(pdfium.FPDFText_GetUnicode(words, index)) for index in range(count))


def _character(code: int) -> str:
    if code == 13:
        return " "
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else " "


def _line(words: pypdfium2.PdfTextPage, page: int, text: str, first: int, last: int) -> Line:
    left, bottom, _, top = _box(words, first)
    _, last_bottom, right, last_top = _box(words, last)
    size = pdfium.FPDFText_GetFontSize(words, first)
    height = top - bottom
    if size <= 1.5:  # some writers scale a font of size 1
        size = height * 1.4
    return Line(page=page, text=text, size=round(size, 1), left=left, right=right, top=max(top, last_top), bottom=min(bottom, last_bottom))


def _box(words: pypdfium2.PdfTextPage, index: int) -> tuple[float, float, float, float]:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    rectangle = pdfium.FS_RECTF()
    if pdfium.FPDFText_GetLooseCharBox(words, index, rectangle):
        return rectangle.left, rectangle.bottom, rectangle.right, rectangle.top
    return left.value, bottom.value, right.value, top.value


def _without_running_heads(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Drop first and last lines that most pages share, page numbers apart."""
    edges: Counter[str] = Counter()
    for page in pages:
        edges.update({_masked(line) for line in page[:2] + page[-2:]})
    enough = max(3, len(pages) // 2)
    repeated = {text for text, count in edges.items() if count >= enough}
    return [
        [line for position, line in enumerate(page) if not (_masked(line) in repeated and (position < 2 or position >= len(page) - 2))]
        for page in pages
    ]


def _masked(line: Line) -> str:
    return re.sub(r"\d+", "0", line.text)


def _build(lines: Sequence[Line], title: str | None) -> Parsed:
    body = _body_size(lines)
    sizes = sorted({line.size for line in lines if line.size > body * 1.12}, reverse=True)
    levels = {size: min(level, 6) for level, size in enumerate(sizes, 1)}
    right_edge = _right_edge(lines)
    builder = TextBuilder()
    for group in _paragraphs(lines, right_edge):
        _add(builder, group, levels)
    return builder.parsed(title)


def _body_size(lines: Sequence[Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0]


def _right_edge(lines: Sequence[Line]) -> float:
    rights = sorted(line.right for line in lines)
    return rights[int(len(rights) * 0.9)] if rights else 0.0


def _paragraphs(lines: Sequence[Line], right_edge: float) -> Iterator[list[Line]]:
    group = [lines[0]]
    for line in lines[1:]:
        if _continues(group[-1], line, right_edge):
            group.append(line)
        else:
            yield group
            group = [line]
    yield group


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
    ended = before.text.endswith(_SENTENCE_END)
    return not (ended and (indented or short)) and not (short and line.text[:1].isupper() and not ended and gap > before.size * 0.4)


def _add(builder: TextBuilder, group: Sequence[Line], levels: dict[float, int]) -> None:
    text = _joined(group)
    level = levels.get(group[0].size)
    if level is not None and len(text) < 200 and any(character.isalpha() for character in text):
        builder.add("heading", text, level=level)
    elif _BULLET.match(text):
        builder.add("item", re.sub(r"^[•●▪◦■○∙·*–—]\s+", "- ", text))
    else:
        builder.add("paragraph", text)


def _joined(group: Sequence[Line]) -> str:
    text = group[0].text
    for line in group[1:]:
        if text.endswith(_HYPHENS) and len(text) > 1 and text[-2].isalpha() and line.text[:1].islower():
            text = text[:-1] + line.text
        else:
            text = f"{text} {line.text}"
    return text


def _is_real_title(title: str) -> bool:
    """Word processors put file names and "Untitled" there."""
    return bool(title.strip()) and not _NO_TITLE.search(title.strip())

"""The lines of a PDF page, with their place, their type size and the wide gaps that divide table cells."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pypdfium2
import pypdfium2.raw as pdfium

_MARKER = re.compile(r"[^\w\s]|\(?\w{1,2}[.)]")
_WIDE = 1.2  # times the type size; words of justified text stay closer


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    text: str
    left: float
    right: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    page: int
    cells: tuple[Cell, ...]
    """One, but for lines of tables."""
    size: float
    """Of its type, in points."""
    top: float
    bottom: float

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)

    @property
    def left(self) -> float:
        return self.cells[0].left

    @property
    def right(self) -> float:
        return self.cells[-1].right


def read_lines(document: pypdfium2.PdfDocument) -> list[Line]:
    """All lines in reading order, without those that pages repeat at their edges."""
    pages = [_page_lines(document, number) for number in range(len(document))]
    return [line for page in _without_running_heads(pages) for line in page]


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
        if raw.strip():
            yield _line(words, page, raw, position)
        position += len(raw) + 1


def _raw_text(words: pypdfium2.PdfTextPage) -> str:
    """One character for each of the page's character indices."""
    codes = (pdfium.FPDFText_GetUnicode(words, index) for index in range(words.count_chars()))
    return "".join(_character(code) for code in codes)


def _character(code: int) -> str:
    if code == 13:
        return " "
    if 0xE000 <= code < 0xF900:
        return "•"  # symbol fonts keep their bullets there
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else " "


def _line(words: pypdfium2.PdfTextPage, page: int, raw: str, position: int) -> Line:
    spans = [match.span() for match in re.finditer(r"\S+", raw)]
    boxes = {index: _box(words, position + index) for start, end in spans for index in (start, end - 1)}
    _, bottom, _, top = first = boxes[spans[0][0]]
    last = boxes[spans[-1][1] - 1]
    size = pdfium.FPDFText_GetFontSize(words, position + spans[0][0])
    if size <= 1.5:  # some writers scale a font of size 1
        size = (top - bottom) * 0.8
    cells = tuple(
        Cell(text=raw[group[0][0] : group[-1][1]], left=boxes[group[0][0]][0], right=boxes[group[-1][1] - 1][2])
        for group in _groups(raw, spans, boxes, size)
    )
    return Line(page=page, cells=cells, size=round(size, 1), top=max(top, last[3]), bottom=min(first[1], last[1]))


_Box = tuple[float, float, float, float]
_Span = tuple[int, int]


def _groups(raw: str, spans: Sequence[_Span], boxes: dict[int, _Box], size: float) -> list[list[_Span]]:
    """Words up to the next wide gap; the one behind a bullet or number divides no cells."""
    groups = [[spans[0]]]
    for before, span in pairwise(spans):
        gap = boxes[span[0]][0] - boxes[before[1] - 1][2]
        is_marker = before is spans[0] and _MARKER.fullmatch(raw[before[0] : before[1]])
        if gap > _WIDE * size and not is_marker:
            groups.append([span])
        else:
            groups[-1].append(span)
    return groups


def _box(words: pypdfium2.PdfTextPage, index: int) -> _Box:
    """Left, bottom, right, top."""
    rectangle = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(words, index, rectangle)
    return rectangle.left, rectangle.bottom, rectangle.right, rectangle.top


def _without_running_heads(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Page numbers do not make a repeated line another one."""
    edges: Counter[str] = Counter()
    for page in pages:
        edges.update({_masked(line) for line in page[:2] + page[-2:]})
    enough = max(2, (len(pages) + 1) // 2)
    repeated = {text for text, count in edges.items() if count >= enough}
    return [
        [line for position, line in enumerate(page) if _masked(line) not in repeated or 2 <= position < len(page) - 2] for page in pages
    ]


def _masked(line: Line) -> str:
    return re.sub(r"\d+", "0", line.text)

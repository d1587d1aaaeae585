"""Word documents: paragraphs, lists and tables in reading order, tracked deletions left out."""

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from lxml import etree

from core.errors import ParseFailed
from ingest.formats.rows import plain_lines, row_lines
from ingest.parsed import Parsed, TextBuilder

_OLE = b"\xd0\xcf\x11\xe0"
_MAX_UNPACKED = 500_000_000
_HEADING_STYLE = re.compile(r"(?:heading|überschrift|titre|título|kop)\s*(\d)", re.IGNORECASE)
_SKIPPED = frozenset(("del", "moveFrom", "instrText", "delText", "rPr", "pPr", "Fallback", "txbxContent"))

Element = Any  # lxml ships no types


def parse_docx(content: bytes) -> Parsed:
    if content.startswith(_OLE):
        raise ParseFailed("is encrypted, or of the old .doc format: save it as .docx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _parse(archive)
    except (zipfile.BadZipFile, KeyError, etree.XMLSyntaxError, EOFError, NotImplementedError, OSError) as error:
        raise ParseFailed(f"is not a Word document that can be read: {error}") from error


def _parse(archive: zipfile.ZipFile) -> Parsed:
    if sum(entry.file_size for entry in archive.infolist()) > _MAX_UNPACKED:
        raise ParseFailed(f"unpacks to more than {_MAX_UNPACKED:,} bytes")
    names = archive.namelist()
    main = next((name for name in names if re.fullmatch(r"word/document\d*\.xml", name)), None)
    if main is None:
        raise ParseFailed("is not a Word document: it has no word/document.xml")
    styles = _styles(archive.read("word/styles.xml")) if "word/styles.xml" in names else {}
    body = _first(_xml(archive.read(main)), "body")
    builder = TextBuilder()
    if body is not None:
        _Walk(builder, styles).children(body)
    return builder.parsed()


def _xml(content: bytes) -> Element:
    return etree.fromstring(content, parser=etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True))


def _styles(content: bytes) -> dict[str, str]:
    """Style id -> its name; a style that only adds to a heading counts as that heading."""
    names: dict[str, str] = {}
    bases: dict[str, str] = {}
    for style in _xml(content):
        identity = _attribute(style, "styleId")
        if identity:
            names[identity] = _value(style, "name")
            bases[identity] = _value(style, "basedOn")
    return {identity: _named_heading(identity, names, bases) for identity in names}


def _named_heading(identity: str, names: dict[str, str], bases: dict[str, str]) -> str:
    current = identity
    for _ in range(10):
        if _HEADING_STYLE.match(names.get(current, "")):
            return names[current]
        current = bases.get(current, "")
    return names[identity]


class _Walk:
    def __init__(self, builder: TextBuilder, styles: dict[str, str]) -> None:
        self._builder = builder
        self._styles = styles

    def children(self, parent: Element) -> None:
        for child in parent:
            match _tag(child):
                case "p":
                    self._paragraph(child)
                case "tbl":
                    self._table(child)
                case "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" | "smartTag":
                    self.children(child)

    def _paragraph(self, paragraph: Element) -> None:
        text = _text(paragraph)
        style = self._styles.get(_value(_first(paragraph, "pPr"), "pStyle"), "")
        heading = _HEADING_STYLE.match(style)
        if heading or style.lower() == "title":
            self._builder.add("heading", text.replace("\n", " "), level=int(heading.group(1)) if heading else 0)
        elif _is_item(paragraph, style):
            self._builder.add("item", f"- {text}" if text else "")
        elif "code" in style.lower() or "preformatted" in style.lower():
            self._builder.add("code", text)
        else:
            self._builder.add("paragraph", text)
        for box in paragraph.iter():
            if _tag(box) == "txbxContent" and not any(_tag(above) == "Fallback" for above in box.iterancestors()):
                self.children(box)

    def _table(self, table: Element) -> None:
        rows = [[" ".join(_cell(cell)) for cell in _all(row, "tc")] for row in _all(table, "tr")]
        rows = [row for row in rows if any(row)]
        if not rows:
            return
        if len(rows) == 1 or max(map(len, rows)) == 1:
            for row in rows:
                self._builder.add("paragraph", " ".join(row))
            return
        header = rows[0] if all(rows[0]) and len(set(rows[0])) == len(rows[0]) else None
        for line in row_lines(header, rows[1:]) if header else plain_lines(rows):
            self._builder.add("row", line)


def _cell(cell: Element) -> Iterator[str]:
    for element in cell.iter():
        if _tag(element) == "p":
            text = " ".join(_text(element).split())
            if text:
                yield text


def _is_item(paragraph: Element, style: str) -> bool:
    properties = _first(paragraph, "pPr")
    numbered = properties is not None and _first(properties, "numPr") is not None
    return numbered or style.lower().startswith(("list bullet", "list number"))


def _text(paragraph: Element) -> str:
    parts: list[str] = []
    _collect(paragraph, parts)
    return "".join(parts)


def _collect(element: Element, parts: list[str]) -> None:
    for child in element:
        match _tag(child):
            case "t":
                parts.append(child.text or "")
            case "tab" | "ptab":
                parts.append(" ")
            case "br" | "cr":
                parts.append("\n")
            case "noBreakHyphen":
                parts.append("-")
            case tag if tag not in _SKIPPED:
                _collect(child, parts)


def _tag(element: Element) -> str:
    """The name without its namespace, of which Word has two generations."""
    return str(element.tag).rpartition("}")[2]


def _first(parent: Element | None, tag: str) -> Element | None:
    return next((child for child in parent if _tag(child) == tag), None) if parent is not None else None


def _all(parent: Element, tag: str) -> Iterator[Element]:
    for child in parent:
        if _tag(child) == tag:
            yield child
        elif _tag(child) in ("sdt", "sdtContent", "customXml", "ins"):
            yield from _all(child, tag)


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def _value(parent: Element | None, tag: str) -> str:
    child = _first(parent, tag)
    return _attribute(child, "val") if child is not None else ""

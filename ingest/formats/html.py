"""HTML: the content without the page around it."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from core.errors import ParseFailed
from ingest.formats.rows import plain_lines, row_lines
from ingest.parsed import Parsed, TextBuilder

_DROPPED = frozenset(
    "head script style template noscript nav footer iframe object svg canvas"
    " form button select input textarea dialog math audio video map".split()
)
_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu"))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure header"
    " hgroup hr html li main ol p pre section"
    " summary table tbody td tfoot th thead tr ul caption".split()
) | frozenset(_HEADINGS)
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden")

Element = Any  # lxml ships no types


def parse_html(text: str) -> Parsed:
    root = _document(text)
    title = root.findtext(".//title")
    builder = TextBuilder()
    _Walk(builder).element(_content(root))
    parsed = builder.parsed()
    has_name = any(block.kind == "heading" and block.level == 1 for block in parsed.blocks)
    return parsed if has_name or not title else builder.parsed(" ".join(title.split()))


def add_html(builder: TextBuilder, fragment: str) -> None:
    """A piece of HTML inside another format."""
    if re.search(r"[^<>\s]", re.sub(r"<!--.*?(?:-->|\Z)|<[^>]*>", "", fragment, flags=re.DOTALL)):
        _Walk(builder).element(_document(fragment))


def _document(text: str) -> Element:
    parser = lxml_html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return lxml_html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError as error:
        raise ParseFailed(f"is not HTML: {error}") from error


def _content(root: Element) -> Element:
    """<main> where there is one that holds the words."""
    body = root.find("body")
    body = root if body is None else body
    mains = root.findall(".//main") or root.xpath(".//*[@role='main']")
    if len(mains) == 1 and len(mains[0].text_content()) * 4 > len(body.text_content()):
        return mains[0]
    return body


class _Walk:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._words: list[str] = []
        self._lists: list[Iterator[str]] = []
        self._marker = ""

    def element(self, element: Element) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if not tag or _is_dropped(element, tag):
            return
        if tag in _HEADINGS:
            self._flush()
            self._builder.add("heading", _line(element), level=_HEADINGS[tag])
        elif tag == "pre":
            self._flush()
            self._builder.add("code", element.text_content())
        elif tag == "table":
            self._flush()
            self._table(element)
        elif tag == "br":
            self._words.append("\n")
        elif tag in _BLOCKS:
            self._block(element, tag)
        else:
            self._children(element)

    def _block(self, element: Element, tag: str) -> None:
        self._flush()
        if tag in ("ul", "ol"):
            self._lists.append(_markers(tag))
        elif tag in ("li", "dt"):
            self._marker = "  " * (len(self._lists) - 1) + next(self._lists[-1]) if self._lists else "- "
        self._children(element)
        self._flush()
        if tag in ("ul", "ol"):
            self._lists.pop()
        elif tag in ("li", "dt"):
            self._marker = ""

    def _children(self, element: Element) -> None:
        self._text(element.text)
        for child in element:
            self.element(child)
            self._text(child.tail)

    def _text(self, text: str | None) -> None:
        if text:
            self._words.append(re.sub(r"\s+", " ", text))

    def _flush(self) -> None:
        text = "".join(self._words).strip()
        self._words.clear()
        if text:
            item = bool(self._lists) or bool(self._marker)
            self._builder.add("item" if item else "paragraph", self._marker + text)
            self._marker = ""

    def _table(self, table: Element) -> None:
        if table.find(".//table") is not None or table.get("role") == "presentation":
            for cell in table.iter("td", "th", "caption"):
                if cell.find(".//table") is None:
                    self._block(cell, "div")
            return
        caption = table.find("caption")
        if caption is not None:
            self._builder.add("paragraph", _line(caption))
        for line in _table_lines(table):
            self._builder.add("row", line)


def _is_dropped(element: Element, tag: str) -> bool:
    if tag in _DROPPED or element.get("role") in _ROLES or element.get("aria-hidden") == "true":
        return True
    if "hidden" in element.attrib or _INVISIBLE.search(element.get("style") or ""):
        return True
    return tag == "header" and element.find(".//h1") is None


def _markers(tag: str) -> Iterator[str]:
    number = 1
    while True:
        yield f"{number}. " if tag == "ol" else "- "
        number += 1


def _table_lines(table: Element) -> Iterator[str]:
    rows = [(row, [_line(cell) for cell in row if cell.tag in ("td", "th")]) for row in table.iter("tr") if not _is_dropped(row, "tr")]
    rows = [(row, cells) for row, cells in rows if any(cells)]
    if not rows:
        return iter(())
    first, header = rows[0]
    parent = first.getparent()
    if (parent is not None and parent.tag == "thead") or all(cell.tag == "th" for cell in first if cell.tag in ("td", "th")):
        return row_lines(header, [cells for _, cells in rows[1:]])
    return plain_lines([cells for _, cells in rows])


def _line(element: Element) -> str:
    """All words of an element on one line."""
    words: list[str] = []
    _collect(element, words)
    return " ".join("".join(words).split())


def _collect(element: Element, words: list[str]) -> None:
    words.append(element.text or "")
    for child in element:
        if isinstance(child.tag, str) and not _is_dropped(child, child.tag):
            padding = " " if child.tag in _BLOCKS or child.tag == "br" else ""
            words.append(padding)
            _collect(child, words)
            words.append(padding)
        words.append(child.tail or "")

"""Blocks of a text that was not parsed by us: offsets count its own characters, nothing is rewritten."""

import re
from collections.abc import Iterator

from ingest.parsed import Block, Parsed

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+\S")

_Line = tuple[int, str]


def outline(text: str) -> Parsed:
    """Markdown headings, fenced code, list items and paragraphs, where they are."""
    return Parsed(title=None, text=text, blocks=tuple(_blocks(_lines(text))))


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _blocks(lines: Iterator[_Line]) -> Iterator[Block]:
    group: list[_Line] = []
    fence = ""
    for start, line in lines:
        mark = _FENCE.match(line)
        heading = None if fence else _HEADING.match(line)
        if fence:
            group.append((start, line))
            if line.strip().startswith(fence):
                yield from _flush(group, is_code=True)
                fence = ""
        elif mark or heading or not line.strip() or _ITEM.match(line):
            yield from _flush(group)
            fence = mark.group(1) if mark else ""
            if heading and heading.group(2):
                yield Block(kind="heading", start=start + heading.start(2), end=start + heading.end(2), level=len(heading.group(1)))
            elif not heading and line.strip():
                group.append((start, line))
        else:
            group.append((start, line))
    yield from _flush(group, is_code=bool(fence))


def _flush(group: list[_Line], *, is_code: bool = False) -> Iterator[Block]:
    if group:
        (start, first), (last_start, last) = group[0], group[-1]
        begin = start + len(first) - len(first.lstrip())
        is_item = bool(_ITEM.match(first))
        yield Block(kind="code" if is_code else "item" if is_item else "paragraph", start=begin, end=last_start + len(last.rstrip()))
        group.clear()

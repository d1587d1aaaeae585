"""Plain text: paragraphs, lists and the headings that people draw with capitals, underlines and numbers."""

import itertools
import re
from collections.abc import Iterator

from ingest.parsed import Parsed, TextBuilder, clean

_UNDERLINE = re.compile(r"[=\-~*#_]{3,}$")
_BULLET = re.compile(r"(\s*)(?:[-*•–+]|\(?(?:\d{1,3}|[a-z])[.)])\s+\S")
_NUMBERED_TITLE = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s+\S.{0,70}$")
_WRAPPED = 50  # lines of prose are longer than this before they are wrapped


def parse_plain(text: str) -> Parsed:
    builder = TextBuilder()
    for lines in _groups(clean(text)):
        _add_group(builder, lines)
    return builder.parsed()


def _groups(text: str) -> Iterator[list[str]]:
    """Lines between blank lines."""
    group: list[str] = []
    for line in text.split("\n"):
        if line.strip():
            group.append(line.rstrip())
        elif group:
            yield group
            group = []
    if group:
        yield group


def _add_group(builder: TextBuilder, lines: list[str]) -> None:
    if len(lines) >= 2 and _UNDERLINE.fullmatch(lines[1].strip()) and not lines[0].startswith(" "):
        builder.add("heading", lines[0], level=1 if lines[1].startswith("=") else 2)
        lines = lines[2:]
    elif _is_title(lines[0]) and (len(lines) == 1 or lines[0].isupper()):
        builder.add("heading", lines[0], level=2 if lines[0][0].isdigit() else 1)
        lines = lines[1:]
    for kind, text in _paragraphs(lines):
        builder.add("item" if kind else "paragraph", text)


def _is_title(line: str) -> bool:
    if len(line) > 80 or line[0].isspace() or line.rstrip()[-1] in ".,;:!?":
        return False
    return bool(_NUMBERED_TITLE.match(line)) or (line.isupper() and len(line) > 3)


def _paragraphs(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """(is an item, text): wrapped lines are joined, lines that stand for themselves are kept apart."""
    current: list[str] = []
    is_item = False
    for line in lines:
        bullet = _BULLET.match(line)
        if bullet:
            if current:
                yield is_item, _joined(current)
            current, is_item = [_marked(line)], True
        else:
            current.append(line.strip())
    if current:
        yield is_item, _joined(current)


def _marked(line: str) -> str:
    return re.sub(r"^\s*[*•–+]\s+", "- ", line).strip()


def _joined(lines: list[str]) -> str:
    text = lines[0]
    for before, line in itertools.pairwise(lines):
        text += (" " if len(before) >= _WRAPPED else "\n") + line
    return text

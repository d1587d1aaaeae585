"""Markdown: CommonMark with tables; front matter gives the title."""

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.formats.html import add_html
from ingest.formats.rows import row_lines
from ingest.parsed import Parsed, TextBuilder

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_LIQUID_COMMENT = re.compile(r"\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}", re.DOTALL)
_LIQUID_TEXT = re.compile(r"\{%-?\s*(?:page|link|slack_channel)\b(?P<words>[^%]*?)-?%\}")
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_ATTRIBUTE = r"(?:[.#][A-Za-z_-][\w-]*+|[\w-]++=\"[^\"\n]*+\"|[\w-]++='[^'\n]*+')"
_LIQUID = re.compile(
    rf"\{{%-?[^%]*-?%\}}|\{{:(?:\s*{_ATTRIBUTE})+\s*\}}|\{{:\s*toc\s*\}}"
    r"|\{::(?:options|comment|nomarkdown)\b[^}\n]*\}|\{:/(?:comment|nomarkdown)?\}"
)
_BACKTICKS = re.compile(r"`+|\n[ \t]*\n")
_MASK = re.compile(r"\ue000(\d+)\ue001")


def parse_markdown(text: str) -> Parsed:
    title, body = _front_matter(text)
    builder = TextBuilder()
    _Walk(builder).blocks(_parser().parse(_without_liquid(body)))
    return builder.parsed(title)


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _front_matter(text: str) -> tuple[str | None, str]:
    match = _FRONT_MATTER.match(text)
    if match is None:
        return None, text
    title = _TITLE.search(match.group(1))
    return (title.group(1).strip("\"'") if title else None), text[match.end() :]


def _without_liquid(text: str) -> str:
    """Site generators put template tags into Markdown; their words stay, their commands go."""
    if "{%" not in text and "{:" not in text:
        return text
    masked, code = _mask_code(text)
    masked = _LIQUID_TEXT.sub(_words, _LIQUID_COMMENT.sub("", masked))
    return _MASK.sub(lambda match: code[int(match.group(1))], _LIQUID.sub("", masked))


def _mask_code(text: str) -> tuple[str, list[str]]:
    """What stands in code is quoted, not commanded: a sign in its place, and the code itself."""
    text = text.replace("\ue000", "").replace("\ue001", "")
    code: list[str] = []
    parts: list[str] = []
    done = 0
    for start, end in _code(text):
        parts += [text[done:start], f"\ue000{len(code)}\ue001"]
        code.append(text[start:end])
        done = end
    return "".join([*parts, text[done:]]), code


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Where blocks and spans of code are, in order."""
    lines = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", text)), len(text)]
    done = 0
    for token in _parser().disable("inline").parse(text):
        if token.type in ("fence", "code_block") and token.map:
            start, end = (lines[min(line, len(lines) - 1)] for line in token.map)
            yield from _code_spans(text, done, start)
            yield start, end
            done = end
    yield from _code_spans(text, done, len(text))


def _code_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A run of backticks and the next one as long, in one paragraph."""
    runs = list(_BACKTICKS.finditer(text, start, end))
    closing: dict[int, int] = {}
    seen: dict[int, int] = {}
    for position in range(len(runs) - 1, -1, -1):
        if not runs[position].group().startswith("`"):
            seen.clear()
            continue
        length = len(runs[position].group())
        if length in seen:
            closing[position] = seen[length]
        seen[length] = position
    position = 0
    while position < len(runs):
        if position in closing:
            yield runs[position].start(), runs[closing[position]].end()
            position = closing[position]
        position += 1


def _words(match: re.Match[str]) -> str:
    quoted = _QUOTED.findall(match.group("words"))
    return quoted[-1] if quoted else match.group("words").strip()


class _Walk:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._markers: list[Iterator[str]] = []
        self._marker = ""

    def blocks(self, tokens: Sequence[Token]) -> None:
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.type == "table_open":
                position = self._table(tokens, position)
            else:
                self._block(tokens, position)
            position += 1

    def _block(self, tokens: Sequence[Token], position: int) -> None:
        token = tokens[position]
        match token.type:
            case "bullet_list_open":
                self._markers.append(_bullets())
            case "ordered_list_open":
                self._markers.append(_numbers(int(token.attrs.get("start", 1))))
            case "bullet_list_close" | "ordered_list_close":
                self._markers.pop()
            case "list_item_open":
                self._marker = "  " * (len(self._markers) - 1) + next(self._markers[-1])
            case "inline":
                self._inline(token, tokens[position - 1])
            case "fence" | "code_block":
                self._builder.add("code", token.content)
            case "html_block":
                add_html(self._builder, token.content)

    def _inline(self, token: Token, opening: Token) -> None:
        text = inline_text(token)
        if opening.type == "heading_open":
            self._builder.add("heading", text.replace("\n", " "), level=int(opening.tag[1]))
        elif self._markers:
            self._builder.add("item", self._marker + text)
            self._marker = ""
        else:
            self._builder.add("paragraph", text)

    def _table(self, tokens: Sequence[Token], position: int) -> int:
        rows: list[list[str]] = []
        while tokens[position].type != "table_close":
            token = tokens[position]
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(inline_text(token).replace("\n", " "))
            position += 1
        for line in row_lines(rows[0], rows[1:]):
            self._builder.add("row", line)
        return position


def _bullets() -> Iterator[str]:
    while True:
        yield "- "


def _numbers(number: int) -> Iterator[str]:
    while True:
        yield f"{number}. "
        number += 1


def inline_text(token: Token) -> str:
    """The words of an inline token: no marks, no link targets, no tags."""
    parts: list[str] = []
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                parts.append(child.content)
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(inline_text(child))
            case "html_inline" if child.content.lower().startswith(("<br", "</p", "</div")):
                parts.append("\n")
    return "".join(parts)

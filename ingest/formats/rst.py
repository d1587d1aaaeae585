"""reStructuredText, without its directives that reach for other files."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from docutils.utils import SystemMessage

from core.errors import ParseFailed
from ingest.formats.rows import plain_lines, row_lines
from ingest.parsed import Parsed, TextBuilder

_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 5,
    "_disable_config": True,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "smart_quotes": False,
    "line_length_limit": 1_000_000,
}
_DROPPED = (nodes.comment, nodes.system_message, nodes.substitution_definition, nodes.target, nodes.raw, nodes.meta, nodes.image)

Node = Any  # docutils ships no types


def parse_rst(text: str) -> Parsed:
    try:
        tree = publish_doctree(text, settings_overrides=_SETTINGS)
    except SystemMessage as error:
        raise ParseFailed(f"is not reStructuredText: {error}") from error
    builder = TextBuilder()
    _Walk(builder).children(tree, depth=1)
    return builder.parsed()


class _Walk:
    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._marker = ""

    def children(self, node: Node, depth: int) -> None:
        for child in node.children:
            self._node(child, depth)

    def _node(self, node: Node, depth: int) -> None:
        match node:
            case nodes.section():
                self.children(node, depth + 1)
            case nodes.title():
                self._builder.add("heading", _text(node), level=max(1, min(depth - 1, 6)))
            case nodes.bullet_list() | nodes.enumerated_list():
                self._list(node, depth)
            case nodes.definition_list_item() | nodes.field() | nodes.option_list_item():
                self._pair(node)
            case nodes.table():
                for line in _table_lines(node):
                    self._builder.add("row", line)
            case nodes.literal_block() | nodes.doctest_block():
                self._builder.add("code", node.astext())
            case nodes.paragraph() | nodes.line() | nodes.attribution() | nodes.rubric() | nodes.caption() | nodes.term():
                self._builder.add("item" if self._marker else "paragraph", self._marker + _text(node))
                self._marker = ""
            case nodes.Element() if not isinstance(node, _DROPPED):
                self.children(node, depth)

    def _list(self, node: Node, depth: int) -> None:
        for number, item in enumerate(node.children, int(node.get("start", 1))):
            self._marker = f"{number}. " if isinstance(node, nodes.enumerated_list) else "- "
            self.children(item, depth)
            self._marker = ""

    def _pair(self, node: Node) -> None:
        name, *rest = [_text(child) for child in node.children]
        self._builder.add("item", f"{name}: {' '.join(rest)}" if any(rest) else name)


def _text(node: Node) -> str:
    return " ".join(node.astext().split())


def _table_lines(table: Node) -> Iterator[str]:
    header = [[_text(cell) for cell in row.children] for head in table.findall(nodes.thead) for row in head.children]
    body = [[_text(cell) for cell in row.children] for part in table.findall(nodes.tbody) for row in part.children]
    return row_lines(header[0], header[1:] + body) if header else plain_lines(body)

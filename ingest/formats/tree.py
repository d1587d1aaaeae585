"""JSON: objects become rows, the keys above them headings."""

import json
from collections.abc import Iterator
from typing import Any

from core.errors import ParseFailed
from ingest.parsed import Parsed, TextBuilder


def parse_json(text: str) -> Parsed:
    try:
        value = json.loads(text)
    except ValueError as error:
        return _from_lines(text, error)
    builder = TextBuilder()
    _add(builder, value, depth=1)
    return builder.parsed()


def _from_lines(text: str, error: ValueError) -> Parsed:
    """JSON Lines under another name."""
    builder = TextBuilder()
    try:
        for line in filter(str.strip, text.split("\n")):
            builder.add("row", _line(json.loads(line)))
    except ValueError:
        raise ParseFailed(f"is not valid JSON: {error}") from error
    return builder.parsed()


def _add(builder: TextBuilder, value: Any, depth: int) -> None:
    if isinstance(value, dict):
        _add_object(builder, value, depth)
    elif isinstance(value, list):
        for member in value:
            if _is_simple(member):
                builder.add("row", _line(member))
            else:
                _add(builder, member, depth)
    else:
        builder.add("row", _line(value))


def _add_object(builder: TextBuilder, value: dict[str, Any], depth: int) -> None:
    for name, member in value.items():
        if not isinstance(member, dict | list):
            builder.add("row", f"{name}: {_scalar(member)}")
    for name, member in value.items():
        if isinstance(member, dict | list) and member:
            builder.add("heading", name, level=min(depth, 6))
            _add(builder, member, depth + 1)


def _is_simple(value: Any) -> bool:
    """Small enough to be understood on one line."""
    if isinstance(value, dict):
        return all(not isinstance(member, dict | list) or len(_line(member)) < 300 for member in value.values())
    return not isinstance(value, list)


def _line(value: Any) -> str:
    return "; ".join(_pairs("", value))


def _pairs(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _pairs(f"{path}.{name}" if path else name, member)
    elif isinstance(value, list) and all(not isinstance(member, dict | list) for member in value):
        yield from _pairs(path, ", ".join(_scalar(member) for member in value)) if value else ()
    elif isinstance(value, list):
        for number, member in enumerate(value, 1):
            yield from _pairs(f"{path}.{number}", member)
    elif value is not None and value != "":
        yield f"{path}: {_scalar(value)}" if path else _scalar(value)


def _scalar(value: Any) -> str:
    match value:
        case bool() | None:
            return json.dumps(value)
        case _:
            return " ".join(str(value).split())

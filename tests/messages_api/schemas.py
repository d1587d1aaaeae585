"""Structured output: which schemas the API takes, and an instance of one."""

from typing import Any

from tests.messages_api.errors import invalid
from tests.messages_api.prompt import Json

REFUSED = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems".split())


def check_schema(schema: Any, at: str) -> None:
    if not isinstance(schema, dict):
        raise invalid(f"{at}: Input should be a valid dictionary")
    _check_node(schema, at, schema.get("$defs") or {}, ())


def instance(schema: Json, answer: str, *, found: bool) -> Any:
    """The plainest value that fits: every string is the answer, every boolean says whether there is one."""
    return _value(schema, schema.get("$defs") or {}, answer, found)


def _check_node(node: Any, at: str, definitions: Json, path: tuple[str, ...]) -> None:
    if not isinstance(node, dict):
        return
    unsupported = REFUSED & set(node)
    if unsupported:
        raise invalid(f"{at}: For {node.get('type', 'any')!r} type, property {min(unsupported)!r} is not supported")
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        raise invalid(f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    name = str(node["$ref"]).rpartition("/")[2] if "$ref" in node else ""
    if name in path:
        raise invalid(f"{at}: recursive schemas are not supported")
    if name:
        _check_node(definitions.get(name), at, definitions, (*path, name))
    inner = [*(node.get("properties") or {}).values(), node.get("items"), *(node.get("anyOf") or []), *(node.get("allOf") or [])]
    for child in inner:
        _check_node(child, at, definitions, path)


def _value(node: Json, definitions: Json, answer: str, found: bool) -> Any:
    if "$ref" in node:
        return _value(definitions[node["$ref"].rpartition("/")[2]], definitions, answer, found)
    for choices in ("enum", "anyOf", "allOf"):
        if node.get(choices):
            first = node[choices][0]
            return first if choices == "enum" else _value(first, definitions, answer, found)
    if "const" in node:
        return node["const"]
    if node.get("type") == "object":
        return {name: _value(child, definitions, answer, found) for name, child in (node.get("properties") or {}).items()}
    plain = {"string": answer, "boolean": found, "integer": int(found), "number": float(found), "null": None}
    return [] if node.get("type") == "array" else plain.get(str(node.get("type")))

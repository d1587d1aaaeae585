"""The rules for messages and the blocks in them."""

from collections.abc import Iterator
from typing import Any

from tests.messages_api.errors import invalid
from tests.messages_api.models import Model
from tests.messages_api.prompt import Json

FIELDS = {
    "text": {"type", "text", "cache_control", "citations"},
    "search_result": {"type", "source", "title", "content", "citations", "cache_control"},
    "document": {"type", "source", "title", "context", "citations", "cache_control"},
    "image": {"type", "source", "cache_control"},
    "tool_use": {"type", "id", "name", "input", "caller", "cache_control"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
OF_ROLE = {
    "user": {"text", "search_result", "document", "image", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking", "document"},
    "system": {"text"},
}


def check_messages(body: Json, model: Model, *, strict: bool) -> None:
    """`strict` adds what version 2026-10-21 refuses."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: at least one message is required")
    for i, message in enumerate(messages):
        _check_message(message, f"messages.{i}", model, strict)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    if messages[-1]["role"] == "assistant" and not model.prefill:
        raise invalid("This model does not support assistant message prefill. The conversation must end with a user message.")


def check_system(body: Json) -> None:
    system = body.get("system")
    if isinstance(system, list):
        for i, part in enumerate(system):
            _check_block(part, f"system.{i}", "system", strict=True)
    elif system is not None and not isinstance(system, str):
        raise invalid("system: Input should be a valid string or list")


def cite_switches(body: Json) -> Iterator[bool]:
    for message in body["messages"]:
        if isinstance(message["content"], list):
            yield from _switches(message["content"])


def _switches(blocks: list[Json]) -> Iterator[bool]:
    for block in blocks:
        if block["type"] in ("search_result", "document"):
            yield bool((block.get("citations") or {}).get("enabled", False))
        elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from _switches(block["content"])


def _check_message(message: Any, at: str, model: Model, strict: bool) -> None:
    if not isinstance(message, dict) or message.get("role") not in OF_ROLE:
        raise invalid(f"{at}.role: Input should be 'user', 'assistant' or 'system'")
    if message["role"] == "system" and not model.late_system:
        raise invalid(f"{at}.role: 'system' is not supported on {model.id}")
    content = message.get("content")
    if isinstance(content, str):
        _check_text(content, at)
    elif not isinstance(content, list) or not content:
        raise invalid(f"{at}.content: Field required and not empty")
    else:
        for i, block in enumerate(content):
            _check_block(block, f"{at}.content.{i}", message["role"], strict=strict)


def _check_block(block: Any, at: str, role: str, *, strict: bool) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in FIELDS or kind not in OF_ROLE[role]:
        raise invalid(f"{at}.type: {kind!r} is not a block of a {role} turn")
    extra = set(block) - FIELDS[kind]
    if extra:
        raise invalid(f"{at}.{kind}.{min(extra)}: Extra inputs are not permitted")
    if kind == "document" and role == "assistant" and strict:
        raise invalid(f"{at}: document blocks are not permitted in assistant turns")
    if kind == "text":
        _check_text(block.get("text"), at)
        if role == "user" and block.get("citations") and strict:
            raise invalid(f"{at}.text.citations: must be empty in user turns")
    if kind == "search_result":
        _check_search_result(block, at)
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for i, inner in enumerate(block["content"]):
            _check_block(inner, f"{at}.content.{i}", role, strict=strict)


def _check_search_result(block: Json, at: str) -> None:
    for name in ("source", "title"):
        if not isinstance(block.get(name), str):
            raise invalid(f"{at}.search_result.{name}: Field required")
    content = block.get("content")
    if not isinstance(content, list) or not content:
        raise invalid(f"{at}.search_result.content: at least one text block is required")
    for i, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise invalid(f"{at}.search_result.content.{i}.type: Input should be 'text'")
        # Assumed: breakpoints stand on the search_result itself, as its documentation shows, not inside it.
        extra = set(part) - {"type", "text"}
        if extra:
            raise invalid(f"{at}.search_result.content.{i}.{min(extra)}: Extra inputs are not permitted")
        _check_text(part.get("text"), f"{at}.search_result.content.{i}")


def _check_text(text: Any, at: str) -> None:
    if not isinstance(text, str):
        raise invalid(f"{at}.text: Input should be a valid string")
    if not text:
        raise invalid(f"{at}: text content blocks must be non-empty")
    if not text.strip():
        raise invalid(f"{at}: text content blocks must contain non-whitespace text")

"""A request as the API reads it: a row of blocks, tools -> system -> messages, each with its tokens and perhaps a breakpoint."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from tests.messages_api.models import Model

Json = dict[str, Any]
Ttl = Literal["5m", "1h"]
Section = Literal["tools", "system", "messages"]
# What the API writes into a prompt of its own accord. Assumed sizes; that it counts as input is documented for tools and schemas.
HIDDEN_TOKENS = {"tools": 290, "citations": 60, "format": 120}


@dataclass(frozen=True, slots=True)
class Block:
    section: Section
    text: str
    """Every byte that the cache compares."""
    tokens: int
    breakpoint: Ttl | None = None
    hidden: bool = False


@dataclass(frozen=True, kw_only=True)
class Prompt:
    body: Json
    blocks: tuple[Block, ...]

    @property
    def tokens(self) -> int:
        return sum(block.tokens for block in self.blocks)

    @cached_property
    def search_results(self) -> list[Json]:
        """All of them, in the order in which citations number them."""
        return [block for message in self.body["messages"] for block in _search_results(content_of(message))]

    @property
    def question(self) -> str:
        """The texts of the last user turn."""
        turns = [message for message in self.body["messages"] if message["role"] == "user"]
        return "\n".join(block["text"] for block in content_of(turns[-1]) if block["type"] == "text")

    @cached_property
    def prints(self) -> dict[str, str]:
        """A hash per part, for the diagnosis of a cache miss."""
        return {
            "model": self.body["model"],
            "tools": _hash(block.text for block in self.blocks if block.section == "tools"),
            "system": _hash(block.text for block in self.blocks if block.section == "system"),
        }


def content_of(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def cites(body: Json) -> bool:
    sources = (block for message in body["messages"] for block in _sources(content_of(message)))
    return any((block.get("citations") or {}).get("enabled") for block in sources)


def count_tokens(text: str, model: Model) -> int:
    """Deterministic, and not Claude's: so many tokens a kilobyte, rounded up."""
    return -(-len(text.encode()) * model.tokens_per_kilobyte // 1000)


def read_prompt(body: Json, model: Model) -> Prompt:
    blocks = list(_folded([*_tools(body, model), *_system(body, model), *_messages(body, model)]))
    if body.get("cache_control"):
        blocks[-1] = _with_automatic_breakpoint(blocks[-1], body["cache_control"])
    return Prompt(body=body, blocks=tuple(blocks))


def _with_automatic_breakpoint(block: Block, control: Json) -> Block:
    return replace(block, breakpoint=block.breakpoint or control.get("ttl", "5m"))


def _folded(blocks: list[Block]) -> Iterator[Block]:
    """What the API adds belongs to the block after it, so that it takes no place in the look-back."""
    text, tokens = "", 0
    for block in blocks:
        text, tokens = text + block.text, tokens + block.tokens
        if not block.hidden:
            yield replace(block, text=text, tokens=tokens)
            text, tokens = "", 0


def _tools(body: Json, model: Model) -> Iterator[Block]:
    if body.get("tools"):
        yield _hidden("tools", "tools:", HIDDEN_TOKENS["tools"])
    for tool in body.get("tools") or ():
        yield _block("tools", "", tool, model)


def _system(body: Json, model: Model) -> Iterator[Block]:
    if cites(body):
        yield _hidden("system", "citations:", HIDDEN_TOKENS["citations"])
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        yield _hidden("system", "format:" + _canonical(wanted), HIDDEN_TOKENS["format"] + count_tokens(_canonical(wanted), model))
    if body.get("speed"):
        yield _hidden("system", f"speed:{body['speed']}", 0)
    system = body.get("system") or []
    for part in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _block("system", "", part, model)


def _messages(body: Json, model: Model) -> Iterator[Block]:
    # A change of these drops the cache of the messages, and of the messages only.
    yield _hidden("messages", _canonical({key: body.get(key) for key in ("tool_choice", "thinking")}), 0)
    for message in body["messages"]:
        for part in content_of(message):
            yield _block("messages", message["role"] + ":", part, model)


def _hidden(section: Section, text: str, tokens: int) -> Block:
    return Block(section, text, tokens, hidden=True)


def _block(section: Section, prefix: str, part: Json, model: Model) -> Block:
    rest = {key: value for key, value in part.items() if key != "cache_control"}
    control = part.get("cache_control")
    counted = prefix + "\n".join(_counted(rest))
    return Block(section, prefix + _canonical(rest), count_tokens(counted, model), control.get("ttl", "5m") if control else None)


def _counted(value: Any) -> Iterator[str]:
    """The texts that cost tokens: all but types, switches and the `cited_text` of earlier answers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("type", "cited_text", "citations", "signature"):
                yield from _counted(item)
    elif isinstance(value, list):
        for item in value:
            yield from _counted(item)
    elif value is not None:
        yield json.dumps(value)


def _search_results(blocks: list[Json]) -> Iterator[Json]:
    return (block for block in _sources(blocks) if block["type"] == "search_result")


def _sources(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        if block["type"] in ("search_result", "document"):
            yield block
        elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from _sources(block["content"])


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _hash(texts: Iterator[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()

"""What the model "says" and how it is sent: a message, or the events that make one up."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.messages_api.cache import CacheUse
from tests.messages_api.faults import Fault
from tests.messages_api.models import Model
from tests.messages_api.prices import Tokens
from tests.messages_api.prompt import Json, count_tokens

THINKING_TOKENS = 24
EMPTY_TOKENS = 2
"""Even an empty answer costs some."""
PIECE = 12
"""Characters a delta."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    content: tuple[Json, ...]
    stop_reason: str = "end_turn"
    stop_details: Json | None = None
    output_tokens: int = 0
    thinking_tokens: int = 0


def said(blocks: list[Json], model: Model, limit: int, *, thinks: bool) -> Reply:
    """As many of the blocks as `max_tokens` lets through, a thought before them where the model thinks."""
    if limit == 0:
        return Reply(content=(), stop_reason="max_tokens")
    thought = min(THINKING_TOKENS, limit) if thinks else 0
    thinking = ({"type": "thinking", "thinking": "", "signature": "c3RhbmQtaW4="},) if thinks else ()
    kept, used = _within(blocks, model, limit - thought)
    reason = "end_turn" if kept == blocks else "max_tokens"
    total = max(thought + used, min(limit, EMPTY_TOKENS))
    return Reply(content=(*thinking, *kept), stop_reason=reason, output_tokens=total, thinking_tokens=thought)


def spoilt(reply: Reply, fault: Fault, model: Model) -> Reply:
    """Faults of the model, which come as a whole answer with status 200."""
    half = _half(reply, model)
    match fault.kind:
        case "refusal":
            details = {"type": "refusal", "category": fault.category, "explanation": "This request was declined."}
            kept = half if fault.partial else Reply(content=())
            return replace(kept, stop_reason="refusal", stop_details=details)
        case "max_tokens" | "pause_turn":
            return replace(half, stop_reason=fault.kind)
        case "empty":
            return Reply(content=(), output_tokens=EMPTY_TOKENS)
        case "bad_citation":
            return replace(reply, content=tuple(_misquoted(block) for block in reply.content))
    return reply


def tokens_of(reply: Reply, prompt_tokens: int, use: CacheUse) -> Tokens:
    written_5m, written_1h = use.written("5m"), use.written("1h")
    return Tokens(
        input=prompt_tokens - use.read_tokens - written_5m - written_1h,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        cache_read=use.read_tokens,
        output=reply.output_tokens,
    )


def message(reply: Reply, tokens: Tokens, *, message_id: str, model: Model, diagnostics: Json | None) -> Json:
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model.id,
        "content": list(reply.content),
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": reply.stop_details,
        "container": None,
        "diagnostics": diagnostics,
        "usage": _usage(tokens, reply.thinking_tokens),
    }


def events(whole: Json) -> Iterator[tuple[str, Json]]:
    """In the API's order, a ping after the first block has begun."""
    usage = {**whole["usage"], "output_tokens": min(1, whole["usage"]["output_tokens"]), "output_tokens_details": None}
    yield "message_start", {"message": {**whole, "content": [], "stop_reason": None, "stop_details": None, "usage": usage}}
    for index, block in enumerate(whole["content"]):
        yield "content_block_start", {"index": index, "content_block": _emptied(block)}
        if index == 0:
            yield "ping", {}
        for delta in _deltas(block):
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    yield "message_delta", {"delta": _ending(whole), "usage": _cumulative(whole["usage"])}
    yield "message_stop", {}


def sse(name: str, data: Json) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data}, ensure_ascii=False)}\n\n".encode()


def _within(blocks: list[Json], model: Model, limit: int) -> tuple[list[Json], int]:
    kept: list[Json] = []
    used = 0
    for block in blocks:
        text = _first_tokens(block["text"], model, limit - used)
        if text:
            kept.append(block if text == block["text"] else {**block, "text": text, "citations": None})
            used += count_tokens(text, model)
    return kept, used


def _first_tokens(text: str, model: Model, limit: int) -> str:
    end = len(text)
    while end > 0 and count_tokens(text[:end], model) > limit:
        end -= 1
    return text[:end]


def _half(reply: Reply, model: Model) -> Reply:
    blocks = [block if block["type"] != "text" else _cut(block) for block in reply.content]
    spoken = sum(count_tokens(block["text"], model) for block in blocks if block["type"] == "text")
    return replace(reply, content=tuple(blocks), output_tokens=reply.thinking_tokens + spoken)


def _cut(block: Json) -> Json:
    """Half of its text. A citation comes after the text, so it is not there yet."""
    return {**block, "text": block["text"][: len(block["text"]) // 2 + 1], "citations": None}


def _misquoted(block: Json) -> Json:
    if not block.get("citations"):
        return block
    return {**block, "citations": [{**citation, "cited_text": "This stands nowhere."} for citation in block["citations"]]}


def _emptied(block: Json) -> Json:
    if block["type"] == "thinking":
        return {**block, "signature": ""}
    return {**block, "text": "", **({"citations": []} if block.get("citations") else {})}


def _deltas(block: Json) -> Iterator[Json]:
    if block["type"] == "thinking":
        yield {"type": "signature_delta", "signature": block["signature"]}
        return
    text = block["text"]
    for start in range(0, len(text), PIECE):
        yield {"type": "text_delta", "text": text[start : start + PIECE]}
    for citation in block.get("citations") or ():
        yield {"type": "citations_delta", "citation": citation}


def _ending(whole: Json) -> Json:
    return {key: whole[key] for key in ("stop_reason", "stop_sequence", "stop_details", "container")}


def _usage(tokens: Tokens, thinking: int) -> dict[str, Any]:
    return {
        "input_tokens": tokens.input,
        "cache_creation_input_tokens": tokens.cache_write_5m + tokens.cache_write_1h,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_write_5m, "ephemeral_1h_input_tokens": tokens.cache_write_1h},
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": thinking},
        "server_tool_use": None,
        "service_tier": "standard",
    }


def _cumulative(usage: Json) -> Json:
    """The end of a stream has no split by lifetime: that stood in `message_start` alone."""
    kept = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "output_tokens_details")
    return {key: usage[key] for key in kept}

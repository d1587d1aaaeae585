"""What the events of the Messages API say, without the SDK that brings them."""

from typing import Any

from core.types import Usage
from generation.reply import Reply
from generation.ttl import Ttl


def read_event(event: Any, reply: Reply) -> None:
    """Raises ValueError, TypeError, AttributeError or LookupError for events that make no sense."""
    match event.type:
        case "message_start":
            reply.usage = usage_of(event.message.usage, reply.prompt.ttl)
        case "content_block_start":
            reply.open(event.index)
            if event.content_block.type == "text":
                reply.write(event.index, event.content_block.text)
        case "content_block_delta":
            _read_delta(event.index, event.delta, reply)
        case "content_block_stop":
            reply.close(event.index)
        case "message_delta":
            reply.stop_reason = event.delta.stop_reason
            reply.category = getattr(event.delta.stop_details, "category", None)
            reply.usage = _updated(reply.usage, event.usage, reply.prompt.ttl)


def _read_delta(block: int, delta: Any, reply: Reply) -> None:
    reply.require_open(block)
    if delta.type == "text_delta":
        reply.write(block, delta.text)
    elif delta.type == "citations_delta":
        _read_citation(block, delta.citation, reply)


def _read_citation(block: int, at: Any, reply: Reply) -> None:
    if at.type == "search_result_location":
        reply.cite(block, at.search_result_index, at.start_block_index, at.end_block_index, at.cited_text)
    else:
        reply.dropped += 1


def usage_of(used: Any, ttl: Ttl) -> Usage:
    """The split by time to live is given by most answers; where it is not, all was written for the one that was asked for."""
    split, written = used.cache_creation, used.cache_creation_input_tokens or 0
    five, hour = (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens) if split else (0, 0)
    if written < 0:
        raise ValueError(f"{written} tokens written")
    rest = max(0, written - five - hour)
    return Usage(
        input_tokens=used.input_tokens,
        cache_write_5m_tokens=five + (rest if ttl == "5m" else 0),
        cache_write_1h_tokens=hour + (rest if ttl == "1h" else 0),
        cache_read_tokens=used.cache_read_input_tokens or 0,
        output_tokens=used.output_tokens,
    )


def _updated(begun: Usage | None, now: Any, ttl: Ttl) -> Usage:
    """The end of a stream tells the sums again, which only grow, less the split of what was written; gateways tell some at one end."""
    if begun is None:
        raise ValueError("the end came before the start")
    late = max(0, (now.cache_creation_input_tokens or 0) - begun.cache_write_5m_tokens - begun.cache_write_1h_tokens)
    return Usage(
        input_tokens=max(begun.input_tokens, now.input_tokens or 0),
        cache_write_5m_tokens=begun.cache_write_5m_tokens + (late if ttl == "5m" else 0),
        cache_write_1h_tokens=begun.cache_write_1h_tokens + (late if ttl == "1h" else 0),
        cache_read_tokens=max(begun.cache_read_tokens, now.cache_read_input_tokens or 0),
        output_tokens=max(begun.output_tokens, now.output_tokens),
    )

"""Cache diagnostics: why this request could not read what the one before it wrote."""

from dataclasses import dataclass
from typing import Any

from tests.messages_api.cache import CacheUse
from tests.messages_api.prompt import Json, Prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    prints: dict[str, str]
    cached_tokens: int
    """Read or written by it: what could have been read again."""


class Diagnosis:
    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}

    def remember(self, message_id: str, prompt: Prompt, use: CacheUse) -> None:
        cached = use.read_tokens + sum(write.tokens for write in use.writes)
        self._asked[message_id] = Asked(prints=prompt.prints, cached_tokens=cached)

    def diagnose(self, prompt: Prompt, use: CacheUse) -> Json | None:
        """None unless the request asked for it with an earlier id, and something was missed."""
        previous_id = (prompt.body.get("diagnostics") or {}).get("previous_message_id")
        if previous_id is None:
            return None
        previous = self._asked.get(previous_id)
        if previous is None:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        missed = previous.cached_tokens - use.read_tokens
        return {"cache_miss_reason": _reason(prompt.prints, previous.prints, missed)} if missed > 0 else None


def _reason(prints: dict[str, str], previous: dict[str, str], missed: int) -> dict[str, Any]:
    changed = next((part for part in ("model", "tools", "system") if prints[part] != previous[part]), "messages")
    return {"type": f"{changed}_changed", "cache_missed_input_tokens": missed}

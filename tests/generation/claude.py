"""A tier of the real SDK before the double, and questions that the double can answer."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from core.types import Draft
from generation.breaker import Breaker
from generation.bulkhead import Bulkhead
from generation.guard import GuardedTier
from generation.prices import read_prices
from generation.prompt import build_prefix
from generation.retry import Retry
from generation.tiers.anthropic import AnthropicTier, Patience
from generation.ttl import Arrivals
from tests.doubles import make_hit
from tests.messages_api.answers import gold_of
from tests.messages_api.calls import HAIKU

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
QUESTION = "How many days of leave does everyone have?"
TEXT = "Leave is for rest. Everyone has twenty-seven days of leave a year. Ask your lead."
HIT = make_hit(TEXT)
GOLD = gold_of({QUESTION: ("twenty-seven days of leave", None)})
PATIENCE = Patience(connect=1.0, silence=1.5)


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")


def claude(model: str = HAIKU, **changed: Any) -> AnthropicTier:
    plain: dict[str, Any] = {
        "effort": None, "max_tokens": 500, "prefix": build_prefix(), "prices": read_prices(), "ttl": "auto", "arrivals": Arrivals(),
        "patience": PATIENCE,
    }  # fmt: skip
    return AnthropicTier(model, **{**plain, **changed})


def guarded(tier: AnthropicTier, **changed: Any) -> GuardedTier:
    plain: dict[str, Any] = {
        "retry": Retry(first_pause=0.01, least=0.05), "breaker": Breaker(faults=10_000), "bulkhead": Bulkhead(places=64)
    }  # fmt: skip
    return GuardedTier(tier, **{**plain, **changed})


def run(tier: AnthropicTier | GuardedTier, call: Callable[[], Awaitable[T]]) -> T:
    async def closing() -> T:
        try:
            return await call()
        finally:
            await tier.close()

    return anyio.run(closing)


def ask(tier: AnthropicTier | GuardedTier, question: str = QUESTION, *, seconds: float = 5.0) -> Draft:
    return run(tier, lambda: tier.generate(question, (HIT,), deadline=time.monotonic() + seconds))


class Event:
    """Of a stream, in the shape that the SDK gives it."""

    def __init__(self, kind: str, **fields: Any) -> None:
        self.type = kind
        self.__dict__ |= fields

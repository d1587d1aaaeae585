"""When a tier that failed is asked again: soon, seldom, and never beyond the deadline."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import TierFailed
from core.types import Fault

PASSING: frozenset[Fault] = frozenset({
    "rate_limited", "server_error", "overloaded", "unreachable", "connect_timeout", "cut_before_text", "cut_after_text", "malformed",
    "empty",
})  # fmt: skip
"""Faults that may be gone at the next try. A silent server is none of them: it has already taken its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    tries: int = 3
    first_pause: float = 0.25
    """Seconds before the second try; doubled for each one after it, and spread so that callers do not come back all at once."""
    least: float = 1.0
    """Seconds that must be left for the next try itself."""
    dice: Callable[[], float] = random.random

    def pause(self, error: TierFailed, *, tried: int, left: float) -> float | None:
        """Seconds to wait before asking again, after `tried` tries and with `left` seconds to the deadline; None: do not.

        A tier that says when to come back is believed: no earlier, and not at all where that is too late.
        """
        if tried >= self.tries or error.fault not in PASSING:
            return None
        backoff = self.first_pause * 2 ** (tried - 1) * (0.5 + self.dice())
        pause = max(backoff, error.retry_after or 0.0)
        return pause if pause + self.least <= left else None

"""What a tier did, as the route and the ledger keep it."""

import time
from asyncio import CancelledError

from core.errors import TierCancelled, TierFailed
from core.types import Attempt, Draft
from generation.cascade import Verdict


def attempts_of(tier: str, verdict: Verdict, draft: Draft, began: float) -> list[Attempt]:
    """With the tries that failed before it; `began` is when the first one did, in seconds of `time.monotonic()`."""
    return [
        *draft.earlier,
        Attempt(
            tier=tier, outcome=verdict.outcome, reason=verdict.reason, confidence=draft.confidence,
            latency_ms=_since(began, draft.earlier), model=draft.model, spending=draft.spending,
        ),
    ]  # fmt: skip


def failed_attempts(tier: str, error: TierFailed, began: float) -> list[Attempt]:
    return [
        *error.earlier,
        Attempt(
            tier=tier, outcome="failed", reason=error.reason, confidence=None, latency_ms=_since(began, error.earlier), model=error.model,
            spending=error.spending, fault=error.fault,
        ),
    ]  # fmt: skip


def cancelled_attempts(tier: str, error: CancelledError, began: float) -> list[Attempt]:
    told = error if isinstance(error, TierCancelled) else TierCancelled()
    return [
        *told.earlier,
        Attempt(
            tier=tier, outcome="cancelled", reason="cancelled before it had answered", confidence=None,
            latency_ms=_since(began, told.earlier), model=told.model, spending=told.spending,
        ),
    ]  # fmt: skip


def _since(began: float, earlier: tuple[Attempt, ...]) -> float:
    """Milliseconds, less those of the tries before."""
    return round((time.monotonic() - began) * 1000 - sum(attempt.latency_ms for attempt in earlier), 2)

"""Which tiers a mode asks, in what order, and whose draft it accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import NoReadyTier
from core.protocols import Tier
from core.types import Draft, Mode, Outcome, Readiness

READER = "reader"

WhenFailing = Literal["next", "reader"]
"""Where a frontier model fails in hybrid mode: ask the next one and abstain after the last, or give the reader's answer all the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    outcome: Outcome
    reason: str


class Cascade:
    """The tiers from cheapest to dearest, the reader first."""

    def __init__(self, tiers: Mapping[str, Tier], *, hybrid_threshold: float, when_failing: WhenFailing = "next") -> None:
        self._tiers = dict(tiers)
        self._when_failing = when_failing
        self._threshold = hybrid_threshold

    def of(self, mode: Mode) -> list[Tier]:
        """The ready tiers to ask in this order; raises NoReadyTier with each tier's reason when there is none."""
        ready = [self._tiers[name] for name, state in self.readiness(mode).items() if state.ready]
        if not ready:
            raise NoReadyTier(f"mode {mode!r} has no ready tier: {self._why_not(mode)}")
        return ready

    def readiness(self, mode: Mode) -> dict[str, Readiness]:
        """Every tier that the mode asks, with why it is or is not ready."""
        return {name: tier.readiness() for name, tier in self._tiers.items() if _asks(mode, name)}

    def judge(self, mode: Mode, tier: Tier, draft: Draft) -> Verdict:
        """Hybrid accepts the reader at or above its threshold; a frontier model is accepted where it cites what stands in the evidence."""
        if draft.text is None:
            return Verdict(outcome="not_found", reason="the tier found no answer in the evidence")
        if tier.name != READER and not draft.citations:
            return Verdict(outcome="uncited", reason=f"uncited: nothing in the evidence proves its answer{_dropped(draft)}")
        if self.is_final(mode, tier):
            return Verdict(outcome="accepted", reason=f"the mode takes this tier's answer{_dropped(draft)}")
        confidence = draft.confidence or 0.0
        if confidence >= self._threshold:
            return Verdict(outcome="accepted", reason=f"confidence {confidence:.3f} is at or above the threshold {self._threshold:.3f}")
        return Verdict(outcome="below_threshold", reason=f"confidence {confidence:.3f} is below the threshold {self._threshold:.3f}")

    def is_final(self, mode: Mode, tier: Tier) -> bool:
        """Whether the mode takes whatever this tier gives and can prove: then it may be shown before it is complete."""
        return mode != "hybrid" or tier.name != READER

    def ends(self, mode: Mode, tier: Tier, verdict: Verdict) -> bool:
        """Whether no further tier is asked: that the documents have no answer is one too, when it comes from a frontier model."""
        return verdict.outcome == "accepted" or (verdict.outcome == "not_found" and self.is_final(mode, tier))

    def settles(self, mode: Mode) -> bool:
        """Whether the reader's answer is given where a frontier model fails, though it is not sure enough of it."""
        return mode == "hybrid" and self._when_failing == "reader"

    def _why_not(self, mode: Mode) -> str:
        reasons = [f"{name}: {state.reason}" for name, state in self.readiness(mode).items()]
        return "; ".join(reasons) or "none is configured"


def _dropped(draft: Draft) -> str:
    dropped = draft.dropped_quotes
    return f"; {dropped} of its quotes stand nowhere in the evidence, and were dropped" if dropped else ""


def _asks(mode: Mode, name: str) -> bool:
    return mode == "hybrid" or (name == READER) == (mode == "tuned")

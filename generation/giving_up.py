"""When no tier answered: whose fault it was, and when to come back."""

from itertools import groupby

from core.errors import AllTiersFailed, BadUpstream, UpstreamTimeout
from core.types import Answer, Fault

RETRY_AFTER = 5.0
"""Seconds, where no tier said more."""

_LATER: frozenset[Fault | None] = frozenset({None, "broken", "rate_limited", "overloaded", "circuit_open", "busy"})
_SILENT: frozenset[Fault | None] = frozenset({"connect_timeout", "read_timeout", "deadline"})


def nobody_answered(answer: Answer, *, cut: bool, retry_after: float | None) -> AllTiersFailed:
    """The tier that was asked last decides what it is called."""
    said = "the answer was cut short" if cut else "every tier failed"
    told = f"{said}: {_reasons(answer)}"
    last = next((attempt.fault for attempt in reversed(answer.route) if attempt.outcome == "failed"), None)
    return _kind(last)(told, answer, retry_after=RETRY_AFTER if retry_after is None else retry_after)


def _reasons(answer: Answer) -> str:
    """Tries in a row that failed alike are told once."""
    failed = [f"{attempt.tier}: {attempt.reason}" for attempt in answer.route if attempt.outcome == "failed"]
    counted = [(reason, len(list(tries))) for reason, tries in groupby(failed)]
    return "; ".join(reason if times == 1 else f"{reason} ({times} tries)" for reason, times in counted)


def _kind(fault: Fault | None) -> type[AllTiersFailed]:
    if fault in _LATER:
        return AllTiersFailed
    return UpstreamTimeout if fault in _SILENT else BadUpstream

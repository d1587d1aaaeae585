"""What is said when no tier answered."""

from core.types import Answer, Attempt, Fault, Usage
from generation.giving_up import nobody_answered


def failed(tier: str, reason: str, fault: Fault) -> Attempt:
    return Attempt(tier=tier, outcome="failed", reason=reason, confidence=None, latency_ms=1.0, fault=fault)


def test_tries_that_failed_alike_are_told_once_in_their_order() -> None:
    alike = failed("claude", "overloaded: come later", "overloaded")
    route = (alike, alike, failed("claude", "silent", "read_timeout"), alike)
    answer = Answer(
        id="a", question="?", answer=None, abstained=True, citations=(), mode="frontier", tier=None, model=None, confidence=None,
        confidence_source=None, route=route, index_version=1, usage=Usage(), cost_micro_usd=0, timings_ms={},
    )  # fmt: skip
    told = str(nobody_answered(answer, cut=False, retry_after=None))
    assert told == "every tier failed: claude: overloaded: come later (2 tries); claude: silent; claude: overloaded: come later"

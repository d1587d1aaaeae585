"""Real servers, real clients, the real SDK, and every fault: nothing lost, nothing counted twice, every bill as the double wrote it."""

from pathlib import Path

from tests.bench.bench_books import audited
from tests.messages_api.answers import gold_of

GOLD = gold_of({
    "How many days of leave does everyone have?": ("27 days", "leave.md"),
    "What may a hotel cost a night?": ("140 euros", "travel.md"),
    "When does the office in Porto open?": ("at eight", "office.txt"),
    "Who is the king of Porto?": ("nobody", "office.txt"),
})  # fmt: skip
REQUESTS = 220


def test_nothing_is_lost_or_counted_twice_whatever_goes_wrong(library: Path) -> None:
    found = audited(library / "data", GOLD, REQUESTS, share=0.25, seed=7, at_once=16)
    assert (found.requests, found.lost, found.twice, found.unmatched_calls, found.missing) == (REQUESTS, 0, 0, 0, set())
    assert (found.difference_micro_usd, found.wrong_bills) == (0, 0)
    assert found.total.cost_micro_usd > 0 and found.left > 0
    assert found.total.untold >= found.billed_untold > 0
    assert found.total.cost_micro_usd < found.true_micro_usd <= found.total.cost_micro_usd + found.total.untold_micro_usd

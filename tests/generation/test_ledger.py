"""What was spent, by day, mode, tier and tenant, and the two bills that were never sent."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, insert, select, update

from core.database import open_database
from core.schema import answers, attempts, prewarms
from core.types import Answer, Attempt, Mode, Outcome, Scope, Spending, Usage
from generation.journal import recent_arrivals, record_answer, record_prewarm
from generation.ledger import Dimension, read_ledger
from generation.prices import read_prices

ANA, BEN = Scope(tenant="ana"), Scope(tenant="ben")
DAY = 86_400.0
MONDAY = 20_500 * DAY  # 2026-02-16, midnight UTC
WARM = Usage(input_tokens=800, cache_read_tokens=1_000, output_tokens=40)
COLD = Usage(input_tokens=800, cache_write_5m_tokens=1_000, output_tokens=40)
HAIKU = "claude-haiku-5-5"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'l.db'}")


def reader(outcome: Outcome = "accepted") -> Attempt:
    return Attempt(tier="reader", outcome=outcome, reason="r", confidence=0.9, latency_ms=3.0, model="understudy-reader")


def claude(usage: Usage, outcome: Outcome = "accepted", *, model: str = HAIKU) -> Attempt:
    spent = read_prices().spending(model, usage)
    return Attempt(tier="haiku", outcome=outcome, reason="r", confidence=None, latency_ms=9.0, model=model, spending=spent)


def put(engine: Engine, key: str, route: Sequence[Attempt], *, scope: Scope = ANA, mode: Mode = "hybrid", at: float = MONDAY) -> None:
    usage = sum((attempt.spending.usage for attempt in route), Usage())
    cost = sum(attempt.cost_micro_usd for attempt in route)
    answer = Answer(
        id=key, question="Q?", answer="A", abstained=False, citations=(), mode=mode, tier="t", model="m", confidence=None,
        confidence_source=None, route=tuple(route), index_version=1, usage=usage, cost_micro_usd=cost, timings_ms={},
    )  # fmt: skip
    record_answer(engine, scope, answer)
    with engine.begin() as connection:
        connection.execute(update(answers).where(answers.c.id == key).values(at=at))


def lines(engine: Engine, *by: Dimension, scope: Scope | None = None, since: date | None = None) -> dict[tuple[str, ...], Any]:
    found = read_ledger(engine, scope, since=since, by=by)
    return {tuple(line.key.values()): line for line in found.lines}


def test_every_attempt_keeps_its_five_classes_model_price_and_cost(engine: Engine) -> None:
    usage = Usage(input_tokens=1, cache_write_5m_tokens=20, cache_write_1h_tokens=300, cache_read_tokens=4_000, output_tokens=50_000)
    put(engine, "a", [reader("below_threshold"), claude(usage, "failed"), claude(usage, "cancelled")])
    with engine.connect() as connection:
        free, *charged = connection.execute(select(attempts).order_by(attempts.c.position)).mappings()
    assert (free["model"], free["price"], free["cost_micro_usd"], free["output_tokens"]) == ("understudy-reader", None, 0, 0)
    for row, outcome in zip(charged, ("failed", "cancelled"), strict=True):
        assert (row["outcome"], row["model"], row["cost_micro_usd"]) == (outcome, HAIKU, 25_103)
        assert row["price"]["cache_write_1h"] == "0.20"
        assert [row[name] for name in usage.__slots__] == [1, 20, 300, 4_000, 50_000]


def test_empty_ledger_is_nothing_and_knows_nothing(engine: Engine) -> None:
    found = read_ledger(engine, ANA, since=None, by=("day",))
    assert (found.lines, found.frontier_mean) == ((), None)
    assert (found.total.attempts, found.total.cost_micro_usd, found.total.cache_hit_rate, found.total.frontier_only_micro_usd) == (
        0,
        0,
        None,
        0,
    )


def test_total_is_the_sum_of_every_attempt_failed_and_cancelled_ones_too(engine: Engine) -> None:
    put(engine, "a", [reader("below_threshold"), claude(COLD)])
    put(engine, "b", [claude(WARM, "failed"), claude(WARM)], mode="frontier")
    put(engine, "c", [claude(WARM, "cancelled")], mode="frontier")
    total = read_ledger(engine, ANA, since=None, by=()).total
    assert (total.answers, total.attempts, total.unanswered) == (3, 5, 2)
    assert total.usage == COLD + WARM + WARM + WARM
    assert total.cost_micro_usd == 225 + 3 * 110
    assert total.uncached_micro_usd == 4 * 200
    assert total.cache_hit_rate == 0.75


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("day", {"2026-02-16": 2, "2026-02-17": 1}),
        ("mode", {"hybrid": 2, "frontier": 1}),
        ("tier", {"reader": 2, "haiku": 2}),
        ("tenant", {"ana": 2, "ben": 1}),
    ],
)
def test_lines_count_the_answers_of_each(engine: Engine, by: Dimension, expected: dict[str, int]) -> None:
    put(engine, "a", [reader()])
    put(engine, "b", [reader("below_threshold"), claude(WARM)], at=MONDAY + DAY - 0.001)
    put(engine, "c", [claude(WARM)], scope=BEN, mode="frontier", at=MONDAY + DAY)
    assert {key: line.answers for (key,), line in lines(engine, by).items()} == expected
    assert sum(line.cost_micro_usd for line in lines(engine, by).values()) == 220


def test_lines_by_two_are_in_the_order_of_their_keys(engine: Engine) -> None:
    put(engine, "b", [reader()], at=MONDAY + DAY)
    put(engine, "a", [reader("below_threshold"), claude(WARM)])
    assert list(lines(engine, "day", "tier")) == [("2026-02-16", "haiku"), ("2026-02-16", "reader"), ("2026-02-17", "reader")]


def test_tenant_sees_its_own_alone(engine: Engine) -> None:
    put(engine, "a", [claude(WARM)])
    put(engine, "b", [claude(COLD)], scope=BEN)
    assert [read_ledger(engine, scope, since=None, by=()).total.cost_micro_usd for scope in (ANA, BEN, None)] == [110, 225, 335]
    assert list(lines(engine, "tenant", scope=BEN)) == [("ben",)]


def test_since_counts_from_midnight_utc_on(engine: Engine) -> None:
    put(engine, "a", [claude(WARM)], at=MONDAY - 0.001)
    put(engine, "b", [claude(COLD)], at=MONDAY)
    assert read_ledger(engine, ANA, since=date(2026, 2, 16), by=()).total.cost_micro_usd == 225
    assert read_ledger(engine, ANA, since=date(2026, 2, 17), by=()).total.attempts == 0


def test_frontier_only_bills_the_readers_answers_at_the_mean_of_completed_frontier_attempts(engine: Engine) -> None:
    put(engine, "a", [reader("below_threshold"), claude(COLD)])
    put(engine, "b", [reader("below_threshold"), claude(WARM, "not_found")])
    put(engine, "c", [reader("below_threshold"), claude(WARM, "failed"), reader()])
    for key in ("d", "e"):
        put(engine, key, [reader()])
    found = read_ledger(engine, ANA, since=None, by=("tier",))
    assert found.frontier_mean is not None
    assert (found.frontier_mean.attempts, found.frontier_mean.cost_micro_usd) == (2, 167.5)
    assert found.frontier_mean.tokens["cache_read_tokens"] == 500
    assert found.total.frontier_only_micro_usd == 225 + 110 + 110 + 335
    assert {line.key["tier"]: line.frontier_only_micro_usd for line in found.lines} == {"haiku": 445, "reader": 335}


def test_frontier_only_is_unknown_while_no_frontier_attempt_was_completed(engine: Engine) -> None:
    put(engine, "a", [reader()])
    put(engine, "b", [claude(WARM, "failed")], mode="frontier")
    found = lines(engine, "mode")
    assert found[("hybrid",)].frontier_only_micro_usd is None
    assert found[("frontier",)].frontier_only_micro_usd == 110
    assert read_ledger(engine, ANA, since=None, by=()).total.frontier_only_micro_usd is None


def test_mean_is_measured_on_the_tenants_own_attempts(engine: Engine) -> None:
    put(engine, "a", [reader()])
    put(engine, "b", [claude(WARM)], scope=BEN)
    assert read_ledger(engine, ANA, since=None, by=()).total.frontier_only_micro_usd is None
    assert read_ledger(engine, None, since=None, by=()).total.frontier_only_micro_usd == 220


def test_prewarm_is_paid_answers_nobody_and_would_not_have_been_made_uncached(engine: Engine) -> None:
    record_prewarm(engine, ANA, claude(Usage(cache_write_5m_tokens=1_000)))
    put(engine, "a", [claude(WARM)], mode="frontier")
    found = lines(engine, "mode")
    warmed = found[("prewarm",)]
    assert (warmed.answers, warmed.attempts, warmed.cost_micro_usd, warmed.uncached_micro_usd) == (0, 1, 125, 0)
    total = read_ledger(engine, ANA, since=None, by=()).total
    assert (total.cost_micro_usd, total.frontier_only_micro_usd, total.cache_hit_rate) == (235, 235, 0.5)
    assert read_ledger(engine, BEN, since=None, by=()).total.attempts == 0


def test_prewarm_is_no_measure_of_an_answer(engine: Engine) -> None:
    record_prewarm(engine, ANA, claude(Usage(cache_write_5m_tokens=1_000)))
    assert read_ledger(engine, ANA, since=None, by=()).frontier_mean is None
    with engine.connect() as connection:
        assert connection.execute(select(prewarms.c.model, prewarms.c.cache_write_5m_tokens)).all() == [(HAIKU, 1_000)]


def test_sums_beyond_32_bits_are_exact(engine: Engine) -> None:
    put(engine, "a", [claude(WARM)])
    row = {"answer_id": "a", "tier": "haiku", "outcome": "accepted", "reason": "", "latency_ms": 1.0, "uncached_micro_usd": 0}
    with engine.begin() as connection:
        many = [row | {"position": place, "cost_micro_usd": 2**52, "output_tokens": 2**40} for place in (1, 2)]
        connection.execute(insert(attempts), many)
    total = read_ledger(engine, ANA, since=None, by=()).total
    assert (total.cost_micro_usd, total.usage.output_tokens) == (2**53 + 110, 2**41 + 40)


@pytest.mark.parametrize("kind", ["attempt", "prewarm"])
def test_fault_is_kept_by_its_name(engine: Engine, kind: str) -> None:
    failed = replace(claude(WARM, "failed"), fault="overloaded")
    if kind == "prewarm":
        record_prewarm(engine, ANA, failed)
    else:
        put(engine, "a", [failed, claude(WARM)])
    with engine.connect() as connection:
        names = connection.execute(select((prewarms if kind == "prewarm" else attempts).c.fault)).scalars().all()
    assert names == (["overloaded"] if kind == "prewarm" else ["overloaded", None])


def test_lines_by_fault_tell_what_became_of_every_attempt(engine: Engine) -> None:
    put(engine, "a", [reader("below_threshold"), replace(claude(WARM, "failed"), fault="cut_after_text"), claude(COLD)])
    put(engine, "b", [replace(claude(WARM, "failed"), fault="rate_limited"), claude(WARM, "cancelled")])
    record_prewarm(engine, ANA, replace(claude(WARM, "failed"), fault="rate_limited"))
    found = {key: (line.attempts, line.cost_micro_usd) for (key,), line in lines(engine, "fault").items()}
    assert found == {
        "accepted": (1, 225), "below_threshold": (1, 0), "cancelled": (1, 110), "cut_after_text": (1, 110), "rate_limited": (2, 220),
    }  # fmt: skip


def untold(cost: int, outcome: Outcome = "failed", usage: Usage | None = None) -> Attempt:
    told = claude(usage, outcome) if usage else replace(claude(WARM, outcome), spending=Spending())
    return replace(told, spending=replace(told.spending, untold_micro_usd=cost))


def test_attempts_whose_cost_was_not_told_are_counted_with_the_most_that_they_add(engine: Engine) -> None:
    put(engine, "a", [untold(500), untold(70, "cancelled", WARM)], mode="frontier")
    put(engine, "b", [claude(WARM)], mode="frontier")
    record_prewarm(engine, ANA, untold(30))
    found = lines(engine, "mode")
    assert {mode: (line.untold, line.untold_micro_usd, line.cost_micro_usd) for (mode,), line in found.items()} == {
        "frontier": (2, 570, 220), "prewarm": (1, 30, 0),
    }  # fmt: skip
    total = read_ledger(engine, ANA, since=None, by=()).total
    assert (total.untold, total.untold_micro_usd, total.cost_micro_usd) == (3, 600, 220)


def test_answer_that_may_have_cost_something_is_not_one_that_spared_the_frontier(engine: Engine) -> None:
    put(engine, "a", [reader("below_threshold"), untold(500), reader()])
    put(engine, "b", [claude(WARM)])
    assert read_ledger(engine, ANA, since=None, by=()).total.frontier_only_micro_usd == 110
    assert len(recent_arrivals(engine, "haiku")) == 2


def test_question_for_the_frontier_alone_costs_there_what_it_cost_also_where_nobody_could_be_reached(engine: Engine) -> None:
    put(engine, "a", [claude(WARM)], mode="frontier")
    unreachable = replace(claude(WARM, "failed"), spending=Spending(), fault="unreachable")
    put(engine, "b", [unreachable], mode="frontier")
    put(engine, "c", [reader("below_threshold"), unreachable])
    found = {mode: line.frontier_only_micro_usd for (mode,), line in lines(engine, "mode").items()}
    assert found == {"frontier": 110, "hybrid": 110}


def test_all_of_a_ledger_is_of_one_moment(engine: Engine) -> None:
    expect_one_moment(engine)


def expect_one_moment(engine: Engine) -> None:
    """Somebody records an answer after every query of a ledger, and it shows none of them."""
    put(engine, "a", [reader("below_threshold"), claude(COLD)])
    before = read_ledger(engine, ANA, since=None, by=("mode",))
    other = create_engine(engine.url)
    written: list[str] = []

    def write(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            written.append(f"w{len(written)}")
            put(other, written[-1], [claude(WARM)], mode="frontier")

    event.listen(engine, "after_cursor_execute", write)
    during = read_ledger(engine, ANA, since=None, by=("mode",))
    event.remove(engine, "after_cursor_execute", write)
    other.dispose()
    assert (during, len(written) >= 3) == (before, True)
    assert read_ledger(engine, ANA, since=None, by=()).total.answers == 1 + len(written)


def test_arrivals_are_the_tiers_charged_questions_of_all_tenants_in_order(engine: Engine) -> None:
    put(engine, "a", [reader()], at=1.0)
    put(engine, "b", [reader("below_threshold"), claude(WARM)], at=9.0)
    put(engine, "c", [claude(WARM)], scope=BEN, at=4.0)
    assert recent_arrivals(engine, "haiku") == [4.0, 9.0]
    assert recent_arrivals(engine, "reader") == recent_arrivals(engine, "opus") == []


def test_usage_adds_up_and_knows_its_prompt() -> None:
    assert (COLD + WARM).prompt_tokens == COLD.prompt_tokens + WARM.prompt_tokens == 3_600
    assert Spending().price is None

"""Answers, attempts and labels are kept, each tenant's apart."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core.database import open_database
from core.errors import NotFound
from core.schema import answers, attempts, feedback
from core.types import Answer, Attempt, Citation, Outcome, Scope, Spending, Usage
from generation.journal import record_answer, record_feedback

ANA, BEN = Scope(tenant="ana"), Scope(tenant="ben")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'j.db'}")


def attempt(tier: str, outcome: Outcome, cost: int) -> Attempt:
    return Attempt(tier=tier, outcome=outcome, reason="so it is", confidence=None, latency_ms=3.0, spending=Spending(cost_micro_usd=cost))


def an_answer(key: str = "a1") -> Answer:
    tried = [attempt("reader", "below_threshold", 0), attempt("claude", "accepted", 412)]
    cited = Citation(chunk_id="c", document_id="d", source="s", title="t", heading="h", quote="q", start=0, end=1)
    return Answer(
        id=key, question="Q?", answer="A", abstained=False, citations=(cited,), mode="hybrid", tier="claude", model="m", confidence=None,
        confidence_source=None, route=tuple(tried), index_version=3, usage=Usage(input_tokens=9), cost_micro_usd=412,
        timings_ms={"total": 903.0},
    )  # fmt: skip


def test_record_answer_keeps_every_attempt_in_order(engine: Engine) -> None:
    record_answer(engine, ANA, an_answer())
    with engine.connect() as connection:
        kept = connection.execute(select(answers)).one()
        tried = connection.execute(select(attempts).order_by(attempts.c.position)).all()
    assert (kept.tenant, kept.cost_micro_usd, kept.latency_ms, kept.index_version) == ("ana", 412, 903.0, 3)
    assert kept.citations[0]["quote"] == "q"
    assert [(row.tier, row.outcome, row.cost_micro_usd) for row in tried] == [("reader", "below_threshold", 0), ("claude", "accepted", 412)]
    assert sum(row.cost_micro_usd for row in tried) == kept.cost_micro_usd


def test_record_answer_twice_keeps_neither_half(engine: Engine) -> None:
    record_answer(engine, ANA, an_answer())
    with pytest.raises(Exception, match="UNIQUE"):
        record_answer(engine, ANA, an_answer())
    with engine.connect() as connection:
        assert len(connection.execute(select(attempts)).all()) == 2


def test_record_feedback_keeps_the_latest_word(engine: Engine) -> None:
    record_answer(engine, ANA, an_answer())
    record_feedback(engine, ANA, "a1", True, None)
    record_feedback(engine, ANA, "a1", False, "B")
    with engine.connect() as connection:
        row = connection.execute(select(feedback)).one()
    assert (row.correct, row.better_answer) == (False, "B")


def test_record_feedback_on_another_tenants_answer_is_not_found(engine: Engine) -> None:
    record_answer(engine, ANA, an_answer())
    with pytest.raises(NotFound, match="'a1'"):
        record_feedback(engine, BEN, "a1", True, None)

"""Every answer with its attempts, and what people said of it, kept in SQL."""

import time
from dataclasses import asdict
from uuid import uuid4

from sqlalchemy import Engine, insert, or_, select, update

from core.errors import NotFound
from core.schema import answers, attempts, feedback, prewarms
from core.types import Answer, Attempt, Scope
from core.versions import is_erased
from generation.ttl import REMEMBERED


def record_answer(engine: Engine, scope: Scope, answer: Answer) -> None:
    """One transaction: an answer is never kept without its attempts.

    One that was under way while its version was erased is kept without its words; the row is written first, so that whoever erases
    comes either before it, and is seen here, or after it, and finds it.
    """
    with engine.begin() as connection:
        connection.execute(insert(answers), _answer_row(scope, answer))
        if answer.route:
            connection.execute(insert(attempts), _attempt_rows(answer))
        if is_erased(connection, answer.index_version):
            connection.execute(update(answers).where(answers.c.id == answer.id).values(answer=None, citations=[]))
            connection.execute(update(attempts).where(attempts.c.answer_id == answer.id).values(reason=""))


def record_prewarm(engine: Engine, scope: Scope, prewarm: Attempt) -> None:
    """A call that answers nobody: it wrote the prompt cache ahead of the first question, and was charged for it."""
    with engine.begin() as connection:
        row = {"id": uuid4().hex, "tenant": scope.tenant, "at": time.time(), **_attempt_row(prewarm)}
        connection.execute(insert(prewarms), row)


def record_feedback(engine: Engine, scope: Scope, answer_id: str, correct: bool, better_answer: str | None) -> None:
    """The latest word on an answer counts; raises NotFound for an answer that this tenant never got."""
    label = {"correct": correct, "better_answer": better_answer, "at": time.time()}
    with engine.begin() as connection:
        known = select(answers.c.id).where(answers.c.id == answer_id, answers.c.tenant == scope.tenant)
        if connection.execute(known).first() is None:
            raise NotFound(f"no answer {answer_id!r}: give the `id` of an answer you were given")
        if connection.execute(update(feedback).where(feedback.c.answer_id == answer_id).values(label)).rowcount == 0:
            connection.execute(insert(feedback), {"answer_id": answer_id, "tenant": scope.tenant, **label})


def recent_arrivals(engine: Engine, tier: str) -> list[float]:
    """When a frontier tier was lately asked, oldest first, in seconds since 1970; of all tenants, who share its cached prompt."""
    charged = or_(attempts.c.price.is_not(None), attempts.c.untold_micro_usd.is_not(None))
    asked = select(attempts.c.answer_id).where(attempts.c.answer_id == answers.c.id, attempts.c.tier == tier, charged).exists()
    latest = select(answers.c.at).where(asked).order_by(answers.c.at.desc()).limit(REMEMBERED)
    with engine.connect() as connection:
        return sorted(connection.execute(latest).scalars())


def _answer_row(scope: Scope, answer: Answer) -> dict[str, object]:
    return {
        "id": answer.id, "tenant": scope.tenant, "at": time.time(), "question": answer.question, "answer": answer.answer,
        "abstained": answer.abstained, "mode": answer.mode, "tier": answer.tier, "model": answer.model, "confidence": answer.confidence,
        "index_version": answer.index_version, "cost_micro_usd": answer.cost_micro_usd, "latency_ms": answer.timings_ms.get("total", 0.0),
        "citations": [asdict(citation) for citation in answer.citations],
    }  # fmt: skip


def _attempt_rows(answer: Answer) -> list[dict[str, object]]:
    return [{"answer_id": answer.id, "position": position, **_attempt_row(attempt)} for position, attempt in enumerate(answer.route)]


def _attempt_row(attempt: Attempt) -> dict[str, object]:
    spent = attempt.spending
    return {
        "tier": attempt.tier, "outcome": attempt.outcome, "fault": attempt.fault, "reason": attempt.reason,
        "confidence": attempt.confidence, "latency_ms": attempt.latency_ms, "model": attempt.model, **asdict(spent.usage),
        "price": spent.price, "cost_micro_usd": spent.cost_micro_usd, "uncached_micro_usd": spent.uncached_micro_usd,
        "untold_micro_usd": spent.untold_micro_usd,
    }  # fmt: skip

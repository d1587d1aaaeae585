"""Our ledger beside the double's own books, once all is done: what was lost, what was counted twice, and every bill to the micro-dollar."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Engine, Row, select

from core.schema import answers, attempts, prewarms
from generation.ledger import Line, read_ledger
from tests.bench.traffic import FAULTS, PREWARM, Sent, asked_of
from tests.messages_api.books import Books, Entry

_UNSENT = ("circuit_open", "busy", "connect_timeout")
"""Faults of attempts that the double never saw."""
_GAVE_UP = ("deadline", "read_timeout")
"""Faults of attempts that stopped listening: what the double tells then, nobody hears."""
_RECORDED = ("all-tiers-failed", "bad-upstream", "upstream-timeout")
"""Failures that are kept with what they cost."""
_NAMED = (*_RECORDED, "unavailable")
_PROBLEM = "urn:understudy:problem:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    requests: int
    left: int
    """Of them, those whose client hung up."""
    lost: int
    """Neither kept as they were answered nor failed by a name."""
    twice: int
    """Rows that are not the first of their request."""
    calls: int
    unmatched_calls: int
    """Calls of the double without an attempt of ours, or the other way round."""
    difference_micro_usd: int
    """Our ledger less what the double had told, and somebody had listened to."""
    wrong_bills: int
    """Requests of which that is not 0, one by one."""
    unheard_micro_usd: int
    """What the double had told just when we gave up: on a crowded machine it lies unread. Our ledger has it as untold."""
    total: Line
    """Of our ledger."""
    true_micro_usd: Fraction
    """The double's bill, with what it had not told."""
    billed_untold: int
    """Calls that it charged for more than it had told."""
    injected: Counter[str]
    """By the double, by its own names."""
    missing: set[str]
    """Faults that should have struck, and did not."""
    faults: Counter[str]
    """As our ledger names them."""


def audit(engine: Engine, books: Books, sent: Sequence[Sent]) -> Audit:
    entries = books.settled(timeout=30.0)
    with engine.connect() as connection:
        rows = list(connection.execute(select(answers)))
        tried = [row for row in connection.execute(select(attempts, answers.c.question).join(answers)) if row.tier != "reader"]
        warmed = list(connection.execute(select(prewarms)))
    bills = _bills(tried, entries)
    unheard = sum(bill.theirs - bill.ours for bill in bills.values() if bill.unheard)
    injected = Counter(entry.fault for entry in entries if entry.fault)
    faults = Counter(row.fault for row in tried if row.fault)
    total = read_ledger(engine, None, since=None, by=()).total
    kept = {row.question: row for row in rows}
    return Audit(
        requests=len(sent),
        left=sum(each.body is None for each in sent),
        lost=sum(_is_lost(each, kept.get(each.case.question), {asked_of(entry) for entry in entries}) for each in sent),
        twice=len(rows) - len(kept.keys() & {each.case.question for each in sent}),
        calls=len(entries),
        unmatched_calls=_unmatched(len(entries), [*tried, *warmed]),
        difference_micro_usd=total.cost_micro_usd - sum(map(told_by, entries)) + unheard,
        wrong_bills=sum(bill.ours != bill.theirs and not bill.unheard for bill in bills.values()),
        unheard_micro_usd=unheard,
        total=total,
        true_micro_usd=books.micro_usd(),
        billed_untold=len(books.untold()),
        injected=injected,
        missing={fault.kind for fault in FAULTS} - injected.keys() | {"connect_timeout"} - faults.keys(),
        faults=faults,
    )


def told_by(entry: Entry) -> int:
    """Rounded as a bill is: to the nearest, a half upwards."""
    return int(entry.told_micro_usd + Fraction(1, 2))


def _is_lost(sent: Sent, row: Row[Any] | None, called: set[str]) -> bool:
    if sent.body is None:
        return row is None and sent.case.question in called
    if "type" in sent.body:
        name = sent.body["type"].removeprefix(_PROBLEM)
        return name not in _NAMED or (name in _RECORDED and row is None)
    told = (sent.body["id"], sent.body["answer"], sent.body["cost_micro_usd"])
    return row is None or (row.id, row.answer, row.cost_micro_usd) != told


@dataclass(slots=True)
class _Bill:
    ours: int = 0
    theirs: int = 0
    given_up: int = 0
    """The most that the attempts may have cost that gave up."""

    @property
    def unheard(self) -> bool:
        return self.ours < self.theirs <= self.ours + self.given_up


def _bills(tried: Sequence[Row[Any]], entries: Sequence[Entry]) -> dict[str, _Bill]:
    """By question."""
    bills: dict[str, _Bill] = defaultdict(_Bill)
    for row in tried:
        bills[row.question].ours += row.cost_micro_usd
        bills[row.question].given_up += row.untold_micro_usd or 0 if _gave_up(row) else 0
    for entry in entries:
        if entry.told is not None and asked_of(entry) != PREWARM:
            bills[asked_of(entry)].theirs += told_by(entry)
    return bills


def _unmatched(entries: int, tried: Sequence[Row[Any]]) -> int:
    """Whether an attempt that gave up before it heard anything had reached the double, only the double knows."""
    sent = [row for row in tried if row.fault not in _UNSENT and not (_gave_up(row) and row.untold_micro_usd is None)]
    doubtful = sum(_gave_up(row) and row.price is None for row in sent)
    return max(0, entries - len(sent), len(sent) - doubtful - entries)


def _gave_up(row: Row[Any]) -> bool:
    return row.outcome == "cancelled" or row.fault in _GAVE_UP

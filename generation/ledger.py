"""What was spent, on what, and what the same traffic would have cost otherwise.

Two bills that were never sent stand beside the real one:

- *uncached*: the same calls with every token of their prompts charged as input, at the prices of their day and band. Calls that only
  warmed the cache would not have been made.
- *frontier-only*: what was spent, and for every answer of another mode than `frontier` that cost nothing at a frontier model, the mean
  bill of one completed frontier attempt of the same period and tenants. That mean is the mean number of tokens of each class at the
  prices they were charged at, so it takes the cache to work as it did. Without a completed frontier attempt it is unknown, which is
  None, never 0.

A frontier attempt is one with a price, or one whose cost was not told; what runs on this machine has neither.

A call that ends before the API has told what it used may cost more than is known: such calls are counted as *untold*, with the most that
they can add to the bill. They are never taken for free.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args

from sqlalchemy import (
    ColumnElement,
    Engine,
    FromClause,
    Integer,
    Row,
    Select,
    Subquery,
    and_,
    case,
    cast,
    distinct,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from core.database import one_moment
from core.schema import answers, attempts, prewarms
from core.types import Scope, Usage

Dimension = Literal["day", "mode", "tier", "tenant", "fault"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
"""`fault` is what became of an attempt: the name of its fault, or its outcome where it has none."""

PREWARM = "prewarm"
"""The mode under which calls that only warm the cache are summed."""

_SECONDS = 86_400
_TOKENS = tuple(each.name for each in fields(Usage))
_COMPLETED = ("accepted", "below_threshold", "not_found", "uncited")
_SUMS = (*_TOKENS, "cost_micro_usd", "uncached_micro_usd")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontierMean:
    """One completed frontier attempt, on average over so many."""

    attempts: int
    tokens: dict[str, float]
    """By class, as the fields of Usage."""
    cost_micro_usd: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    key: dict[Dimension, str]
    """What it is the sum of; empty for the sum of everything. Days are UTC."""
    answers: int
    attempts: int
    """Calls of tiers, the cache's warm-ups counted."""
    unanswered: int
    """Attempts that failed or were cancelled; what they cost is in the sums."""
    usage: Usage
    cost_micro_usd: int
    uncached_micro_usd: int
    untold: int
    """Attempts of which the API did not tell all that it charges for."""
    untold_micro_usd: int
    """What these may have cost beyond the sums, at most, by estimate."""
    frontier_only_micro_usd: int | None
    """None: unknown, since no frontier model completed an answer in the period."""

    @property
    def cache_hit_rate(self) -> float | None:
        """Of the tokens that were to be cached, the share that was read instead of written; None where there were none."""
        cached = self.usage.cached_tokens
        return self.usage.cache_read_tokens / cached if cached else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    lines: tuple[Line, ...]
    """In the order of their keys."""
    total: Line
    frontier_mean: FrontierMean | None


def read_ledger(engine: Engine, scope: Scope | None, *, since: date | None, by: Sequence[Dimension]) -> Ledger:
    """Sums from a day on (UTC, included); scope None is every tenant, which the command line alone may ask for."""
    entries = _entries(engine, scope, since)
    with one_moment(engine) as connection:
        mean = _frontier_mean(connection.execute(_mean_of(entries)).one())
        rows = connection.execute(_sums_of(entries, by)).all()
        total = connection.execute(_sums_of(entries, ())).one()
    lines = tuple(sorted((_line(row, by, mean) for row in rows), key=lambda line: tuple(line.key.values())))
    return Ledger(lines=lines, total=_line(total, (), mean), frontier_mean=mean)


def _entries(engine: Engine, scope: Scope | None, since: date | None) -> Subquery:
    """Every call of a tier as a row, the warm-ups too."""
    paid = attempts.alias()
    is_frontiers = or_(answers.c.mode == "frontier", exists().where(paid.c.answer_id == answers.c.id, _charged(paid)))
    sums = [attempts.c[name] for name in _SUMS]
    warm_sums = [literal(0).label(name) if name == "uncached_micro_usd" else prewarms.c[name] for name in _SUMS]
    asked = select(
        _day(engine, answers.c.at).label("day"), answers.c.mode, answers.c.tenant, attempts.c.tier, attempts.c.outcome,
        func.coalesce(attempts.c.fault, attempts.c.outcome).label("fault"),
        answers.c.id.label("answer_id"), case((is_frontiers, null()), else_=answers.c.id).label("spared_id"),
        _charged(attempts).label("charged"), attempts.c.untold_micro_usd, *sums,
    ).join(attempts, attempts.c.answer_id == answers.c.id)  # fmt: skip
    warmed = select(
        _day(engine, prewarms.c.at).label("day"), literal(PREWARM).label("mode"), prewarms.c.tenant, prewarms.c.tier, prewarms.c.outcome,
        func.coalesce(prewarms.c.fault, prewarms.c.outcome).label("fault"),
        null().label("answer_id"), null().label("spared_id"), literal(False).label("charged"),
        prewarms.c.untold_micro_usd, *warm_sums,
    )  # fmt: skip
    return union_all(_within(asked, answers.c, scope, since), _within(warmed, prewarms.c, scope, since)).subquery()


def _charged(calls: FromClause) -> ColumnElement[bool]:
    return or_(calls.c.price.is_not(None), calls.c.untold_micro_usd.is_not(None))


def _within(rows: Select[Any], columns: Any, scope: Scope | None, since: date | None) -> Select[Any]:
    if scope is not None:
        rows = rows.where(columns.tenant == scope.tenant)
    if since is not None:
        rows = rows.where(columns.at >= datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp())
    return rows


def _day(engine: Engine, at: ColumnElement[float]) -> ColumnElement[int]:
    """Days since 1970: SQLite's cast cuts off and may know no floor, PostgreSQL's cast rounds."""
    days = at / _SECONDS
    return cast(days if engine.dialect.name == "sqlite" else func.floor(days), Integer)


def _sums_of(entries: Subquery, by: Sequence[Dimension]) -> Select[Any]:
    keys = [entries.c[name] for name in by]
    lost = case((entries.c.outcome.in_(("failed", "cancelled")), 1), else_=0)
    return select(
        *keys,
        func.count(distinct(entries.c.answer_id)).label("answers"),
        func.count(distinct(entries.c.spared_id)).label("spared"),
        func.count().label("attempts"),
        func.coalesce(func.sum(lost), 0).label("unanswered"),
        func.count(entries.c.untold_micro_usd).label("untold"),
        func.coalesce(func.sum(entries.c.untold_micro_usd), 0).label("untold_micro_usd"),
        *(func.coalesce(func.sum(entries.c[name]), 0).label(name) for name in _SUMS),
    ).group_by(*keys)


def _mean_of(entries: Subquery) -> Select[Any]:
    completed = and_(entries.c.charged, entries.c.outcome.in_(_COMPLETED))
    sums: list[ColumnElement[Any]] = [func.sum(entries.c[name]).label(name) for name in _SUMS]
    return select(*[func.count().label("attempts"), *sums]).where(completed)


def _frontier_mean(row: Row[Any]) -> FrontierMean | None:
    if row.attempts == 0:
        return None
    means = {name: float(getattr(row, name)) / row.attempts for name in _SUMS}
    return FrontierMean(attempts=row.attempts, tokens={name: means[name] for name in _TOKENS}, cost_micro_usd=means["cost_micro_usd"])


def _line(row: Row[Any], by: Sequence[Dimension], mean: FrontierMean | None) -> Line:
    spared = round(row.spared * mean.cost_micro_usd) if mean else None
    return Line(
        key={name: _shown(name, getattr(row, name)) for name in by},
        answers=row.answers,
        attempts=row.attempts,
        unanswered=int(row.unanswered),
        usage=Usage(**{name: int(getattr(row, name)) for name in _TOKENS}),
        cost_micro_usd=int(row.cost_micro_usd),
        uncached_micro_usd=int(row.uncached_micro_usd),
        untold=row.untold,
        untold_micro_usd=int(row.untold_micro_usd),
        frontier_only_micro_usd=_with_spared(int(row.cost_micro_usd), row.spared, spared),
    )


def _with_spared(cost: int, answers_spared: int, spared: int | None) -> int | None:
    if not answers_spared:
        return cost
    return None if spared is None else cost + spared


def _shown(name: Dimension, value: Any) -> str:
    return (date(1970, 1, 1) + timedelta(days=value)).isoformat() if name == "day" else str(value)

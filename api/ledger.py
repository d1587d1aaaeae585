"""The ledger as HTTP and the command line show it."""

from collections.abc import Sequence
from datetime import date

from pydantic import Field
from sqlalchemy import Engine

from api.auth import local_scope
from api.examples import LEDGER, shown
from api.schemas import Reply, UsageBody
from api.stack import open_engine
from core.errors import InvalidInput
from core.settings import read_settings
from core.types import Scope
from generation.ledger import DIMENSIONS, Dimension, Ledger, Line, read_ledger


class FrontierMeanBody(Reply):
    attempts: int
    cost_micro_usd: float
    tokens: dict[str, float] = Field(description="By class, as in `usage`.")


class LineBody(Reply):
    day: date | None = Field(description="UTC; null where the sum is not by day, and so on.")
    mode: str | None = Field(description="`prewarm` for calls that only warmed the prompt cache.")
    tier: str | None
    tenant: str | None
    fault: str | None = Field(description="What became of the attempts: the name of their fault, or their outcome where they have none.")
    answers: int
    attempts: int
    unanswered: int = Field(description="Attempts that failed or were cancelled; what they cost is counted.")
    usage: UsageBody
    cost_micro_usd: int = Field(description="In millionths of a US dollar.")
    uncached_micro_usd: int = Field(description="The same calls without a prompt cache.")
    untold: int = Field(description="Attempts that ended before the API had told all that it charges for.")
    untold_micro_usd: int = Field(description="What these may have cost beyond `cost_micro_usd`, at most, by estimate.")
    frontier_only_micro_usd: int | None = Field(
        description="The same answers by the frontier alone, at the mean bill of its completed attempts; null while there are none."
    )
    cache_hit_rate: float | None = Field(description="Tokens read from the cache, of those read or written; null without any.")


class LedgerReply(Reply):
    model_config = shown(LEDGER)

    since: date | None
    by: list[Dimension]
    lines: list[LineBody]
    total: LineBody
    frontier_mean: FrontierMeanBody | None = Field(description="One completed frontier attempt of the period, on average.")


def show_spending(engine: Engine, scope: Scope | None, *, since: date | None, by: Sequence[Dimension]) -> LedgerReply:
    kept = tuple(name for name in DIMENSIONS if name in by)
    found = read_ledger(engine, scope, since=since, by=kept)
    return LedgerReply(
        since=since,
        by=list(kept),
        lines=[_to_body(line) for line in found.lines],
        total=_to_body(found.total),
        frontier_mean=_mean_of(found),
    )


def spent(*, since: date | None, by: Sequence[str], tenant: str | None) -> LedgerReply:
    """What `understudy ledger` shows: of all tenants where none is named."""
    wanted = [_dimension(name) for name in by]
    scope = None if tenant is None else local_scope(tenant)
    return show_spending(open_engine(read_settings()), scope, since=since, by=wanted)


def _dimension(name: str) -> Dimension:
    for known in DIMENSIONS:
        if name == known:
            return known
    raise InvalidInput(f"cannot sum by {name!r}: use {', '.join(DIMENSIONS)}")


def _mean_of(found: Ledger) -> FrontierMeanBody | None:
    return None if found.frontier_mean is None else FrontierMeanBody.model_validate(found.frontier_mean)


def _to_body(line: Line) -> LineBody:
    nothing: dict[str, str | None] = dict.fromkeys(DIMENSIONS)
    return LineBody.model_validate(
        {
            **nothing, **line.key, "answers": line.answers, "attempts": line.attempts, "unanswered": line.unanswered,
            "usage": UsageBody.model_validate(line.usage), "cost_micro_usd": line.cost_micro_usd,
            "uncached_micro_usd": line.uncached_micro_usd, "frontier_only_micro_usd": line.frontier_only_micro_usd,
            "cache_hit_rate": line.cache_hit_rate, "untold": line.untold, "untold_micro_usd": line.untold_micro_usd,
        }
    )  # fmt: skip

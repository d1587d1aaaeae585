"""What a call is charged, as far as the API has told, and how much more it may be at most where it has not told all."""

from dataclasses import replace

from core.errors import InvalidSettings, TierFailed
from core.types import Spending, Usage
from generation.estimate import longest_call
from generation.prices import Prices
from generation.reply import Reply

_UNCHARGED = ("cyber",)
"""Categories in which a refusal before any output is known not to be charged, which is not so in all (docs.apiyi.com, September 2026)."""


def charges_of(reply: Reply, prices: Prices, *, max_tokens: int) -> Spending:
    """Raises nothing: whatever became of the call, what it cost is kept, or that nobody knows it.

    What began and was not told to its end may have written the whole answer of `max_tokens`, thinking included. Tokens of a class without
    a price cost nothing yet, and at most as much as the model's dearest. What was refused at once costs nothing, or what it used.
    """
    if not reply.sent or (reply.refused_at_once and reply.category in _UNCHARGED):
        return Spending()
    used = reply.usage or Usage()
    longest = used if reply.told else replace(used if reply.usage else longest_call(reply.prompt), output_tokens=max_tokens)
    try:
        spent = Spending() if reply.usage is None else prices.spending(reply.model, used)
        most = prices.spending(reply.model, longest).cost_micro_usd
    except InvalidSettings:
        return Spending(usage=used, untold_micro_usd=prices.at_most(reply.model, longest))
    if reply.refused_at_once:
        return Spending(untold_micro_usd=most)
    return spent if reply.told else replace(spent, untold_micro_usd=max(0, most - spent.cost_micro_usd))


def require_price(reply: Reply, prices: Prices, spent: Spending) -> None:
    """Raises TierFailed for a whole answer with tokens that have no price: none goes out for nothing."""
    if reply.usage is None:
        return
    try:
        prices.spending(reply.model, reply.usage)
    except InvalidSettings as error:
        raise TierFailed(str(error), fault="unpriced", model=reply.model, spending=spent) from error

"""How long the cached prompt shall live: five minutes or an hour, by how often it is asked for.

A question finds the prefix cached where the one before came within the time to live, which every hit renews; otherwise the prefix is
written again. Let k be the recent gaps of more than five minutes and at most an hour, and j the longer ones. From a cold start the
hour costs less exactly where

    k * (write_5m - read)  >  (1 + j) * (write_1h - write_5m)

since it spares k writes, and pays more for the first and for those after the j gaps. With the prices of Haiku 5.5 (0.125, 0.20, 0.01)
that is k > 0.65 (1 + j); with Sonnet 5.5's (2.50, 4, 0.10) k > 0.63 (1 + j). For questions that come at random (Poisson) the hour is
then the cheaper one for mean gaps from about half a minute to nearly two hours: below, hardly any gap is longer than five minutes;
above, hardly any is within the hour.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from generation.prices import Rates

Ttl = Literal["5m", "1h"]
TtlChoice = Literal["auto", "5m", "1h"]

SECONDS: dict[Ttl, int] = {"5m": 300, "1h": 3600}
REMEMBERED = 200
"""Arrivals that the choice looks back on."""


def choose_ttl(arrivals: Sequence[float], rates: Rates) -> Ttl:
    """The cheaper one had these questions, in seconds and in order, been asked of an empty cache; five minutes where both cost the same."""
    write_5m, write_1h, read = rates.cache_write_5m, rates.cache_write_1h, rates.cache_read
    if write_5m is None or write_1h is None or read is None:
        return "5m"  # a price that is not known is not chosen
    if not arrivals or arrivals[-1] - arrivals[0] <= SECONDS["5m"]:
        return "5m"  # no gap can be longer: told apart first, since it is so whenever there is much to do
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    spared = sum(SECONDS["5m"] < gap <= SECONDS["1h"] for gap in gaps)
    written = 1 + sum(gap > SECONDS["1h"] for gap in gaps)
    return "1h" if spared * (write_5m - read) > written * (write_1h - write_5m) else "5m"


class Arrivals:
    """When the prompt was asked for lately, in seconds of one clock."""

    def __init__(self, earlier: Iterable[float] = ()) -> None:
        self._times: deque[float] = deque(sorted(earlier), maxlen=REMEMBERED)

    def note(self, at: float) -> None:
        self._times.append(at)

    def ttl(self, choice: TtlChoice, rates: Rates) -> Ttl:
        """As the setting says, or the cheaper one where it leaves the choice; never an hour that has no price."""
        if choice == "auto":
            return choose_ttl(self._times, rates)
        return "5m" if rates.cache_write_1h is None else choice

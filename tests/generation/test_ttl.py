"""The time to live that is cheaper for the questions of late."""

import math
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.prices import Rates, read_prices
from generation.ttl import SECONDS, Arrivals, choose_ttl

HAIKU = read_prices().rates("claude-haiku-5-5", prompt_tokens=1_000)
SONNET = read_prices().rates("claude-sonnet-5-5", prompt_tokens=1_000)
FABLE = read_prices().rates("claude-fable-5-2", prompt_tokens=1_000)
MINUTE = 60.0


def at_random(mean: float, n: int = 2000) -> list[float]:
    """Poisson arrivals, the gaps at the quantiles of their distribution, shuffled."""
    gaps = [-mean * math.log(1 - (i + 0.5) / n) for i in range(n)]
    Random(5).shuffle(gaps)
    return list(accumulate(gaps, initial=0.0))


def bill(arrivals: list[float], rates: Rates, seconds: int, write: float) -> float:
    """Question by question: cold is written, warm is read, and every use renews it."""
    total, warm_until = 0.0, -math.inf
    for at in arrivals:
        total += float(rates.cache_read or 0) if at <= warm_until else write
        warm_until = at + seconds
    return total


@pytest.mark.parametrize(
    ("minutes", "ttl"), [(0.1, "5m"), (0.4, "5m"), (1.0, "1h"), (5, "1h"), (30, "1h"), (100, "1h"), (150, "5m"), (600, "5m")]
)
def test_questions_at_random_take_the_hour_between_half_a_minute_and_two_hours(minutes: float, ttl: str) -> None:
    assert choose_ttl(at_random(minutes * MINUTE), HAIKU) == ttl


@given(st.lists(st.floats(min_value=0, max_value=9000), max_size=60), st.sampled_from([HAIKU, SONNET]))
def test_choice_is_the_cheaper_bill(gaps: list[float], rates: Rates) -> None:
    arrivals = list(accumulate(map(round, gaps), initial=0.0))
    bills = {
        "5m": bill(arrivals, rates, 300, float(rates.cache_write_5m or 0)),
        "1h": bill(arrivals, rates, 3600, float(rates.cache_write_1h or 0)),
    }
    assert bills[choose_ttl(arrivals, rates)] <= min(bills.values()) + 1e-9


def test_break_even_is_where_the_docstring_says() -> None:
    once = [0.0, 10 * MINUTE]
    assert choose_ttl(once, HAIKU) == "1h"
    after_a_night = [0.0, 600 * MINUTE, 610 * MINUTE]
    assert choose_ttl(after_a_night, HAIKU) == "5m"
    assert choose_ttl([*after_a_night, 620 * MINUTE], HAIKU) == "1h"


@pytest.mark.parametrize("arrivals", [[], [5.0], [0.0, 300.0], [0.0, 3600.5]])
def test_nothing_to_save_takes_the_cheaper_write(arrivals: list[float]) -> None:
    assert choose_ttl(arrivals, SONNET) == "5m"


def test_price_that_is_not_known_is_not_chosen() -> None:
    assert choose_ttl([0.0, 600.0, 1200.0, 1800.0], FABLE) == "5m"


def test_setting_goes_before_the_rate() -> None:
    arrivals = Arrivals([600.0, 0.0])
    assert (arrivals.ttl("auto", HAIKU), arrivals.ttl("5m", HAIKU)) == ("1h", "5m")
    assert Arrivals().ttl("1h", HAIKU) == "1h"


def test_hour_without_a_price_is_never_taken() -> None:
    assert Arrivals([0.0, 600.0, 1200.0]).ttl("auto", FABLE) == Arrivals().ttl("1h", FABLE) == "5m"


def test_arrivals_are_noted_and_old_ones_forgotten() -> None:
    arrivals = Arrivals()
    for hour in range(10):
        arrivals.note(hour * 600.0)
    assert arrivals.ttl("auto", HAIKU) == "1h"
    for second in range(300):
        arrivals.note(6000.0 + second)
    assert arrivals.ttl("auto", HAIKU) == "5m"
    assert SECONDS == {"5m": 300, "1h": 3600}

"""When a tier is asked again."""

from typing import get_args

import pytest

from core.errors import TierFailed
from core.types import Fault
from generation.retry import PASSING, Retry

EVEN = Retry(dice=lambda: 0.5)


def failed(fault: Fault = "overloaded", retry_after: float | None = None) -> TierFailed:
    return TierFailed("it is so", fault=fault, retry_after=retry_after)


def test_pause_doubles_from_try_to_try_and_ends_after_the_last() -> None:
    assert [EVEN.pause(failed(), tried=n, left=60) for n in (1, 2, 3)] == [0.25, 0.5, None]


@pytest.mark.parametrize(("dice", "pause"), [(0.0, 0.125), (1.0, 0.375)])
def test_pause_is_spread_around_its_mean(dice: float, pause: float) -> None:
    assert Retry(dice=lambda: dice).pause(failed(), tried=1, left=60) == pause


@pytest.mark.parametrize("fault", sorted(set(get_args(Fault)) - PASSING))
def test_fault_that_does_not_pass_is_not_tried_again(fault: Fault) -> None:
    assert EVEN.pause(failed(fault), tried=1, left=60) is None


@pytest.mark.parametrize(
    ("retry_after", "left", "pause"), [(1.0, 30.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.99, None), (3600.0, 30.0, None), (0.0, 30.0, 0.25)]
)
def test_retry_after_is_kept_where_it_fits_into_the_deadline(retry_after: float, left: float, pause: float | None) -> None:
    assert EVEN.pause(failed("rate_limited", retry_after), tried=1, left=left) == pause


def test_no_try_is_begun_without_the_time_for_it() -> None:
    assert EVEN.pause(failed(), tried=1, left=1.2) is None

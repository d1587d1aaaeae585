"""The circuit breaker, by a clock of the test's own."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from core.types import Fault
from generation.breaker import OWN, Breaker, Era


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(faults=3, seconds=10.0, clock=clock)


def fail(breaker: Breaker, times: int, fault: Fault = "overloaded") -> None:
    for _ in range(times):
        breaker.failed(admitted(breaker), fault)


def admitted(breaker: Breaker) -> Era:
    era = breaker.admit()
    assert era is not None
    return era


def test_breaker_opens_after_so_many_faults_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert (breaker.state, breaker.admit(), breaker.wait()) == ("open", None, 10.0)


def test_success_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded(admitted(breaker))
    fail(breaker, 2)
    assert breaker.state == "closed"


@pytest.mark.parametrize("fault", sorted(OWN))
def test_fault_of_the_question_or_of_us_opens_nothing(breaker: Breaker, fault: Fault) -> None:
    fail(breaker, 9, fault)
    assert breaker.state == "closed"


def test_half_open_breaker_lets_one_trial_through(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    assert (breaker.state, breaker.admit() is None, breaker.admit() is None) == ("half_open", False, True)


def test_trial_that_succeeds_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    breaker.succeeded(admitted(breaker))
    assert (breaker.state, breaker.admit() is None, breaker.admit() is None) == ("closed", False, False)


def test_trial_that_fails_opens_for_as_long_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    fail(breaker, 1)
    assert (breaker.state, breaker.wait()) == ("open", 10.0)


Tell: TypeAlias = Callable[[Breaker, Era], None]
LEAVING: dict[str, Tell] = {"cancelled": Breaker.left, "refused": lambda breaker, era: breaker.failed(era, "refused")}
LATE: dict[str, Tell] = {**LEAVING, "failed": lambda breaker, era: breaker.failed(era, "overloaded"), "succeeded": Breaker.succeeded}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_trial_that_teaches_nothing_leaves_its_place_to_another(breaker: Breaker, clock: Clock, leave: Tell) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    leave(breaker, admitted(breaker))
    assert (breaker.state, breaker.admit() is None) == ("half_open", False)


@pytest.mark.parametrize("tell", LATE.values(), ids=LATE)
def test_call_of_before_it_opened_decides_nothing_any_more(breaker: Breaker, clock: Clock, tell: Tell) -> None:
    """Neither while it is left alone, nor in place of the trial that runs by then."""
    early = [admitted(breaker) for _ in range(3)]
    fail(breaker, 3)
    clock.now += 4.0
    tell(breaker, early[0])
    assert (breaker.state, breaker.wait()) == ("open", 6.0)
    clock.now += 6.0
    trial = admitted(breaker)
    tell(breaker, early[1])
    assert (breaker.state, breaker.admit()) == ("half_open", None)
    breaker.succeeded(trial)
    tell(breaker, early[2])
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_call_of_before_a_trial_that_failed_is_late_too(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    first = admitted(breaker)
    breaker.failed(first, "overloaded")
    clock.now += 10.0
    assert admitted(breaker) != first
    breaker.failed(first, "overloaded")
    assert (breaker.state, breaker.admit()) == ("half_open", None)

"""The circuit breaker, by a clock of the test's own."""

import pytest

from core.types import Fault
from generation.breaker import OWN, Breaker


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
        assert breaker.admits()
        breaker.failed(fault)


def test_breaker_opens_after_so_many_faults_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert (breaker.state, breaker.admits(), breaker.wait()) == ("open", False, 10.0)


def test_success_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state == "closed"


@pytest.mark.parametrize("fault", sorted(OWN))
def test_fault_of_the_question_or_of_us_opens_nothing(breaker: Breaker, fault: Fault) -> None:
    fail(breaker, 9, fault)
    assert breaker.state == "closed"


def test_half_open_breaker_lets_one_trial_through(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    assert (breaker.state, breaker.admits(), breaker.admits()) == ("half_open", True, False)


def test_trial_that_succeeds_closes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    assert breaker.admits()
    breaker.succeeded()
    assert (breaker.state, breaker.admits(), breaker.admits()) == ("closed", True, True)


def test_trial_that_fails_opens_for_as_long_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    fail(breaker, 1)
    assert (breaker.state, breaker.wait()) == ("open", 10.0)


@pytest.mark.parametrize("leave", [Breaker.left, lambda breaker: breaker.failed("refused")], ids=["cancelled", "refused"])
def test_trial_that_teaches_nothing_leaves_its_place_to_another(breaker: Breaker, clock: Clock, leave: object) -> None:
    fail(breaker, 3)
    clock.now += 10.0
    assert breaker.admits()
    assert callable(leave)
    leave(breaker)
    assert (breaker.state, breaker.admits()) == ("half_open", True)

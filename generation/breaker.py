"""A circuit breaker: a tier that fails time after time is left alone for a while, then tried by one request."""

import time
from collections.abc import Callable
from typing import Literal

from core.types import Fault

OWN: frozenset[Fault] = frozenset(
    {"bad_request", "too_large", "refused", "max_tokens", "paused", "empty", "busy", "circuit_open", "unpriced"}
)
"""Faults that say nothing about the next question: they come of this one, or of us."""

State = Literal["closed", "open", "half_open"]


Era = int
"""How often it had opened when a call was admitted: a call of before says nothing of what is there now."""


class Breaker:
    """Opens after so many faults in a row, for so many seconds; then one trial decides. For one event loop."""

    def __init__(self, *, faults: int = 5, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = faults
        self._seconds = seconds
        self._clock = clock
        self._faults = 0
        self._opened: float | None = None
        self._trying = False
        self._era: Era = 0

    @property
    def state(self) -> State:
        if self._opened is None:
            return "closed"
        return "open" if self.wait() > 0 else "half_open"

    def wait(self) -> float:
        """Seconds until it lets a trial through; 0 where it does not hold back."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._seconds - self._clock())

    def admit(self) -> Era | None:
        """None where the tier may not be asked now. Whoever is admitted must tell what came of it, with what is given here."""
        match self.state:
            case "closed":
                return self._era
            case "half_open" if not self._trying:
                self._trying = True
                return self._era
        return None

    def succeeded(self, era: Era) -> None:
        if era == self._era:
            self._faults, self._opened, self._trying = 0, None, False

    def failed(self, era: Era, fault: Fault) -> None:
        if fault in OWN:
            return self.left(era)
        if era != self._era:
            return
        self._faults += 1
        if self._trying or self._faults >= self._limit:
            self._opened = self._clock()
            self._era += 1
        self._trying = False

    def left(self, era: Era) -> None:
        """Nothing was learnt: the caller went away, or the fault was not the tier's."""
        if era == self._era:
            self._trying = False

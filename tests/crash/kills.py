"""The moments at which a process is killed: every step that lasts, any line of the product, any time."""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

from tests.crash.place import OPERATIONS, Operation, Place
from tests.crash.processes import Child, Ended, die
from tests.crash.steps import watch_lines, watch_steps

Kind = Literal["step", "line", "moment"]
_MIX: tuple[Kind, ...] = ("step", "line", "step", "moment", "step", "line", "step", "step", "line", "step")
_WEIGHTS = (6, 1, 1, 1, 1, 1, 1)
"""Of the operations, for lines and moments; steps are taken from all of them in turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    operation: str
    kind: Kind
    at: str | int | float
    """The step's name, the number of the line, or seconds."""
    occurrence: int = 1
    """Which of the steps with this name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What an operation does when it is let be."""

    steps: list[str]
    lines: int
    seconds: float


def record(place: Place, todo: Operation) -> Recorded:
    """In a child process, since what watches cannot be taken off again."""
    ended = Child(lambda _: _record(place, todo)).end()
    assert not ended.error, ended.error
    return Recorded(**ended.told)


def draw_kills(recorded: dict[str, Recorded], draw: random.Random) -> Iterator[Kill]:
    """For ever: of ten six at a step, three at a line, one at a moment."""
    every = [(name, step, count) for name, what in recorded.items() for step, count in Counter(what.steps).items()]
    draw.shuffle(every)
    steps = cycle(every)
    for kind in cycle(_MIX):
        if kind == "step":
            name, step, count = next(steps)
            yield Kill(operation=name, kind=kind, at=step, occurrence=draw.choice((1, draw.randint(1, count))))
            continue
        name = draw.choices(OPERATIONS, weights=_WEIGHTS)[0]
        what = recorded[name]
        yield Kill(operation=name, kind=kind, at=draw.randint(1, what.lines) if kind == "line" else draw.uniform(0, what.seconds))


def run_killed(place: Place, todo: Operation, kill: Kill) -> Ended:
    """It may come to its end before it is killed."""
    if kill.kind != "moment":
        return Child(lambda _: _run(place, todo, kill)).end()
    child = Child(lambda begun: _run(place, todo, kill, begun))
    child.await_beginning()
    time.sleep(float(kill.at))
    child.kill()
    return child.end()


def _run(place: Place, todo: Operation, kill: Kill, begun: Any = lambda: None) -> None:
    target = place.open()
    begun()
    countdown = _Countdown(kill)
    if kill.kind == "step":
        watch_steps(place.data, target.engine, target.embedder, countdown.step)
    if kill.kind == "line":
        watch_lines(countdown.line)
    todo.run(place, target)
    sys.settrace(None)


def _record(place: Place, todo: Operation) -> dict[str, Any]:
    """Lines and steps are counted in one run, its seconds are therefore some too many."""
    steps: list[str] = []
    lines = [0]

    def on_line() -> None:
        lines[0] += 1

    target = place.open()
    watch_steps(place.data, target.engine, target.embedder, steps.append)
    started = time.monotonic()
    watch_lines(on_line)
    todo.run(place, target)
    sys.settrace(None)
    return {"steps": steps, "lines": lines[0], "seconds": time.monotonic() - started}


class _Countdown:
    def __init__(self, kill: Kill) -> None:
        self._kill = kill
        self._left = kill.occurrence if kill.kind == "step" else kill.at

    def step(self, name: str) -> None:
        if name == self._kill.at:
            self._tick()

    def line(self) -> None:
        self._tick()

    def _tick(self) -> None:
        assert isinstance(self._left, int)
        self._left -= 1
        if self._left == 0:
            die()

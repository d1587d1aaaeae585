"""What goes wrong, and when."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from tests.messages_api.prompt import Json

Kind = Literal[
    "400",
    "401",
    "402",
    "403",
    "404",
    "413",
    "429",
    "500",
    "503",
    "504",
    "529",
    "reset",
    "hang",
    "slow",
    "refusal",
    "max_tokens",
    "pause_turn",
    "empty",
    "bad_citation",
    "cut_before_start",
    "end_before_start",
    "cut_before_text",
    "cut_after_text",
    "end_before_text",
    "end_after_text",
    "error_before_text",
    "error_after_text",
    "stall_before_text",
    "stall_after_text",
    "malformed",
    "misordered",
]
"""`cut` breaks the connection, `end` ends the body as if it were whole, `error` sends an `error` event, `stall` sends pings and no more.

`before_start` comes after the head of the response and before its first event.
Without streaming the four send half a body (`cut`, `end`), a 529 (`error`) or nothing (`stall`); `malformed` is broken JSON either way,
and `misordered` events are an odd body: JSON, and no message.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)
HEADER = "x-stand-in-fault"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    kind: Kind
    seconds: float = 3600.0
    """How long `hang`, `slow` and `stall` take, unless the caller hangs up before."""
    retry_after: float | None = None
    category: str | None = "cyber"
    partial: bool = False
    """A refusal in the middle of its text: it is paid for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    number: int
    """Counts from 0 over all requests to `/v1/messages`."""
    model: str
    streamed: bool
    headers: Mapping[str, str]
    body: Json


class FaultPlan(Protocol):
    def fault(self, request: Received) -> Fault | None: ...


def every_fault(seconds: float = 3600.0) -> tuple[Fault, ...]:
    """One of each, those that make a caller wait for so long; `slow` is left out, for it is no failure to who waits."""
    return (
        *(Fault(kind=kind, seconds=seconds) for kind in KINDS if kind not in ("429", "slow")),
        Fault(kind="429", retry_after=1),
        Fault(kind="429", retry_after=3600),
        Fault(kind="refusal", partial=True, category=None),
    )


class NoFaults:
    def fault(self, request: Received) -> Fault | None:
        return None


class Always:
    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def fault(self, request: Received) -> Fault | None:
        return self._fault


class Script:
    """One entry a request, in their order; after the last, all is well."""

    def __init__(self, faults: Iterable[Fault | None]) -> None:
        self._faults = list(faults)

    def fault(self, request: Received) -> Fault | None:
        return self._faults.pop(0) if self._faults else None


@dataclass(frozen=True, kw_only=True)
class Share:
    """A random share of the requests, the same for the same seed and order."""

    share: float
    seed: int
    faults: Sequence[Fault] = field(default_factory=every_fault)

    def fault(self, request: Received) -> Fault | None:
        dice = random.Random(f"{self.seed}:{request.number}")
        return dice.choice(self.faults) if dice.random() < self.share else None


class ByModel:
    """One plan a model; a model without one is well."""

    def __init__(self, plans: Mapping[str, FaultPlan]) -> None:
        self._plans = plans

    def fault(self, request: Received) -> Fault | None:
        plan = self._plans.get(request.model)
        return plan.fault(request) if plan else None


def parse_fault(text: str) -> Fault:
    """`429; retry_after=3600`, as the header says it."""
    kind, *options = (part.strip() for part in text.split(";"))
    values = dict(option.split("=", 1) for option in options)
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no fault; those are {', '.join(KINDS)}")
    retry_after = values.get("retry_after")
    return Fault(
        kind=kind,
        seconds=float(values.get("seconds", 3600.0)),
        retry_after=int(retry_after) if retry_after else None,
        category=values.get("category", "cyber"),
        partial=values.get("partial") == "true",
    )

"""Time that is left, shared out."""

import time

_SPARE = 0.25
"""Seconds kept back at the end, so that what came of it can be told and written down."""


def share_of(deadline: float, *, among: int) -> float:
    """The deadline of the first of so many tiers: a silent one leaves the others their equal shares of the time."""
    now = time.monotonic()
    left = deadline - now
    return now + (left - min(_SPARE, left / 10)) / among

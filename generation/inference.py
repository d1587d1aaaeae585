"""How many questions are read on this machine at once. Waiting for a frontier model is not reading, and takes no place."""

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

PLACES = 8
"""More of them wait, so that health checks and toggles never do."""

_limiter: RunVar[CapacityLimiter] = RunVar("inference")


def inference() -> CapacityLimiter:
    """Of the running event loop."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = CapacityLimiter(PLACES)
        _limiter.set(limiter)
    return limiter

"""A bulkhead: so many calls of a tier at once, and no queue behind them, so that one slow tier does not take the whole ship down."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import TierFailed


class Bulkhead:
    """For one event loop."""

    def __init__(self, *, places: int) -> None:
        self._places = places
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises TierFailed at once when all are taken."""
        if self._taken >= self._places:
            raise TierFailed(f"{self._places} questions are with it already: ask again in a moment", fault="busy", retry_after=1.0)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

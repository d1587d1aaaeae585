"""One measured number, as the table and the log show it."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    """As in `ms`, `x` (against a baseline of the same run) or `%`; empty for a plain score."""
    target: float | None = None
    better: Better = "higher"
    n: int
    """How many questions, texts or requests the value is made of."""
    seed: int | None = None
    note: str = ""
    """What was compared with what, an interval, the size of the corpus."""

    @property
    def met(self) -> bool | None:
        """None where there is no target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

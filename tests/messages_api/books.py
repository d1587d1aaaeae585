"""The double's own books: what every request was, what it used, what the caller was told of that, and whether it is paid for."""

import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Literal

from tests.messages_api.prices import Tokens, micro_usd

Outcome = Literal["running", "answered", "error", "broken", "client_gone"]


@dataclass(kw_only=True, slots=True)
class Entry:
    """`broken`: nothing, or a part, or nonsense was sent; `client_gone`: the caller hung up first."""

    request_id: str
    model: str | None = None
    streamed: bool = False
    question: str = ""
    message_id: str | None = None
    status: int | None = None
    fault: str | None = None
    outcome: Outcome = "running"
    stop_reason: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    """What was used, in truth."""
    told: Tokens | None = None
    """What the caller could read of it: all, or what `message_start` said, or nothing."""
    billed: bool = False

    @property
    def micro_usd(self) -> Fraction:
        return self._price(self.tokens)

    @property
    def told_micro_usd(self) -> Fraction:
        return self._price(self.told or Tokens())

    def _price(self, tokens: Tokens) -> Fraction:
        return micro_usd(self.model, tokens) if self.billed and self.model else Fraction(0)


class Books:
    """Requests to `/v1/messages`, in the order in which they came. Counting and the list of models are free and not in here."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._settled = threading.Condition()

    def open(self, entry: Entry) -> Entry:
        with self._settled:
            self._entries.append(entry)
        return entry

    def close(self, entry: Entry, outcome: Outcome) -> None:
        with self._settled:
            if entry.outcome == "running":
                entry.outcome = outcome
            self._settled.notify_all()

    @property
    def entries(self) -> list[Entry]:
        with self._settled:
            return list(self._entries)

    def settled(self, timeout: float = 5.0) -> list[Entry]:
        """The entries, once nothing runs any more: a caller that hung up is noticed a little later."""
        with self._settled:
            done = self._settled.wait_for(lambda: all(entry.outcome != "running" for entry in self._entries), timeout)
            if not done:
                raise TimeoutError(f"requests still run after {timeout} s")
            return list(self._entries)

    def total(self) -> Tokens:
        return sum((entry.tokens for entry in self.entries if entry.billed), Tokens())

    def total_told(self) -> Tokens:
        return sum((entry.told for entry in self.entries if entry.billed and entry.told), Tokens())

    def micro_usd(self) -> Fraction:
        return sum((entry.micro_usd for entry in self.entries), Fraction(0))

    def told_micro_usd(self) -> Fraction:
        """What a ledger without a gap adds up to: the paid requests, as far as their callers were told."""
        return sum((entry.told_micro_usd for entry in self.entries), Fraction(0))

    def untold(self) -> list[Entry]:
        """Paid requests of which the caller cannot know all."""
        return [entry for entry in self.entries if entry.billed and entry.told != entry.tokens]

    def outcomes(self) -> Counter[str]:
        return Counter(entry.outcome for entry in self.entries)

    def as_json(self) -> dict[str, Any]:
        return {
            "entries": [{**asdict(entry), "micro_usd": float(entry.micro_usd)} for entry in self.entries],
            "total": asdict(self.total()),
            "total_told": asdict(self.total_told()),
            "micro_usd": float(self.micro_usd()),
            "told_micro_usd": float(self.told_micro_usd()),
        }

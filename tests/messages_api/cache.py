"""The prompt cache: what a request reads of earlier ones, and what it writes for later ones."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from tests.messages_api.models import Model
from tests.messages_api.prompt import Prompt, Ttl

LOOK_BACK = 20
"""Positions tried from each breakpoint, the breakpoint's own included."""
SECONDS: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    key: str
    ttl: Ttl
    tokens: int
    """Between the boundary before and this one: what is paid for at this lifetime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheUse:
    read_tokens: int
    read_key: str | None
    writes: tuple[Write, ...]

    def written(self, ttl: Ttl) -> int:
        return sum(write.tokens for write in self.writes if write.ttl == ttl)


@dataclass(slots=True)
class _Entry:
    ttl: Ttl
    expires: float


class ManualClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class PrefixCache:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def look_up(self, prompt: Prompt, model: Model) -> CacheUse:
        """Nothing becomes readable by this: `keep` does that once the answer begins."""
        keys = list(accumulate((block.text for block in prompt.blocks), _next_key, initial=model.id))[1:]
        lengths = list(accumulate(block.tokens for block in prompt.blocks))
        marks = [(at, block.breakpoint) for at, block in enumerate(prompt.blocks) if block.breakpoint]
        marks = [(at, ttl) for at, ttl in marks if lengths[at] >= model.minimum_cacheable]
        with self._lock:
            hit = self._longest_hit(keys, [at for at, _ in marks])
        read = lengths[hit] if hit >= 0 else 0
        ahead = [(at, ttl) for at, ttl in marks if at > hit]
        steps = pairwise([read, *(lengths[at] for at, _ in ahead)])
        writes = tuple(Write(key=keys[at], ttl=ttl, tokens=to - since) for (at, ttl), (since, to) in zip(ahead, steps, strict=True))
        return CacheUse(read_tokens=read, read_key=keys[hit] if hit >= 0 else None, writes=writes)

    def keep(self, use: CacheUse) -> None:
        """What was read lives on, free of charge; what was written can be read from now on."""
        now = self._clock()
        with self._lock:
            read = self._entries.get(use.read_key or "")
            if read:
                read.expires = now + SECONDS[read.ttl]
            for write in use.writes:
                self._entries[write.key] = _Entry(write.ttl, now + SECONDS[write.ttl])

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def _longest_hit(self, keys: list[str], marks: list[int]) -> int:
        """The last position, at or before a breakpoint, at which an earlier request had one; -1 where there is none."""
        tried = sorted({at for mark in marks for at in range(max(0, mark - LOOK_BACK + 1), mark + 1)}, reverse=True)
        now = self._clock()
        return next((at for at in tried if keys[at] in self._entries and self._entries[keys[at]].expires > now), -1)


def _next_key(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\0{text}".encode()).hexdigest()

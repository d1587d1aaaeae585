"""A tier that may fail, made fit to depend on: asked again where that helps, left alone where it does not, never by too many at once."""

import time
from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from anyio import sleep

from core.errors import TierCancelled, TierFailed
from core.protocols import Closing, Streaming, Tier, Warming
from core.types import Attempt, Delta, Draft, Evidence, Quoted, Readiness
from generation.attempts import failed_attempts
from generation.breaker import Breaker
from generation.bulkhead import Bulkhead
from generation.retry import Retry


class Frontier(Tier, Streaming, Warming, Closing, Protocol):
    """What is guarded."""


@dataclass(slots=True)
class _Tries:
    """Of one question."""

    failed: list[Attempt] = field(default_factory=list)
    shown: bool = False
    """Somebody saw a piece of the answer, so that there is no other try."""
    began: float = field(default_factory=time.monotonic)

    def note(self, tier: str, error: TierFailed) -> None:
        self.failed += failed_attempts(tier, error, self.began)
        self.began = time.monotonic()


class GuardedTier:
    """The tier behind its retries, circuit breaker and bulkhead; every try that failed is handed on with what it cost."""

    def __init__(
        self, tier: Frontier, *, retry: Retry, breaker: Breaker, bulkhead: Bulkhead, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tier = tier
        self._retry = retry
        self._breaker = breaker
        self._bulkhead = bulkhead
        self._clock = clock

    @property
    def name(self) -> str:
        return self._tier.name

    def readiness(self) -> Readiness:
        """An open breaker does not make it unready: that passes by itself, and is told as a fault of the answer."""
        inner = self._tier.readiness()
        if self._breaker.state == "closed" or not inner.ready:
            return inner
        rests = f"rests for {self._breaker.wait():.0f} s more" if self._breaker.state == "open" else "is tried again by the next question"
        return Readiness(ready=True, reason=f"{inner.reason}; it failed of late and {rests}")

    def warm_up(self) -> None:
        self._tier.warm_up()

    async def close(self) -> None:
        await self._tier.close()

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        draft: Draft | None = None
        async for part in self._ask(question, evidence, deadline, _Tries(), watched=False):
            draft = part if isinstance(part, Draft) else None
        assert draft is not None, "a tier's stream ends with a draft or an error"
        return draft

    async def stream(self, question: str, evidence: Evidence, *, deadline: float) -> AsyncIterator[Delta | Quoted | Draft]:
        async for part in self._ask(question, evidence, deadline, _Tries(), watched=True):
            yield part

    async def _ask(
        self, question: str, evidence: Evidence, deadline: float, tries: _Tries, *, watched: bool
    ) -> AsyncIterator[Delta | Quoted | Draft]:
        with self._bulkhead.place(), _counting(tries):
            while True:
                try:
                    async with aclosing(self._try(question, evidence, deadline)) as parts:
                        async for part in parts:
                            tries.shown = watched
                            yield _with_earlier(part, tries)
                    return
                except TierFailed as error:
                    pause = self._pause(error, tries, deadline)
                    if pause is None:
                        error.earlier = tuple(tries.failed)
                        raise
                    tries.note(self.name, error)
                await sleep(pause)

    async def _try(self, question: str, evidence: Evidence, deadline: float) -> AsyncGenerator[Delta | Quoted | Draft, None]:
        era = self._breaker.admit()
        if era is None:
            wait = self._breaker.wait()
            raise TierFailed(f"it failed of late and is left alone for {wait:.0f} s", fault="circuit_open", retry_after=max(1.0, wait))
        told = False
        try:
            async for part in self._tier.stream(question, evidence, deadline=deadline):
                if isinstance(part, Draft):
                    self._breaker.succeeded(era)
                    told = True
                yield part
        except TierFailed as error:
            self._breaker.failed(era, error.fault)
            told = True
            raise
        finally:
            if not told:
                self._breaker.left(era)

    def _pause(self, error: TierFailed, tries: _Tries, deadline: float) -> float | None:
        if tries.shown or self._breaker.state != "closed":
            return None
        return self._retry.pause(error, tried=len(tries.failed) + 1, left=deadline - self._clock())


@contextmanager
def _counting(tries: _Tries) -> Iterator[None]:
    """Whoever goes away pays for the tries before, too."""
    try:
        yield
    except CancelledError as error:
        told = error if isinstance(error, TierCancelled) else TierCancelled()
        raise TierCancelled(*error.args, model=told.model, spending=told.spending, earlier=tuple(tries.failed)) from error


def _with_earlier(part: Delta | Quoted | Draft, tries: _Tries) -> Delta | Quoted | Draft:
    return replace(part, earlier=tuple(tries.failed)) if isinstance(part, Draft) and tries.failed else part

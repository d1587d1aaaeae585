"""Ask: the main path from a question to an answer."""

import time
import uuid
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from anyio import to_thread

from core.errors import AnswerCancelled, TierFailed
from core.protocols import Retriever, Tier
from core.types import Answer, Attempt, Citation, Draft, Filters, Hit, Mode, Readiness, Retrieved, Scope, Usage
from generation.attempts import attempts_of, cancelled_attempts, failed_attempts
from generation.cascade import READER, Cascade, WhenFailing
from generation.deadline import share_of
from generation.drafting import Hear, Teller
from generation.giving_up import nobody_answered
from generation.inference import inference


@dataclass(slots=True)
class _Route:
    """What was tried so far, and what came of it."""

    attempts: list[Attempt] = field(default_factory=list)
    accepted: Draft | None = None
    last: Draft | None = None
    tier: str | None = None
    cut: bool = False
    """The tier that was being shown failed in the middle."""
    unsure: Draft | None = None
    """What the reader said without being sure enough."""
    retry_after: float | None = None
    """Seconds after which the first of the failed tiers may be asked again."""

    def failed(self, tier: str, error: TierFailed, began: float) -> None:
        self.attempts += failed_attempts(tier, error, began)
        known = [seconds for seconds in (self.retry_after, error.retry_after) if seconds is not None]
        self.retry_after = min(known, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clock:
    began: float
    retrieved: float

    def timings(self) -> dict[str, float]:
        now = time.monotonic()
        return {
            "retrieve": _ms(self.retrieved - self.began),
            "generate": _ms(now - self.retrieved),
            "total": _ms(now - self.began),
        }


class Answerer:
    """Retrieves once, then asks the mode's tiers until a draft is accepted; abstains where none is."""

    def __init__(
        self, *, retriever: Retriever, tiers: Mapping[str, Tier], hybrid_threshold: float, when_failing: WhenFailing = "next"
    ) -> None:
        self._retriever = retriever
        self._cascade = Cascade(tiers, hybrid_threshold=hybrid_threshold, when_failing=when_failing)

    def readiness(self, mode: Mode) -> dict[str, Readiness]:
        return self._cascade.readiness(mode)

    def require_ready(self, mode: Mode) -> None:
        """Raises NoReadyTier with each tier's reason."""
        self._cascade.of(mode)

    async def answer(
        self,
        question: str,
        scope: Scope,
        *,
        mode: Mode,
        top_k: int,
        filters: Filters,
        deadline: float,
        as_of: int | None = None,
        hear: Hear | None = None,
    ) -> Answer:
        """`hear` is told the evidence and the answer's parts as soon as it is certain that they stay.

        Without `as_of` from the newest version, else from that kept one. Raises NoReadyTier, NothingPublished, VersionNotKept,
        EmbedderMismatch, AllTiersFailed, and AnswerCancelled.
        """
        began = time.monotonic()
        tiers = self._cascade.of(mode)
        retrieve = partial(self._retrieve, question, scope, top_k=top_k, filters=filters, as_of=as_of)
        found = await to_thread.run_sync(retrieve, limiter=inference())
        clock = _Clock(began=began, retrieved=time.monotonic())
        teller = Teller(hear)
        teller.retrieved(found)
        route = _Route()
        try:
            await self._ask(route, tiers, question, found, mode, deadline, teller)
        except CancelledError as error:
            raise AnswerCancelled(*error.args, answer=_compose(question, mode, route, found, clock)) from error
        answer = _compose(question, mode, route, found, clock)
        if route.cut or route.last is None:
            raise nobody_answered(answer, cut=route.cut, retry_after=route.retry_after)
        return answer

    def _retrieve(self, question: str, scope: Scope, *, top_k: int, filters: Filters, as_of: int | None) -> Retrieved:
        """The version is read once; everything that follows comes from it."""
        snapshot = self._retriever.published(as_of)
        evidence = self._retriever.retrieve(question, scope, snapshot, top_k=top_k, filters=filters)
        return Retrieved(snapshot=snapshot, evidence=evidence)

    async def _ask(
        self, route: _Route, tiers: list[Tier], question: str, found: Retrieved, mode: Mode, deadline: float, teller: Teller
    ) -> None:
        for place, tier in enumerate(tiers):
            began = time.monotonic()
            final, until = self._cascade.is_final(mode, tier), share_of(deadline, among=len(tiers) - place)
            try:
                draft = await teller.draft(tier, question, found.evidence, deadline=until, final=final)
            except TierFailed as error:
                route.failed(tier.name, error, began)
                route.cut = teller.begun  # what was shown is not replaced by another answer
                if route.cut or self._settle(route, mode, teller):
                    return
                continue
            except CancelledError as error:
                route.attempts += cancelled_attempts(tier.name, error, began)
                raise
            verdict = self._cascade.judge(mode, tier, draft)
            route.attempts += attempts_of(tier.name, verdict, draft, began)
            route.last, route.tier = draft, tier.name
            route.unsure = draft if verdict.outcome == "below_threshold" else route.unsure
            if verdict.outcome == "accepted":
                route.accepted = draft
                teller.accepted(draft)
            if self._cascade.ends(mode, tier, verdict):
                return

    def _settle(self, route: _Route, mode: Mode, teller: Teller) -> bool:
        """Where a tier has failed, whether the reader's answer is given all the same, marked as below its threshold."""
        if route.unsure is None or not self._cascade.settles(mode):
            return False
        route.accepted, route.last, route.tier = route.unsure, route.unsure, READER
        teller.accepted(route.unsure)
        return True


def _compose(question: str, mode: Mode, route: _Route, found: Retrieved, clock: _Clock) -> Answer:
    draft = route.accepted
    shown = route.last
    return Answer(
        id=uuid.uuid4().hex,
        question=question,
        answer=draft.text if draft else None,
        abstained=draft is None,
        citations=draft.citations if draft else tuple(_passage(hit) for hit in found.evidence[:3]),
        mode=mode,
        tier=route.tier,
        model=shown.model if shown else None,
        confidence=shown.confidence if shown else None,
        confidence_source=shown.confidence_source if shown else None,
        route=tuple(route.attempts),
        index_version=found.snapshot.version,
        usage=sum((attempt.spending.usage for attempt in route.attempts), Usage()),
        cost_micro_usd=sum(attempt.cost_micro_usd for attempt in route.attempts),
        timings_ms=clock.timings(),
        below_threshold=draft is not None and draft is route.unsure,
    )


def _passage(hit: Hit) -> Citation:
    return hit.cite(0, len(hit.chunk.text))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)

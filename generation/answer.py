"""Ask: the main path from a question to an answer."""

import time
import uuid
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from anyio import to_thread

from core.errors import AllTiersFailed, AnswerCancelled, TierCancelled, TierFailed
from core.protocols import Retriever, Tier
from core.types import Answer, Attempt, Citation, Draft, Filters, Hit, Mode, Readiness, Retrieved, Scope, Usage
from generation.cascade import Cascade, Verdict
from generation.drafting import Hear, Teller


@dataclass(slots=True)
class _Route:
    """What was tried so far, and what came of it."""

    attempts: list[Attempt] = field(default_factory=list)
    accepted: Draft | None = None
    last: Draft | None = None
    tier: str | None = None
    cut: bool = False
    """The tier that was being shown failed in the middle."""


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

    def __init__(self, *, retriever: Retriever, tiers: Mapping[str, Tier], hybrid_threshold: float) -> None:
        self._retriever = retriever
        self._cascade = Cascade(tiers, hybrid_threshold=hybrid_threshold)

    def readiness(self, mode: Mode) -> dict[str, Readiness]:
        return self._cascade.readiness(mode)

    def require_ready(self, mode: Mode) -> None:
        """Raises NoReadyTier with each tier's reason."""
        self._cascade.of(mode)

    async def answer(
        self, question: str, scope: Scope, *, mode: Mode, top_k: int, filters: Filters, deadline: float, hear: Hear | None = None
    ) -> Answer:
        """`hear` is told the evidence and the answer's parts as soon as it is certain that they stay.

        Raises NoReadyTier, NothingPublished, EmbedderMismatch, AllTiersFailed, and AnswerCancelled.
        """
        began = time.monotonic()
        tiers = self._cascade.of(mode)
        found = await to_thread.run_sync(partial(self._retrieve, question, scope, top_k=top_k, filters=filters))
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
            said = "the answer was cut short" if route.cut else "every tier failed"
            raise AllTiersFailed(f"{said}: " + "; ".join(f"{a.tier}: {a.reason}" for a in route.attempts), answer)
        return answer

    def _retrieve(self, question: str, scope: Scope, *, top_k: int, filters: Filters) -> Retrieved:
        """The version is read once; everything that follows comes from it."""
        snapshot = self._retriever.published()
        evidence = self._retriever.retrieve(question, scope, snapshot, top_k=top_k, filters=filters)
        return Retrieved(snapshot=snapshot, evidence=evidence)

    async def _ask(
        self, route: _Route, tiers: list[Tier], question: str, found: Retrieved, mode: Mode, deadline: float, teller: Teller
    ) -> None:
        for tier in tiers:
            began = time.monotonic()
            final = self._cascade.is_final(mode, tier)
            try:
                draft = await teller.draft(tier, question, found.evidence, deadline=deadline, final=final)
            except TierFailed as error:
                route.attempts.append(_failed(tier, error, began))
                if teller.begun:  # what was shown is not replaced by another tier's answer
                    route.cut = True
                    return
                continue
            except CancelledError as error:
                route.attempts.append(_cancelled(tier, error, began))
                raise
            verdict = self._cascade.judge(mode, tier, draft)
            route.attempts.append(_attempt(tier, verdict, draft, began))
            route.last, route.tier = draft, tier.name
            if verdict.outcome == "accepted":
                route.accepted = draft
                return teller.accepted(draft)


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
    )


def _passage(hit: Hit) -> Citation:
    chunk = hit.chunk
    return Citation(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        source=hit.source,
        title=hit.title,
        heading=chunk.heading,
        quote=chunk.text,
        start=chunk.start,
        end=chunk.end,
    )


def _attempt(tier: Tier, verdict: Verdict, draft: Draft, began: float) -> Attempt:
    return Attempt(
        tier=tier.name,
        outcome=verdict.outcome,
        reason=verdict.reason,
        confidence=draft.confidence,
        latency_ms=_ms(time.monotonic() - began),
        model=draft.model,
        spending=draft.spending,
    )


def _failed(tier: Tier, error: TierFailed, began: float) -> Attempt:
    return Attempt(
        tier=tier.name,
        outcome="failed",
        reason=str(error),
        confidence=None,
        latency_ms=_ms(time.monotonic() - began),
        model=error.model,
        spending=error.spending,
    )


def _cancelled(tier: Tier, error: CancelledError, began: float) -> Attempt:
    told = error if isinstance(error, TierCancelled) else TierCancelled()
    return Attempt(
        tier=tier.name,
        outcome="cancelled",
        reason="cancelled before it had answered",
        confidence=None,
        latency_ms=_ms(time.monotonic() - began),
        model=told.model,
        spending=told.spending,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)

"""Ask: the main path from a question to an answer."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from anyio import to_thread

from core.errors import AllTiersFailed, TierFailed
from core.protocols import Retriever, Tier
from core.types import Answer, Attempt, Citation, Draft, Evidence, Filters, Hit, Mode, Readiness, Scope, Snapshot, Usage
from generation.cascade import Cascade, Verdict


@dataclass(slots=True)
class _Route:
    """What was tried so far, and what came of it."""

    attempts: list[Attempt] = field(default_factory=list)
    accepted: Draft | None = None
    last: Draft | None = None
    tier: str | None = None


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

    async def answer(self, question: str, scope: Scope, *, mode: Mode, top_k: int, filters: Filters, deadline: float) -> Answer:
        """Raises NoReadyTier, NothingPublished, EmbedderMismatch, and AllTiersFailed."""
        began = time.monotonic()
        tiers = self._cascade.of(mode)
        snapshot, evidence = await to_thread.run_sync(partial(self._retrieve, question, scope, top_k=top_k, filters=filters))
        retrieved = time.monotonic()
        route = await self._ask(tiers, question, evidence, mode, deadline)
        timings = {
            "retrieve": _ms(retrieved - began),
            "generate": _ms(time.monotonic() - retrieved),
            "total": _ms(time.monotonic() - began),
        }
        answer = _compose(question, mode, route, evidence, snapshot, timings)
        if route.last is None:
            raise AllTiersFailed("every tier failed: " + "; ".join(f"{a.tier}: {a.reason}" for a in route.attempts), answer)
        return answer

    def _retrieve(self, question: str, scope: Scope, *, top_k: int, filters: Filters) -> tuple[Snapshot, Evidence]:
        """The version is read once; everything that follows comes from it."""
        snapshot = self._retriever.published()
        return snapshot, self._retriever.retrieve(question, scope, snapshot, top_k=top_k, filters=filters)

    async def _ask(self, tiers: list[Tier], question: str, evidence: Evidence, mode: Mode, deadline: float) -> _Route:
        route = _Route()
        for tier in tiers:
            began = time.monotonic()
            try:
                draft = await tier.generate(question, evidence, deadline=deadline)
            except TierFailed as error:
                route.attempts.append(_failed(tier, error, began))
                continue
            verdict = self._cascade.judge(mode, tier, draft)
            route.attempts.append(_attempt(tier, verdict, draft, began))
            route.last, route.tier = draft, tier.name
            if verdict.outcome == "accepted":
                route.accepted = draft
                break
        return route


def _compose(question: str, mode: Mode, route: _Route, evidence: Evidence, snapshot: Snapshot, timings: dict[str, float]) -> Answer:
    draft = route.accepted
    shown = route.last
    return Answer(
        id=uuid.uuid4().hex,
        question=question,
        answer=draft.text if draft else None,
        abstained=draft is None,
        citations=draft.citations if draft else tuple(_passage(hit) for hit in evidence[:3]),
        mode=mode,
        tier=route.tier,
        model=shown.model if shown else None,
        confidence=shown.confidence if shown else None,
        confidence_source=shown.confidence_source if shown else None,
        route=tuple(route.attempts),
        index_version=snapshot.version,
        usage=sum((attempt.spending.usage for attempt in route.attempts), Usage()),
        cost_micro_usd=sum(attempt.cost_micro_usd for attempt in route.attempts),
        timings_ms=timings,
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


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)

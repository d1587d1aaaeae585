"""A tier's draft, shown to whoever listens while it is made where that is safe: what was shown is never taken back."""

from collections.abc import Callable
from typing import TypeAlias

from core.errors import TierFailed
from core.protocols import Streaming, Tier
from core.types import Delta, Draft, Evidence, Quoted, Retrieved

Hear: TypeAlias = Callable[[Retrieved | Delta | Quoted], None]
"""Returns at once, so that a cancellation always arrives in the tier, which knows what it cost."""


class Teller:
    """Passes on what a listener may hear; without a listener, nothing."""

    def __init__(self, hear: Hear | None) -> None:
        self._hear = hear
        self.begun = False
        """Whether a part of an answer was shown."""

    def retrieved(self, found: Retrieved) -> None:
        if self._hear is not None:
            self._hear(found)

    async def draft(self, tier: Tier, question: str, evidence: Evidence, *, deadline: float, final: bool) -> Draft:
        """`final` says that the draft will be taken where it can be proven."""
        if self._hear is None or not final or not isinstance(tier, Streaming):
            return await tier.generate(question, evidence, deadline=deadline)
        draft: Draft | None = None
        async for part in tier.stream(question, evidence, deadline=deadline):
            if isinstance(part, Draft):
                draft = part
            else:
                self._show(part)
        if draft is None:
            raise TierFailed("the tier ended its stream without an answer")
        return draft

    def accepted(self, draft: Draft) -> None:
        """Shows what was held until now."""
        if self.begun or draft.text is None:
            return
        self._show(Delta(text=draft.text))
        for citation in draft.citations:
            self._show(Quoted(citation=citation))

    def _show(self, part: Delta | Quoted) -> None:
        if self._hear is not None:
            self.begun = True
            self._hear(part)

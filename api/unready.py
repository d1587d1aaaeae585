"""The place of a tier that could not be opened, so that everything else works and the reason can be asked for."""

from core.errors import TierFailed
from core.protocols import Tier
from core.types import Draft, Evidence, Readiness


class UnreadyTier(Tier):
    def __init__(self, name: str, reason: str) -> None:
        self._name = name
        self._reason = reason

    @property
    def name(self) -> str:
        return self._name

    def readiness(self) -> Readiness:
        return Readiness(ready=False, reason=self._reason)

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        raise TierFailed(self._reason)

"""The embedder that the settings name, and those that built versions which are still read."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import EmbedderMismatch, UnderstudyError
from core.protocols import Embedder
from core.types import EmbedderName, Snapshot

_RETRY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Refused:
    reason: str
    until: float


class Embedders:
    """Each is opened when it is first needed, and kept. Safe to use from several threads."""

    def __init__(self, configured: Embedder, open_named: Callable[[EmbedderName], Embedder] | None = None) -> None:
        self.configured = configured
        self._open_named = open_named
        self._former: dict[str, Embedder] = {}
        self._refused: dict[str, _Refused] = {}
        self._lock = threading.Lock()

    def of(self, snapshot: Snapshot) -> Embedder:
        """The one that built the version; raises EmbedderMismatch where it cannot be opened any more."""
        if snapshot.embedder == self.configured.fingerprint:
            return self.configured
        with self._lock:
            if snapshot.embedder not in self._former:
                self._former[snapshot.embedder] = self._tried(snapshot)
            return self._former[snapshot.embedder]

    def _tried(self, snapshot: Snapshot) -> Embedder:
        """Trying takes seconds: not at every request."""
        refused = self._refused.get(snapshot.embedder)
        if refused is not None and time.monotonic() < refused.until:
            raise EmbedderMismatch(refused.reason)
        try:
            return self._opened(snapshot)
        except EmbedderMismatch as error:
            self._refused[snapshot.embedder] = _Refused(reason=str(error), until=time.monotonic() + _RETRY_SECONDS)
            raise

    def _opened(self, snapshot: Snapshot) -> Embedder:
        name = snapshot.embedder_name
        if name is None or self._open_named is None:
            raise EmbedderMismatch()
        try:
            found = self._open_named(name)
        except UnderstudyError as error:
            raise _lost(snapshot, name, str(error)) from error
        if found.fingerprint != snapshot.embedder:
            raise _lost(snapshot, name, "the model, its runtime or the processor has changed since")
        return found


def _lost(snapshot: Snapshot, name: EmbedderName, reason: str) -> EmbedderMismatch:
    return EmbedderMismatch(
        f"version {snapshot.version} was built by the embedder {name.model!r} ({name.runtime}), which cannot be opened any more: {reason}."
        " `understudy rebuild` builds it again with the one that the settings name"
    )

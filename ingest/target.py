"""Where a sync writes, and within what limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from core.protocols import Embedder, Index, OnProgress
from core.types import BuiltBy, EmbedderName, Scope, SyncProgress
from ingest.cuts import Chunker, ContentCuts
from ingest.reading import Parser, Reader, cut_by
from ingest.versions import Keeping


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The defaults of `core/settings.py`, as plain values."""

    max_file_bytes: int = 50_000_000
    parse_seconds: float = 60.0
    git_seconds: float = 300.0
    min_chunk_tokens: int = 48
    max_chunk_tokens: int = 200
    keep_versions: int = 10
    keep_days: float = 30.0
    keep_vectors_days: float = 30.0
    longest_request_seconds: float = 60.0

    @property
    def keeping(self) -> Keeping:
        return Keeping(
            versions=self.keep_versions, days=self.keep_days, vectors_days=self.keep_vectors_days,
            longest_request_seconds=self.longest_request_seconds,
        )  # fmt: skip


DEFAULT_LIMITS = Limits()


def ignore_progress(_: SyncProgress) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    engine: Engine
    index: Index
    embedder: Embedder
    scope: Scope
    data_dir: Path
    limits: Limits = DEFAULT_LIMITS
    custom_chunker: Chunker | None = None
    """Instead of our own."""
    everyone: Sequence[Scope] = ()
    """All tenants who share the index: it can be built from nothing for all of them at once alone."""
    embedder_name: EmbedderName | None = None
    """What opens the embedder again; kept with each version, so that it can be read when the settings name another one."""
    on_progress: OnProgress = ignore_progress

    @property
    def built_by(self) -> BuiltBy:
        return BuiltBy(fingerprint=self.embedder.fingerprint, name=self.embedder_name)

    @property
    def chunker(self) -> Chunker:
        limits = self.limits
        return self.custom_chunker or ContentCuts(
            self.embedder.count_tokens,
            window=self.embedder.max_tokens,
            min_tokens=limits.min_chunk_tokens,
            max_tokens=limits.max_chunk_tokens,
        )

    @property
    def cut_by(self) -> str:
        return cut_by(self.chunker, self.embedder.fingerprint)

    def reader(self, parser: Parser) -> Reader:
        return Reader(
            tenant=self.scope.tenant,
            parser=parser,
            chunker=self.chunker,
            embedder=self.embedder.fingerprint,
            max_bytes=self.limits.max_file_bytes,
        )

"""Embeds what no earlier run has embedded, and keeps each batch as soon as it is made."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from core.types import Scope, SyncProgress
from ingest.store import Searchable, batches, keep_embeddings, known_embeddings
from ingest.target import Target


def unknown_texts(target: Target, scope: Scope, searchables: Iterable[Searchable]) -> dict[str, str]:
    """By their hash, the texts without a kept vector; equal ones count once."""
    texts = {row.embedded_hash: row.embedded_text for row in searchables}
    with target.engine.connect() as connection:
        known = known_embeddings(connection, scope, target.embedder.fingerprint, texts)
    return {key: text for key, text in texts.items() if key not in known}


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """What went through the model."""

    texts: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Embedded") -> "Embedded":
        return Embedded(texts=self.texts + other.texts, seconds=self.seconds + other.seconds)


def embed_unknown(target: Target, scope: Scope, searchables: Iterable[Searchable]) -> Embedded:
    texts = unknown_texts(target, scope, searchables)
    fingerprint = target.embedder.fingerprint
    unknown = list(texts)
    done = 0
    started = time.monotonic()
    for keys in batches(unknown):
        vectors = target.embedder.embed_documents([texts[key] for key in keys], _reporter(target, done, len(unknown)))
        with target.engine.begin() as connection:
            keep_embeddings(connection, scope, fingerprint, keys, vectors)
        done += len(keys)
    return Embedded(texts=len(unknown), seconds=time.monotonic() - started)


class _reporter:
    """Counts on from the batches before."""

    def __init__(self, target: Target, before: int, total: int) -> None:
        self._target, self._before, self._total = target, before, total

    def __call__(self, done: int) -> None:
        self._target.on_progress(SyncProgress(step="embedding", chunks=self._before + done, chunks_total=self._total))

"""Embeds what no earlier run has embedded, and keeps each batch as soon as it is made."""

from collections.abc import Iterable

from core.types import Scope, SyncProgress
from ingest.store import Searchable, batches, keep_embeddings, known_embeddings
from ingest.target import Target


def embed_unknown(target: Target, scope: Scope, searchables: Iterable[Searchable]) -> int:
    """How many texts went through the model: equal texts go once, texts with a kept vector never."""
    texts = {row.embedded_hash: row.embedded_text for row in searchables}
    fingerprint = target.embedder.fingerprint
    with target.engine.connect() as connection:
        known = known_embeddings(connection, scope, fingerprint, texts)
    unknown = [key for key in texts if key not in known]
    done = 0
    for keys in batches(unknown):
        vectors = target.embedder.embed_documents([texts[key] for key in keys], _reporter(target, done, len(unknown)))
        with target.engine.begin() as connection:
            keep_embeddings(connection, scope, fingerprint, keys, vectors)
        done += len(keys)
    return len(unknown)


class _reporter:
    """Counts on from the batches before."""

    def __init__(self, target: Target, before: int, total: int) -> None:
        self._target, self._before, self._total = target, before, total

    def __call__(self, done: int) -> None:
        self._target.on_progress(SyncProgress(step="embedding", chunks=self._before + done, chunks_total=self._total))

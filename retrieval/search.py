"""Question -> evidence: one version, two searches, one fused list."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection, Engine

from core.database import one_moment, read_state
from core.errors import Conflict, CorruptIndex, EmbedderMismatch, NothingPublished, UnderstudyError
from core.protocols import Embedder, Index, IndexVersion
from core.types import Candidate, EmbedderName, Evidence, Filters, Hit, Scope, Snapshot
from core.versions import built_by, kept_versions, not_kept
from retrieval.embedders import Embedders
from retrieval.fusion import fuse
from retrieval.texts import ChunkText, read_texts

_KEPT_OPEN = 3
_USUAL_WORDS = (8, 24, 40)
"""Lengths of questions, as an embedder may prepare itself once per length."""


class HybridRetriever:
    """Safe to use from several threads; keeps the last versions open, since opening one costs more than searching it."""

    def __init__(
        self,
        engine: Engine,
        index: Index,
        embedder: Embedder,
        *,
        dense_weight: float,
        candidates: int,
        open_named: Callable[[EmbedderName], Embedder] | None = None,
    ) -> None:
        """`open_named` opens the embedder of a version that another one than `embedder` built."""
        self._engine = engine
        self._index = index
        self._embedders = Embedders(embedder, open_named)
        self._dense_weight = dense_weight
        self._candidates = candidates
        self._open: OrderedDict[int, IndexVersion] = OrderedDict()
        self._lock = threading.Lock()

    def published(self, as_of: int | None = None) -> Snapshot:
        return self._newest() if as_of is None else self._kept(as_of)

    def _newest(self) -> Snapshot:
        with one_moment(self._engine) as connection:  # `forget` may take a version and its record away between two reads
            version = read_state(connection, "published_version")
            if version is None:
                raise NothingPublished()
            newest = _snapshot(connection, int(version))
        if newest is None:
            raise CorruptIndex(f"the published version {version} has no record. {CorruptIndex.__doc__}")
        return newest

    def _kept(self, version: int) -> Snapshot:
        with self._engine.connect() as connection:
            snapshot = _snapshot(connection, version)
            if snapshot is None:
                raise not_kept(connection, version)
        try:
            self._embedders.of(snapshot)
        except EmbedderMismatch as error:
            raise EmbedderMismatch(
                f"version {version} was built by another embedder, which cannot be opened any more, so it cannot be searched; its documents"
                " can still be read, and `understudy rollback` can bring them back"
            ) from error
        return snapshot

    def check(self, snapshot: Snapshot) -> None:
        self._checked(snapshot)

    def warm_up(self) -> None:
        embedder = self._embedders.configured
        with suppress(UnderstudyError):  # the first request is told why
            snapshot = self.published()
            self.check(snapshot)
            embedder = self._embedders.of(snapshot)
        for words in _USUAL_WORDS:
            embedder.embed_query("word " * words)

    def retrieve(self, question: str, scope: Scope, snapshot: Snapshot, *, top_k: int, filters: Filters) -> Evidence:
        version = self._checked(snapshot)
        dense = self._embedders.of(snapshot).embed_query(question)
        candidates = version.search(scope, dense, question, limit=max(self._candidates, top_k), filters=filters)
        fused = dict(list(fuse(candidates, dense_weight=self._dense_weight).items())[:top_k])
        with self._engine.connect() as connection:
            texts = read_texts(connection, scope, snapshot.version, fused)
            is_whole = self._index.stands_apart or _snapshot(connection, snapshot.version) is not None
        if not is_whole or len(texts) < len(fused):  # what a shared index has dropped meanwhile was found by nobody, and is not missed
            raise self._superseded(snapshot) or _lost(snapshot, len(fused) - len(texts))
        by_id = {candidate.chunk_id: candidate for candidate in candidates}
        return tuple(_hit(texts[key], by_id[key], score) for key, score in fused.items())

    def _superseded(self, snapshot: Snapshot) -> UnderstudyError | None:
        """Why a version cannot be read, where newer ones have pushed it out; its place in an answer is not ours to change."""
        with self._engine.connect() as connection:
            if _snapshot(connection, snapshot.version) is not None:
                return None
        return Conflict(f"index version {snapshot.version} was replaced and removed while the question was answered: ask again")

    def _checked(self, snapshot: Snapshot) -> IndexVersion:
        self._embedders.of(snapshot)
        try:
            return self._version(snapshot)
        except CorruptIndex as error:
            raise self._superseded(snapshot) or error from error

    def _version(self, snapshot: Snapshot) -> IndexVersion:
        """A version that falls out of the few kept open is closed when the last request lets go of it, not before."""
        with self._lock:
            opened = self._open.get(snapshot.version)
            if opened is None:
                opened = self._index.open(snapshot.version, embedder=snapshot.embedder)
                self._let_go()
                self._open[snapshot.version] = opened
            self._open.move_to_end(snapshot.version)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
            return opened

    def _let_go(self) -> None:
        """Of versions that are not kept any more: what was forgotten stays on the disk while they are open."""
        with self._engine.connect() as connection:
            kept = set(kept_versions(connection))
        for version in self._open.keys() - kept:
            del self._open[version]

    def close(self) -> None:
        """Only when no request runs any more."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


def _snapshot(connection: Connection, version: int) -> Snapshot | None:
    builder = built_by(connection, version)
    return Snapshot(version=version, embedder=builder.fingerprint, embedder_name=builder.name) if builder else None


def _lost(snapshot: Snapshot, count: int) -> CorruptIndex:
    return CorruptIndex(f"the index version {snapshot.version} has {count} chunks without a text. {CorruptIndex.__doc__}")


def _hit(text: ChunkText, candidate: Candidate, score: float) -> Hit:
    return Hit(
        chunk=text.chunk,
        source=text.source,
        title=text.title,
        score=score,
        dense_score=candidate.dense,
        sparse_score=candidate.sparse,
    )

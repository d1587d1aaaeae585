"""A process that asks all the while, and says when an answer is not wholly of one version."""

import json
import mmap
import os
import random
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.catalog import list_documents
from core.errors import Conflict, NothingPublished, VersionNotKept
from core.schema import chunks, documents
from core.types import Filters, Hit, Snapshot
from core.versions import alive, is_erased, reading
from ingest.target import Target
from retrieval.search import HybridRetriever
from tests.crash.place import SCOPE, Place
from tests.crash.processes import Child
from tests.crash.trees import stamps

QUESTIONS = ("generation of the rules", "the word for travel is travel2", "who asks the office", "the bell rings", "pay1")
EVERYTHING = 400
"""More than there are chunks: such a question must get every chunk of its version, and none besides."""
_PAUSE = 0.015
_COUNTS = struct.Struct("qqqq")


class Mixed(AssertionError):
    """A read that is not of one version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a reader has to tell so far."""

    version: int
    reads: int
    refused: int


class Reader:
    """Started by fork; `trouble` is a file to which all readers add a line for each read that was wrong."""

    def __init__(self, place: Place, trouble: Path, seed: int) -> None:
        self._shared = mmap.mmap(-1, _COUNTS.size)
        self._child = Child(lambda _: _Asking(place, trouble, self._shared, seed).run())

    @property
    def seen(self) -> Seen:
        version, reads, refused, _ = _COUNTS.unpack_from(self._shared)
        return Seen(version=version, reads=reads, refused=refused)

    def is_alive(self) -> bool:
        return self._child.is_alive()

    def kill(self) -> None:
        self._child.kill()
        self._child.end()

    def stop(self) -> dict[str, str]:
        """What each version that it saw was made of."""
        os.kill(self._child.pid, signal.SIGTERM)
        ended = self._child.end()
        assert not ended.error, ended.error
        told: dict[str, str] = ended.told
        return told


@dataclass
class _Asking:
    place: Place
    trouble: Path
    shared: mmap.mmap
    seed: int
    version: int = 0
    reads: int = 0
    refused: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    """By version, as JSON has it."""
    stopped: bool = False

    def run(self) -> dict[str, str]:
        signal.signal(signal.SIGTERM, self._stop)
        target = self.place.open()
        retriever = HybridRetriever(target.engine, target.index, target.embedder, dense_weight=0.5, candidates=100)
        draw = random.Random(self.seed)
        parent = os.getppid()
        while not self.stopped and os.getppid() == parent:
            with self._troubles():
                self._ask(target, retriever, draw)
            self.reads += 1
            _COUNTS.pack_into(self.shared, 0, self.version, self.reads, self.refused, 0)
            time.sleep(_PAUSE)
        return self.digests

    def _stop(self, *_: object) -> None:
        self.stopped = True

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        try:
            yield
        except NothingPublished:
            if self.version:
                self._complain("error", "what was published is gone")
        except (Conflict, VersionNotKept):
            self.refused += 1
        except Mixed as error:
            self._complain("mixed", str(error))
        except Exception as error:
            self._complain("error", f"{type(error).__name__}: {error}")

    def _complain(self, kind: str, what: str) -> None:
        line = json.dumps({"kind": kind, "what": what, "version": self.version, "at": time.time()})
        with self.trouble.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _ask(self, target: Target, retriever: HybridRetriever, draw: random.Random) -> None:
        as_of = int(draw.choice(list(self.digests))) if self.digests and draw.random() < 0.2 else None
        started = time.monotonic()
        snapshot = retriever.published(as_of)
        if as_of is None:
            _require(snapshot.version >= self.version, f"version {snapshot.version} after {self.version}")
        try:
            if draw.random() < 0.1:
                time.sleep(0.1)  # a long request
            held = read_whole(target, retriever, snapshot, draw.choice(QUESTIONS), top_k=draw.choice((5, EVERYTHING)))
        except Conflict as error:
            is_early = time.monotonic() - started < 0.8 * self.place.longest_request_seconds
            if as_of is None and is_early and not _was_erased(target, snapshot):
                raise Mixed(f"the newest version was taken from a request that had just begun: {error}") from error
            raise
        first = self.digests.setdefault(str(snapshot.version), held.digest)
        _require(held.digest == first, f"version {snapshot.version} is not what it was")
        if as_of is None:
            self.version = snapshot.version


def _was_erased(target: Target, snapshot: Snapshot) -> bool:
    """Forgetting waits for no request."""
    with target.engine.connect() as connection:
        return is_erased(connection, snapshot.version)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """The documents and chunks of one version, in SQL."""

    documents: dict[str, Any]
    chunk_ids: set[str]

    @property
    def digest(self) -> str:
        rows = sorted((row.document_id, row.source, row.title, row.text) for row in self.documents.values())
        return sha256(repr((rows, sorted(self.chunk_ids))).encode()).hexdigest()


def read_whole(target: Target, retriever: HybridRetriever, snapshot: Snapshot, question: str, *, top_k: int) -> Held:
    """Raises Mixed where hits, texts, offsets, documents and citations are not all of this one version."""
    hits = retriever.retrieve(question, SCOPE, snapshot, top_k=top_k, filters=Filters())
    held = _read(target, snapshot)
    _check(hits, held, everything=top_k == EVERYTHING)
    return held


def _read(target: Target, snapshot: Snapshot) -> Held:
    listed = list_documents(target.engine, SCOPE, after="", limit=EVERYTHING, as_of=snapshot.version)
    with target.engine.connect() as connection, reading(connection, snapshot.version):
        found = connection.execute(select(documents).where(documents.c.tenant == SCOPE.tenant, alive(documents, snapshot.version))).all()
        held = set(
            connection.execute(select(chunks.c.chunk_id).where(chunks.c.tenant == SCOPE.tenant, alive(chunks, snapshot.version))).scalars()
        )
    rows = {row.document_id: row for row in found}
    _require(len(rows) == len(found), "a document is there twice")
    _require([document.id for document in listed.documents] == sorted(rows), "the list of documents is not that of the version")
    return Held(documents=rows, chunk_ids=held)


def _check(hits: tuple[Hit, ...], held: Held, *, everything: bool) -> None:
    generations = {row.document_id: stamps(row.text) for row in held.documents.values() if row.source.startswith("docs/")}
    _require(len(set().union(*generations.values())) <= 1, f"documents of generations {sorted(map(str, generations.values()))}")
    _require(all(len(stamp) == 1 for stamp in generations.values()), "a document without its stamp")
    for hit in hits:
        _check_hit(hit, held)
    found = [hit.chunk.chunk_id for hit in hits]
    _require(len(found) == len(set(found)), "a chunk was found twice")
    if everything:
        _require(set(found) == held.chunk_ids, f"{len(found)} chunks found, {len(held.chunk_ids)} are in the version")


def _check_hit(hit: Hit, held: Held) -> None:
    row = held.documents.get(hit.chunk.document_id)
    _require(row is not None, f"a hit from {hit.source!r}, which is not in the version")
    assert row is not None
    cited = hit.cite(0, len(hit.chunk.text))
    _require(row.text[cited.start : cited.end] == hit.chunk.text == cited.quote, f"a citation of {hit.source!r} is not in its place")
    _require((cited.source, cited.title) == (row.source, row.title), f"a citation of {row.source!r} names {cited.source!r}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Mixed(what)

"""Whatever happens, in whatever order: after each sync index, SQL and a plain dictionary agree.

Deterministic and short by default; `STATEFUL_EXAMPLES=500 python -m pytest tests/ingest/test_sync_stateful.py` looks further.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from qdrant_client import QdrantClient
from sqlalchemy import Engine, select

from core.database import open_database, sqlite_url
from core.protocols import Index
from core.schema import chunks, documents, embeddings, failures
from core.types import Filters, Scope, SyncReport
from core.versions import kept_versions
from ingest import documents as single
from ingest import survey
from ingest.cuts import normalised
from ingest.rebuild import rebuild
from ingest.rollback import rollback
from ingest.sandbox import Sandbox
from ingest.sync import sync
from ingest.target import Limits, Target
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from retrieval.search import HybridRetriever
from tests.ingest.faults import Fuse, FusedClient, FusedEmbedder, FusedIndex, Killed
from tests.ingest.oracle import LARGEST, PARAGRAPHS, File, Oracle

SCOPE = Scope(tenant="default")
FOLDERS = ("", "team/", "staff/")
PATHS = [f"{folder}{name}" for folder in FOLDERS for name in ("a.txt", "b.txt", "c.json", "d.json")]
NOTES = ("one", "two")
LIMITS = Limits(
    max_file_bytes=LARGEST, min_chunk_tokens=6, max_chunk_tokens=24, keep_versions=3, longest_request_seconds=0, parse_seconds=600
)
SOME = st.lists(st.integers(0, len(PARAGRAPHS) - 1), max_size=4, unique=True).map(tuple)


class SyncMachine(RuleBasedStateMachine):
    """A folder, and what is published of it."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.docs, self.data = self.root / "docs", self.root / "data"
        self.docs.mkdir()
        self.data.mkdir()
        self.oracle = Oracle()
        self.words = 0
        self.fuse = Fuse()
        self.engine: Engine | None = None
        self.version = 0
        self._open()

    def _open_index(self) -> Index:
        return EdgeIndex(self.data / "index")

    def teardown(self) -> None:
        if self.engine is not None:
            self.engine.dispose()
        shutil.rmtree(self.root)

    def _open(self) -> None:
        if self.engine is not None:
            self.engine.dispose()
        self.fuse = Fuse()
        self.engine = open_database(sqlite_url(self.data))
        self.fuse.watch(self.engine)
        self.index = FusedIndex(self._open_index(), self.fuse)
        self.embedder = FusedEmbedder(self.fuse)

    @property
    def target(self) -> Target:
        assert self.engine is not None
        return Target(
            engine=self.engine, index=self.index, embedder=self.embedder, scope=SCOPE, data_dir=self.data, limits=LIMITS,
            on_progress=self.fuse.progress,
        )  # fmt: skip

    # What happens to the folder

    @rule(path=st.sampled_from(PATHS), some=SOME)
    def write(self, path: str, some: tuple[int, ...]) -> None:
        self.words += 1
        self._put(path, File(word=f"word{self.words}", paragraphs=some))

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data(), some=SOME)
    def edit(self, data: st.DataObject, some: tuple[int, ...]) -> None:
        path = self._some_file(data)
        self._put(path, File(word=self.oracle.files[path].word, paragraphs=some))

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data())
    def copy(self, data: st.DataObject) -> None:
        """Another file with the same text."""
        path = self._some_file(data)
        free = [other for other in PATHS if other not in self.oracle.files and other[-4:] == path[-4:]]
        if free and not self.oracle.files[path].is_broken:
            found = self.oracle.files[path]
            self._put(data.draw(st.sampled_from(free)), File(word=found.word, paragraphs=found.paragraphs))

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        path = self._some_file(data)
        free = [other for other in PATHS if other not in self.oracle.files and other[-4:] == path[-4:]]
        if free:
            other = data.draw(st.sampled_from(free))
            (self.docs / other).parent.mkdir(exist_ok=True)
            (self.docs / path).rename(self.docs / other)
            self.oracle.files[other] = self.oracle.files.pop(path)

    @rule()
    def swap_folders(self) -> None:
        aside = self.root / "aside"
        for old, new in ((self.docs / "team", aside), (self.docs / "staff", self.docs / "team"), (aside, self.docs / "staff")):
            if old.exists():
                old.rename(new)
        swapped = {"team": "staff", "staff": "team"}
        moved = {path: "/".join([*(swapped[part] for part in path.split("/")[:-1]), path.split("/")[-1]]) for path in self.oracle.files}
        self.oracle.files = {moved[path]: file for path, file in self.oracle.files.items()}

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        path = self._some_file(data)
        (self.docs / path).unlink()
        del self.oracle.files[path]

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data())
    def break_or_mend(self, data: st.DataObject) -> None:
        path = self._some_file(data)
        found = self.oracle.files[path]
        self._put(path, File(word=found.word, paragraphs=found.paragraphs, is_broken=not found.is_broken))

    @precondition(lambda self: self.oracle.files)
    @rule(data=st.data(), seconds=st.integers(0, 2_000_000_000))
    def touch(self, data: st.DataObject, seconds: int) -> None:
        os.utime(self.docs / self._some_file(data), (seconds, seconds))

    # What publishes

    @rule()
    def sync(self) -> None:
        self._succeed(self._sync)

    @rule()
    def sync_twice(self) -> None:
        self._succeed(self._sync)
        again = self._sync()
        assert (again.version, again.chunks_embedded, again.added, again.changed, again.removed) == (self.version, 0, 0, 0, 0)

    @precondition(lambda self: self.version)
    @rule()
    def rebuild(self) -> None:
        before = self.version
        self._succeed(lambda: rebuild(self.target), self.oracle.published)
        assert self.version > before

    @rule(note=st.sampled_from(NOTES), some=SOME)
    def put(self, note: str, some: tuple[int, ...]) -> None:
        self.words += 1
        text = File(word=f"word{self.words}", paragraphs=some).text(".txt")
        self._succeed(
            lambda: single.put_document(self.target, note, text.encode(), "text/plain"), {**self.oracle.published, f"api/{note}": text}
        )

    @precondition(lambda self: any(source.startswith("api/") for source in self.oracle.published))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(sorted(source for source in self.oracle.published if source.startswith("api/"))))
        wanted = {other: text for other, text in self.oracle.published.items() if other != source}
        self._succeed(lambda: single.delete_document(self.target, source.removeprefix("api/")), wanted)

    @precondition(lambda self: len(self.oracle.history) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(sorted(self.oracle.history)))
        self._succeed(lambda: rollback(self.target, version), self.oracle.history[version])

    # What goes wrong

    @rule(which=st.sampled_from(("embedder_fails", "index_fails")))
    def fail(self, which: str) -> None:
        setattr(self.fuse, which, True)
        self._break_off(RuntimeError, self._sync)
        setattr(self.fuse, which, False)

    @rule(steps=st.integers(1, 40))
    def crash(self, steps: int) -> None:
        self._crash(steps, self._sync)

    @precondition(lambda self: self.version)
    @rule(steps=st.integers(1, 40))
    def crash_in_a_rebuild(self, steps: int) -> None:
        self._crash(steps, lambda: rebuild(self.target), self.oracle.published)

    @rule()
    def restart(self) -> None:
        self._open()
        self._check()

    @precondition(lambda self: self.version)
    @rule()
    def ask(self) -> None:
        """Every word is found in the documents that have it and in no others."""
        assert self.engine is not None
        retriever = HybridRetriever(self.engine, self.index, self.embedder, dense_weight=0.5, candidates=200)
        for number in range(1, self.words + 1):
            word = f"word{number}"
            hits = retriever.retrieve(f"page {word}", SCOPE, retriever.published(), top_k=200, filters=Filters())
            found = {hit.source for hit in hits if word in hit.chunk.text.split()}
            assert found == {source for source, text in self.oracle.published.items() if word in text.split()}
            if found:
                assert word in hits[0].chunk.text.split()
        retriever.close()

    # How it is done

    def _some_file(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.oracle.files)))

    def _put(self, path: str, file: File) -> None:
        place = self.docs / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(file.content(path), encoding="utf-8")
        self.oracle.files[path] = file

    def _sync(self) -> SyncReport:
        return sync(self.target, [self.docs], release=True)

    def _succeed(self, publish: Callable[[], SyncReport], wanted: dict[str, str] | None = None) -> None:
        """Without `wanted` the folder is what must be published."""
        known = self._embedded_hashes()
        self.embedder.texts.clear()
        report = publish()
        self._published(self.oracle.after_sync() if wanted is None else wanted, report.version)
        self._check_embedded(known, report)
        if wanted is None:
            assert {failure.source for failure in report.failed} == self.oracle.broken == self._failures()
        self._check()
        self._check_kept()

    def _published(self, wanted: dict[str, str], version: int) -> None:
        assert (version != self.version) or wanted == self.oracle.published
        self.oracle.published, self.version = wanted, version
        if version:
            self.oracle.history[version] = wanted

    def _crash(self, steps: int, publish: Callable[[], SyncReport], wanted: dict[str, str] | None = None) -> None:
        self.fuse.left = steps
        self._break_off(Killed, publish, wanted)
        self._open()
        self._check()

    def _break_off(self, error: type[BaseException], publish: Callable[[], SyncReport], wanted: dict[str, str] | None = None) -> None:
        """It may come through, where nothing was to be done that could fail; then it must have done its work."""
        wanted = self.oracle.after_sync() if wanted is None else wanted
        try:
            report = publish()
            self._published(wanted, report.version)
        except error:
            published = self._version()
            if published != self.version:
                self._published(wanted, published)
        self.fuse.left = None
        self._check()

    def _version(self) -> int:
        with self.target.engine.connect() as connection:
            return max(kept_versions(connection), default=0)

    def _check(self) -> None:
        """Index, SQL and oracle are the same; chunks are slices of their documents."""
        with self.target.engine.connect() as connection:
            self.oracle.history = {version: self.oracle.history[version] for version in kept_versions(connection)}
            rows = connection.execute(select(documents).where(documents.c.to_version.is_(None))).all()
            pieces = connection.execute(select(chunks).where(chunks.c.to_version.is_(None)).order_by(chunks.c.ordinal)).all()
            vectors = set(connection.execute(select(embeddings.c.embedded_hash)).scalars())
        texts = {row.document_id: row.text for row in rows}
        assert {row.source: row.text for row in rows} == self.oracle.published and len(rows) == len(texts)
        assert all(texts[piece.document_id][piece.start : piece.end] == piece.text for piece in pieces)
        for identity, text in texts.items():
            own = [piece for piece in pieces if piece.document_id == identity]
            assert [piece.ordinal for piece in own] == list(range(len(own)))
            assert "".join("".join(piece.text for piece in own).split()) == "".join(text.split())
        ids = [piece.chunk_id for piece in pieces]
        assert len(ids) == len(set(ids)) and {piece.embedded_hash for piece in pieces} <= vectors
        if self.version:
            opened = self.index.open(self.version, embedder=self.embedder.fingerprint)
            assert opened.chunk_ids(SCOPE) == set(ids)
            opened.close()

    def _check_kept(self) -> None:
        """Every version that is kept still is what it was, and nothing else is left."""
        if (self.data / "index").exists():
            assert {path.name for path in (self.data / "index").iterdir()} - {".lock"} == set(map(str, self.oracle.history))

    def _check_embedded(self, known: set[str], report: SyncReport) -> None:
        hashes = [self._hash_of(text) for text in self.embedder.texts]
        assert len(hashes) == len(set(hashes)) == report.chunks_embedded
        assert not known.intersection(hashes)

    def _hash_of(self, text: str) -> str:
        with self.target.engine.connect() as connection:
            rows = connection.execute(select(chunks.c.heading, chunks.c.text, chunks.c.embedded_hash)).all()
        by_text: dict[str, str] = {normalised(f"{row.heading}\n{row.text}"): row.embedded_hash for row in rows}
        return by_text[normalised(text)]

    def _embedded_hashes(self) -> set[str]:
        with self.target.engine.connect() as connection:
            return set(connection.execute(select(embeddings.c.embedded_hash)).scalars())

    def _failures(self) -> set[str]:
        with self.target.engine.connect() as connection:
            return {f"docs/{path}" for path in connection.execute(select(failures.c.path)).scalars()}


class ServerMachine(SyncMachine):
    """The same over a Qdrant server, as its client plays it in memory; it stays when the process goes."""

    def _open_index(self) -> Index:
        self.client: QdrantClient = getattr(self, "client", None) or QdrantClient(":memory:")
        return ServerIndex(cast(QdrantClient, FusedClient(self.client, self.fuse)), "stateful")


class WarmSandbox(Sandbox):
    """One real child process for all syncs, whose start would be most of their time."""

    shared: "WarmSandbox | None" = None

    def __new__(cls, **_: Any) -> Self:
        cls.shared = cls.shared or super().__new__(cls)
        return cls.shared  # type: ignore[return-value]

    def __init__(self, *, seconds: float) -> None:
        if not hasattr(self, "_child"):
            super().__init__(seconds=seconds)

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def _warm() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (survey, single):
            patch.setattr(module, "Sandbox", WarmSandbox)
        yield
    if WarmSandbox.shared is not None:
        WarmSandbox.shared._stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize(("machine", "examples"), [(SyncMachine, 20), (ServerMachine, 10)])
def test_index_sql_and_oracle_agree_whatever_happens(machine: type[SyncMachine], examples: int) -> None:
    chosen = settings(
        max_examples=int(os.environ.get("STATEFUL_EXAMPLES", examples)), stateful_step_count=30, deadline=None,
        derandomize="STATEFUL_EXAMPLES" not in os.environ, database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(machine, settings=chosen)

"""One step of a documentation's history after another, through our sync, through file hashes and through LlamaIndex's pipeline."""

import difflib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core import Document, MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from pydantic import PrivateAttr
from sqlalchemy import Engine, insert, select

from core.database import open_database, sqlite_url
from core.protocols import Embedder
from core.schema import chunks, documents, sources
from core.types import Chunk, Filters, Matrix, Scope, Vector
from ingest.cuts import Chunker, ContentCuts, make_chunks
from ingest.parse import media_type_of, parse
from ingest.sync import sync
from ingest.target import DEFAULT_LIMITS, Target
from retrieval.index.edge import EdgeIndex
from retrieval.search import HybridRetriever
from tests.bench.histories import Step, Tree

SCOPE = Scope(tenant="bench")
QUESTIONS = ("how to report an incident", "metrics with labels and histograms", "travel")


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Characters of one step."""

    name: str
    exact: bool
    changed: int
    ours: int
    by_file: int
    theirs: int
    seconds: float
    """From the change on disk, through the sync, to the end of a search in the version that it published."""
    fresh: bool
    """Whether a whole index was built beside ours, and not only the chunks."""
    differs: str
    """What of our index is not as a fresh one has it; empty where nothing is."""


class CountingEmbedder:
    """The real one, which also counts. It keeps its vectors: a fresh index beside ours is compared, and not timed."""

    def __init__(self, real: Embedder) -> None:
        self.dimensions, self.fingerprint, self.max_tokens = real.dimensions, real.fingerprint, real.max_tokens
        self.count_tokens, self.embed_query = real.count_tokens, real.embed_query
        self.characters = 0
        self._real = real
        self._kept: dict[str, Vector] = {}

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Matrix:
        self.characters += sum(map(len, texts))
        new = list(dict.fromkeys(text for text in texts if text not in self._kept))
        self._kept |= zip(new, self._real.embed_documents(new, on_batch), strict=True)
        return np.array([self._kept[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)


class CountingModel(MockEmbedding):
    """LlamaIndex's own stand-in for an embedder, which also counts."""

    _characters: int = PrivateAttr(default=0)

    def __init__(self, **fields: Any) -> None:
        super().__init__(embed_dim=4, **fields)

    @property
    def characters(self) -> int:
        return self._characters

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self._characters += sum(map(len, texts))
        return [[1.0, 0.0, 0.0, 0.0] for _ in texts]


class Replay:
    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._folder = folder
        self._tree: Tree = {}
        self._embedder = CountingEmbedder(embedder)
        self._home = Home(folder / "data", folder / "docs", self._embedder)
        self._cutter = Cutter(embedder)
        self._hashed: set[str] = set()
        self._model = CountingModel()
        self._pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(), self._model],
            docstore=SimpleDocumentStore(), docstore_strategy=DocstoreStrategy.UPSERTS, vector_store=SimpleVectorStore(),
        )  # fmt: skip

    def step(self, step: Step, *, fresh: bool) -> Counts:
        before = self._tree, self._embedder.characters, self._model.characters
        self._write(step.tree)
        began = time.perf_counter()
        self._home.sync()
        self._home.search(QUESTIONS[0])
        seconds = time.perf_counter() - began
        ours = self._embedder.characters - before[1]
        differs = "; ".join(self._differences(step.tree, fresh=fresh))
        self._pipeline.run(documents=[Document(text=text, id_=path) for path, text in step.tree.items()])
        return Counts(
            name=step.name, exact=step.exact, changed=changed_characters(before[0], step.tree), ours=ours, by_file=self._by_file(),
            theirs=self._model.characters - before[2], seconds=seconds, fresh=fresh, differs=differs,
        )  # fmt: skip

    def _write(self, tree: Tree) -> None:
        for path in self._tree.keys() - tree.keys():
            (self._folder / "docs" / path).unlink()
        for path, text in tree.items():
            if self._tree.get(path) != text:
                file = self._folder / "docs" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text.encode())
        self._tree = tree

    def _by_file(self) -> int:
        """What whoever hashes whole files would embed, with our chunks; a file that it ever had is free."""
        new = {text: path for path, text in self._tree.items() if text not in self._hashed}
        self._hashed |= new.keys()
        return sum(len(chunk.embedded_text) for text, path in new.items() for chunk in self._cutter.cut(path, text))

    def _differences(self, tree: Tree, *, fresh: bool) -> Iterator[str]:
        rows, ids = self._home.chunks(), self._home.index_ids()
        expected = [(path, *_place(chunk)) for path, text in tree.items() for chunk in self._cutter.cut(path, text)]
        if [row[1:] for row in rows] != sorted(expected):
            yield "other chunks than a fresh cut of every file"
        if ids != {row[0] for row in rows}:
            yield "other ids in the index than in the database"
        if fresh:
            yield from self._differences_from_fresh(rows, ids)

    def _differences_from_fresh(self, rows: list[tuple[Any, ...]], ids: set[str]) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as name:
            beside = Home(Path(name), self._folder / "docs", self._embedder, like=self._home)
            beside.sync()
            if beside.chunks() != rows:
                yield "other chunks than a fresh build"
            if beside.index_ids() != ids:
                yield "other ids in the index than in a fresh one"
            if beside.found() != self._home.found():
                yield "other hits than in a fresh index"


class Home:
    """A data directory with its index, over a folder of documents."""

    def __init__(self, data: Path, docs: Path, embedder: CountingEmbedder, *, like: "Home | None" = None) -> None:
        """`like` gives its sources, so that documents have the same ids."""
        data.mkdir(exist_ok=True)
        self._data, self._docs, self._embedder = data, docs, embedder
        self._engine: Engine = open_database(sqlite_url(data))
        self._index = EdgeIndex(data / "index")
        self._version = 0
        if like is not None:
            with like._engine.connect() as there, self._engine.begin() as here:
                here.execute(insert(sources), [dict(row) for row in there.execute(select(sources)).mappings()])

    def sync(self) -> None:
        target = Target(engine=self._engine, index=self._index, embedder=self._embedder, scope=SCOPE, data_dir=self._data)
        report = sync(target, [self._docs])
        assert not report.failed, report.failed
        self._version = report.version

    def chunks(self) -> list[tuple[Any, ...]]:
        """Id, path, ordinal, heading, text and place of every chunk, sorted by path and place."""
        same = (documents.c.document_id == chunks.c.document_id) & documents.c.to_version.is_(None)
        columns = (chunks.c.chunk_id, documents.c.path, *(chunks.c[name] for name in ("ordinal", "heading", "text", "start", "end")))
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).join(documents, same).where(chunks.c.to_version.is_(None))).all()
        return sorted((tuple(row) for row in rows), key=lambda row: row[1:])

    def index_ids(self) -> set[str]:
        with closing(self._index.open(self._version, embedder=self._embedder.fingerprint)) as opened:
            return opened.chunk_ids(SCOPE)

    def search(self, question: str) -> None:
        """As a server does whose next request comes after a publication: opened, searched, texts read."""
        with closing(HybridRetriever(self._engine, self._index, self._embedder, dense_weight=0.5, candidates=100)) as retriever:
            assert retriever.retrieve(question, SCOPE, retriever.published(), top_k=5, filters=Filters())

    def found(self) -> list[dict[str, tuple[float | None, float | None]]]:
        with closing(self._index.open(self._version, embedder=self._embedder.fingerprint)) as opened:
            hits = [opened.search(SCOPE, self._embedder.embed_query(asked), asked, limit=10**4, filters=Filters()) for asked in QUESTIONS]
        return [{hit.chunk_id: (_rounded(hit.dense), _rounded(hit.sparse)) for hit in found} for found in hits]


class Cutter:
    """Files cut afresh, each text once: the cuts depend on nothing else."""

    def __init__(self, embedder: Embedder) -> None:
        limits = DEFAULT_LIMITS
        self._chunker: Chunker = ContentCuts(
            embedder.count_tokens, window=embedder.max_tokens, min_tokens=limits.min_chunk_tokens, max_tokens=limits.max_chunk_tokens
        )
        self._cut: dict[tuple[str, str], tuple[Chunk, ...]] = {}

    def cut(self, path: str, text: str) -> tuple[Chunk, ...]:
        key = (Path(path).suffix, text)
        if key not in self._cut:
            parsed = parse(text.encode(), media_type_of(path) or "")
            self._cut[key] = make_chunks("", "", parsed.text, self._chunker.cut(parsed))
        return self._cut[key]


def changed_characters(before: Tree, after: Tree) -> int:
    """Of the lines that a line diff of each file adds and removes; a file that only moved has changed nothing."""
    total = 0
    appeared = [text for path, text in after.items() if path not in before]
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old == new or (old is None and new in before.values()) or (new is None and old in appeared):
            continue
        total += line_difference(old or "", new or "")
    return total


def line_difference(old: str, new: str) -> int:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(sum(map(len, before[a:b])) + sum(map(len, after[c:d])) for kind, a, b, c, d in pieces if kind != "equal")


def _place(chunk: Chunk) -> tuple[int, str, str, int, int]:
    return chunk.ordinal, chunk.heading, chunk.text, chunk.start, chunk.end


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 3)

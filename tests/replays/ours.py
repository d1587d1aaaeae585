"""Understudy: the real sync, SQLite and the embedded index."""

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

from core.database import open_database, sqlite_url
from core.types import Filters, Point, Scope
from ingest.rebuild import rebuild
from ingest.sync import sync
from ingest.target import Limits, Target
from retrieval.index.edge import EdgeIndex, EdgeVersion
from retrieval.search import HybridRetriever
from tests.replays.system import System

SCOPE = Scope(tenant="default")


class Ours(System):
    name = "Understudy"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._data = root / "data"
        self._data.mkdir()
        self._target = Target(
            engine=open_database(sqlite_url(self._data)),
            index=_Index(self, self._data / "index"),
            embedder=self.embedder,
            scope=SCOPE,
            data_dir=self._data,
            limits=Limits(min_chunk_tokens=8, max_chunk_tokens=30),
        )

    def sync(self) -> None:
        folders = [folder for folder in (self.root / "one", self.root / "two") if folder.exists()]
        sync(self._target, folders)

    def sync_without(self, folder: str) -> None:
        (self.root / folder).rename(self.root / "away")
        self.sync()
        (self.root / "away").rename(self.root / folder)

    def found(self, word: str) -> list[str]:
        retriever = HybridRetriever(self._target.engine, self._target.index, self.embedder, dense_weight=0.5, candidates=5000)
        hits = retriever.retrieve(word, SCOPE, retriever.published(), top_k=5000, filters=Filters())
        retriever.close()
        return sorted(hit.source for hit in hits if word in hit.chunk.text)

    def lose_store(self) -> None:
        for version in (self._data / "index").iterdir():
            if version.is_dir():
                version.rename(self.root / f"lost-{version.name}")

    def repair(self) -> None:
        rebuild(self._target)

    def close(self) -> None:
        self._target.engine.dispose()


class _Index(EdgeIndex):
    def __init__(self, system: System, directory: Path) -> None:
        super().__init__(directory)
        self._system = system

    def build(
        self,
        scope: Scope,
        version: int,
        *,
        base: int | None,
        embedder: str,
        dimensions: int,
        added: Iterable[Point],
        removed: Collection[str],
    ) -> EdgeVersion:
        points = islice(added, 0, None, 2) if self._system.store_drops else added
        return super().build(scope, version, base=base, embedder=embedder, dimensions=dimensions, added=points, removed=removed)

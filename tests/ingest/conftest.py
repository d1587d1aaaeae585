"""A small house to sync: a folder of documents, a database, an index and an embedder."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import pytest
from qdrant_client import QdrantClient
from sqlalchemy import Engine, select

from core.database import open_database, sqlite_url
from core.errors import StorageFull
from core.protocols import Index
from core.schema import chunks, documents
from core.types import Document, EmbedderName, Matrix, Scope, SyncReport
from ingest.sync import sync
from ingest.target import Limits, Target
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from tests.doubles import MemoryIndex, WordEmbedder


class CountingEmbedder(WordEmbedder):
    """Remembers what it embedded, and fails when it is told to."""

    def __init__(self, fingerprint: str = "words-1") -> None:
        super().__init__(fingerprint)
        self.texts: list[str] = []
        self.fails_after: int | None = None

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Matrix:
        if self.fails_after is not None and len(self.texts) >= self.fails_after:
            raise RuntimeError("the embedder broke")
        self.texts += texts
        return super().embed_documents(texts, on_batch)


@dataclass
class House:
    root: Path
    engine: Engine
    index: Index = field(default_factory=MemoryIndex)
    embedder: CountingEmbedder = field(default_factory=CountingEmbedder)
    scope: Scope = field(default_factory=lambda: Scope(tenant="default"))
    limits: Limits = field(default_factory=lambda: Limits(min_chunk_tokens=8, max_chunk_tokens=30))
    named: EmbedderName | None = None

    @property
    def docs(self) -> Path:
        return self.root / "docs"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def target(self) -> Target:
        return Target(
            engine=self.engine,
            index=self.index,
            embedder=self.embedder,
            scope=self.scope,
            data_dir=self.data_dir,
            limits=self.limits,
            embedder_name=self.named,
        )

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.docs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def sync(self, *places: str | Path, only: Collection[str] | None = None, release: bool = False) -> SyncReport:
        """The folder is a source from the first sync on."""
        self.embedder.texts.clear()
        return sync(self.target, places or (self.docs,), only=only, release=release)

    def documents(self) -> dict[str, Document]:
        """The published documents by source."""
        names = Document.__dataclass_fields__
        query = select(*(documents.c[name] for name in names)).where(
            documents.c.tenant == self.scope.tenant, documents.c.to_version.is_(None)
        )
        with self.engine.connect() as connection:
            return {row.source: Document(**row._mapping) for row in connection.execute(query)}

    def chunk_ids(self) -> set[str]:
        """Of the published version, in SQL and in the index, which must agree."""
        query = select(chunks.c.chunk_id).where(chunks.c.tenant == self.scope.tenant, chunks.c.to_version.is_(None))
        with self.engine.connect() as connection:
            in_sql = list(connection.execute(query).scalars())
        in_index = self.index.open(self.version, embedder=self.embedder.fingerprint).chunk_ids(self.scope)
        assert len(in_sql) == len(set(in_sql)) and set(in_sql) == in_index
        return in_index

    def chunk_ids_of(self, source: str) -> list[str]:
        identity = self.documents()[source].document_id
        query = select(chunks.c.chunk_id).where(chunks.c.tenant == self.scope.tenant, chunks.c.to_version.is_(None))
        with self.engine.connect() as connection:
            return list(connection.execute(query.where(chunks.c.document_id == identity)).scalars())

    @property
    def version(self) -> int:
        from ingest.versions import read_published

        with self.engine.connect() as connection:
            return read_published(connection).version or 0

    def tenant(self, name: str) -> "House":
        """The same house for another tenant, with a folder of its own."""
        return replace(self, root=self.root / name, scope=Scope(tenant=name))


class FullDisk(MemoryIndex):
    """Has no room for another version."""

    def build(self, *arguments: object, **named: object) -> NoReturn:
        raise StorageFull()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "data").mkdir()
    (tmp_path / "docs").mkdir()
    engine = open_database(sqlite_url(tmp_path / "data"))
    yield House(root=tmp_path, engine=engine)
    engine.dispose()


@pytest.fixture(params=["memory", "edge", "server"])
def indexed(request: pytest.FixtureRequest, house: House) -> House:
    """The house on every kind of index."""
    made: dict[str, Callable[[], Index]] = {
        "memory": MemoryIndex,
        "edge": lambda: EdgeIndex(house.data_dir / "index"),
        "server": lambda: ServerIndex(QdrantClient(":memory:"), "test"),
    }
    house.index = made[request.param]()
    return house

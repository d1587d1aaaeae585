"""LlamaIndex: its directory reader, ingestion pipeline, document store and cache, over Qdrant's local mode."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core import SimpleDirectoryReader
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery, VectorStoreQueryResult
from pydantic import PrivateAttr
from qdrant_client import QdrantClient, models

from tests.replays.system import SwitchedEmbedder, System

_COLLECTION = "replays"
_ALL = 10_000


class LlamaIndex(System):
    name = "LlamaIndex 0.14.25"

    def __init__(self, root: Path, *, strategy: str, bare: bool) -> None:
        """`bare` documents come without the metadata that its directory reader gives them."""
        super().__init__(root)
        self._bare = bare
        self._store = _Store(self)
        self._pipeline = IngestionPipeline(
            transformations=[SentenceSplitter(chunk_size=128, chunk_overlap=0), _Embedding(self.embedder)],
            docstore=SimpleDocumentStore(), docstore_strategy=DocstoreStrategy(strategy), vector_store=self._store,
        )  # fmt: skip

    def sync(self) -> None:
        self._run([folder for folder in (self.root / "one", self.root / "two") if any(folder.iterdir())])

    def sync_without(self, folder: str) -> None:
        self._run([self.root / other for other in ("one", "two") if other != folder])

    def _run(self, folders: Sequence[Path]) -> None:
        documents: list[Document] = []
        for folder in folders:
            found = SimpleDirectoryReader(str(folder), filename_as_id=True).load_data()
            documents += [Document(id_=each.id_, text=each.text) for each in found] if self._bare else found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._pipeline.run(documents=documents)

    def found(self, word: str) -> list[str]:
        return sorted(Path(source).relative_to(self.root).as_posix() for source, text in self._store.held() if word in text)

    def lose_store(self) -> None:
        self._store.clear()

    def repair(self) -> None:
        """A new document store, which reads and embeds everything again."""
        self._pipeline.docstore = SimpleDocumentStore()
        self.sync()

    def close(self) -> None:
        self._store.client.close()


class _Embedding(BaseEmbedding):
    _embedder: SwitchedEmbedder = PrivateAttr()

    def __init__(self, embedder: SwitchedEmbedder) -> None:
        super().__init__(embed_batch_size=10)
        self._embedder = embedder

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.embed_documents(texts).tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class _Store(BasePydanticVectorStore):
    stores_text: bool = True
    flat_metadata: bool = False
    _client: QdrantClient = PrivateAttr()
    _system: System = PrivateAttr()

    def __init__(self, system: System) -> None:
        super().__init__(stores_text=True)
        self._client = QdrantClient(":memory:")
        self._system = system
        self._create()

    @property
    def client(self) -> QdrantClient:
        return self._client

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """The ids that were taken."""
        taken = list(nodes)[::2] if self._system.store_drops else list(nodes)
        points = [
            models.PointStruct(id=node.node_id, vector=node.get_embedding(), payload={"ref": node.ref_doc_id, "text": node.get_content()})
            for node in taken
        ]
        if points:
            self._client.upsert(_COLLECTION, points)
        return [node.node_id for node in taken]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        same = models.Filter(must=[models.FieldCondition(key="ref", match=models.MatchValue(value=ref_doc_id))])
        self._client.delete(_COLLECTION, points_selector=models.FilterSelector(filter=same))

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        return VectorStoreQueryResult()

    def held(self) -> list[tuple[str, str]]:
        records, _ = self._client.scroll(_COLLECTION, limit=_ALL)
        return [(record.payload["ref"], record.payload["text"]) for record in records if record.payload]

    def clear(self) -> None:
        self._client.delete_collection(_COLLECTION)
        self._create()

    def _create(self) -> None:
        vectors = models.VectorParams(size=SwitchedEmbedder.dimensions, distance=models.Distance.COSINE)
        self._client.create_collection(_COLLECTION, vectors_config=vectors)

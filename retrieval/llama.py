"""Our evidence as LlamaIndex nodes, for programs that are built with LlamaIndex."""

import asyncio

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from core.protocols import Retriever
from core.types import Filters, Hit, Scope


class UnderstudyRetriever(BaseRetriever):
    """Each query reads the version that is published at that moment, and sees one tenant alone."""

    def __init__(self, retriever: Retriever, scope: Scope, *, top_k: int = 5, filters: Filters | None = None) -> None:
        super().__init__()
        self._retriever = retriever
        self._scope = scope
        self._top_k = top_k
        self._filters = filters or Filters()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        snapshot = self._retriever.published()
        evidence = self._retriever.retrieve(query_bundle.query_str, self._scope, snapshot, top_k=self._top_k, filters=self._filters)
        return [_to_node(hit, snapshot.version) for hit in evidence]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _to_node(hit: Hit, version: int) -> NodeWithScore:
    chunk = hit.chunk
    metadata = {
        "document_id": chunk.document_id,
        "source": hit.source,
        "title": hit.title,
        "heading": chunk.heading,
        "dense_score": hit.dense_score,
        "sparse_score": hit.sparse_score,
        "index_version": version,
    }
    node = TextNode(
        id_=chunk.chunk_id,
        text=chunk.text,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        metadata=metadata,
        excluded_embed_metadata_keys=list(metadata),
        excluded_llm_metadata_keys=["document_id", "dense_score", "sparse_score", "index_version"],
    )
    return NodeWithScore(node=node, score=hit.score)

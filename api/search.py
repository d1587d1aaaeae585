"""A search as HTTP and the command line show it."""

from api.schemas import HitBody, SearchReply
from core.protocols import Retriever
from core.types import Filters, Hit, Retrieved, Scope


def search(retriever: Retriever, question: str, scope: Scope, top_k: int, filters: Filters, as_of: int | None) -> SearchReply:
    snapshot = retriever.published(as_of)
    hits = retriever.retrieve(question, scope, snapshot, top_k=top_k, filters=filters)
    return show_found(Retrieved(snapshot=snapshot, evidence=hits))


def show_found(found: Retrieved) -> SearchReply:
    return SearchReply(hits=[_to_body(hit) for hit in found.evidence], index_version=found.snapshot.version)


def _to_body(hit: Hit) -> HitBody:
    chunk = hit.chunk
    return HitBody(
        chunk_id=chunk.chunk_id, document_id=chunk.document_id, source=hit.source, title=hit.title, heading=chunk.heading, text=chunk.text,
        start=chunk.start, end=chunk.end, score=hit.score, dense_score=hit.dense_score, sparse_score=hit.sparse_score,
    )  # fmt: skip

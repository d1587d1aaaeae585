"""What differs between two kept versions, as HTTP and the command line show it: numbers first, then a page of documents."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from pydantic import Field
from sqlalchemy import Connection, Engine

from api.auth import local_scope
from api.examples import DIFF, shown
from api.schemas import Reply
from api.stack import open_engine
from core.errors import InvalidInput
from core.settings import read_settings
from core.types import Scope
from core.versions import reading
from ingest.differences import ChunkChange, Compared, Difference, DocumentChange, differences
from ingest.history import chunk_texts_at

Shown: TypeAlias = Literal["numbers", "headings", "text"]
LISTED_CHUNKS = 20


class DocumentCounts(Reply):
    added: int
    removed: int
    changed: int
    renamed: int


class ChunkCounts(Reply):
    added: int
    removed: int
    kept: int = Field(description="Those that read the same in both versions, wherever they stand.")


class ChunkDifference(Reply):
    change: ChunkChange
    heading: str
    start: int = Field(description="Characters of the document, of version `to` unless the chunk was removed.")
    end: int
    text: str | None = Field(description="Only with `show=text`.")


class NamedDocument(Reply):
    id: str
    source: str


class DocumentDifference(Reply):
    change: DocumentChange
    id: str
    source: str
    title: str
    was: NamedDocument | None = Field(description="Of a renamed one: the document that had the same content.")
    chunks: ChunkCounts
    listed: list[ChunkDifference] = Field(description="The removed chunks first, then the added, then the kept; empty with `show=numbers`.")
    left_out: int = Field(description="Chunks that are not listed.")


class DiffReply(Reply):
    model_config = shown(DIFF)

    from_version: int
    to_version: int
    documents: DocumentCounts
    chunks: ChunkCounts = Field(description="Of the documents that differ.")
    changes: list[DocumentDifference] = Field(description="A page, in the order of the sources.")
    total: int
    next: int | None = Field(description="Send it as `offset` for the next page; null on the last.")


def read_diff(
    engine: Engine, scope: Scope, one: int, other: int, *, show: Shown, chunks: int = LISTED_CHUNKS, offset: int = 0, limit: int = 50
) -> DiffReply:
    """From version `one` to `other`, in either direction of time; raises VersionNotKept."""
    with engine.connect() as connection, reading(connection, one, other):
        found = differences(connection, scope, one, other)
        page = found[offset : offset + limit]
        listed = [each.chunks[:chunks] if show != "numbers" else () for each in page]
        texts = _texts(connection, scope, one, other, listed) if show == "text" else {}
    changes = [_to_body(each, few, texts) for each, few in zip(page, listed, strict=True)]
    return DiffReply(
        from_version=one, to_version=other, documents=_count_documents(found), chunks=_count_chunks(found), changes=changes,
        total=len(found), next=offset + limit if len(found) > offset + limit else None,
    )  # fmt: skip


def between(one: int, other: int, *, show: str, chunks: int, offset: int, limit: int, tenant: str) -> DiffReply:
    """What `understudy diff` shows."""
    wanted = next((known for known in get_args(Shown) if known == show), None)
    if wanted is None:
        raise InvalidInput(f"cannot show {show!r}: use {', '.join(get_args(Shown))}")
    engine = open_engine(read_settings())
    return read_diff(engine, local_scope(tenant), one, other, show=wanted, chunks=chunks, offset=offset, limit=limit)


def _texts(connection: Connection, scope: Scope, one: int, other: int, listed: Iterable[Sequence[Compared]]) -> dict[tuple[str, bool], str]:
    """By chunk id, and whether it is the removed one: the same chunk may have stood there in other words for white space."""
    wanted = [(each.chunk.chunk_id, each.change == "removed") for few in listed for each in few]
    old = chunk_texts_at(connection, scope, one, [chunk_id for chunk_id, removed in wanted if removed])
    new = chunk_texts_at(connection, scope, other, [chunk_id for chunk_id, removed in wanted if not removed])
    return {(chunk_id, removed): (old if removed else new)[chunk_id] for chunk_id, removed in wanted}


def _to_body(found: Difference, listed: Sequence[Compared], texts: Mapping[tuple[str, bool], str]) -> DocumentDifference:
    document, before = found.shown, found.before
    return DocumentDifference(
        change=found.change, id=document.document_id, source=document.source, title=document.title,
        was=NamedDocument(id=before.document_id, source=before.source) if before and found.change == "renamed" else None,
        chunks=_count_chunks([found]), listed=[_to_chunk(each, texts) for each in listed], left_out=len(found.chunks) - len(listed),
    )  # fmt: skip


def _to_chunk(each: Compared, texts: Mapping[tuple[str, bool], str]) -> ChunkDifference:
    chunk = each.chunk
    text = texts.get((chunk.chunk_id, each.change == "removed"))
    return ChunkDifference(change=each.change, heading=chunk.heading, start=chunk.start, end=chunk.end, text=text)


def _count_documents(found: Sequence[Difference]) -> DocumentCounts:
    counts = Counter(each.change for each in found)
    return DocumentCounts(**{name: counts[name] for name in get_args(DocumentChange)})


def _count_chunks(found: Sequence[Difference]) -> ChunkCounts:
    return ChunkCounts(**{name: sum(each.count(name) for each in found) for name in get_args(ChunkChange)})

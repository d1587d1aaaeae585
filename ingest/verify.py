"""Compares SQL and index, row by row and point by point; changes nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, Row, select

from core.errors import CorruptIndex, NothingPublished
from core.schema import chunks, documents
from core.types import Chunk, Finding, Flaw, Point, VerifiedVersion, VerifyReport
from core.versions import alive, built_by, kept_versions, reading
from ingest.cuts import embedded_hash, make_chunks
from ingest.history import orphans
from ingest.parsed import parsed_again
from ingest.store import read_vectors
from ingest.target import Target
from ingest.versions import read_published

_LISTED = 100
_DOCUMENTS = 50
"""In memory at a time."""


@dataclass(slots=True)
class _Findings:
    published: bool
    counts: Counter[Flaw] = field(default_factory=Counter)
    listed: list[Finding] = field(default_factory=list)
    unembedded: set[str] = field(default_factory=set)
    documents: int = 0
    chunks: int = 0

    def note(self, flaw: Flaw, detail: str, chunk_id: str | None = None) -> None:
        self.counts[flaw] += 1
        if len(self.listed) < _LISTED:
            self.listed.append(Finding(flaw=flaw, detail=detail, chunk_id=chunk_id))


_DETAILS = {
    "missing": "is in the database and not in the index",
    "extra": "is in the index and not in the database, or twice",
    "payload": "has another document, source or media type in the index",
    "vector": "has another vector in the index than the kept one",
    "words": "has other BM25 weights in the index than its text",
}


def verify(target: Target, *, everything: bool = False) -> VerifyReport:
    """Of the published version, or of every kept one; the tenant's own content. Raises NothingPublished."""
    started = time.monotonic()
    with target.engine.connect() as connection:
        published = read_published(connection).version
        versions = kept_versions(connection) if everything else [published]
    if published is None:
        raise NothingPublished()
    checked = tuple(_verified(target, version, published) for version in versions if version is not None)
    return VerifyReport(
        version=published, well=not any(each.flaws for each in checked), versions=checked, seconds=round(time.monotonic() - started, 3)
    )


def _verified(target: Target, version: int, published: int) -> VerifiedVersion:
    findings = _Findings(published=version == published)
    with target.engine.connect() as connection, reading(connection, version):
        for chunk_id in orphans(connection, target.scope, version):
            findings.note("orphan", f"chunk {chunk_id} belongs to no document of the version", chunk_id)
        _compare(connection, target, version, findings)
    return VerifiedVersion(
        version=version, published=findings.published, documents=findings.documents, chunks=findings.chunks,
        flaws=dict(findings.counts), findings=tuple(findings.listed),
    )  # fmt: skip


def _compare(connection: Connection, target: Target, version: int, findings: _Findings) -> None:
    builder = built_by(connection, version)
    assert builder is not None  # what is kept has its record
    expected = _expected(connection, target, version, builder.fingerprint, findings)
    try:
        opened = target.index.open(version, embedder=builder.fingerprint, whole=True)
    except CorruptIndex as error:
        findings.note("damaged", str(error))
        for _ in expected:  # the rows are looked at all the same
            pass
        return
    with closing(opened):
        for found in opened.compare(target.scope, expected):
            if found.kind != "vector" or found.chunk_id not in findings.unembedded:
                findings.note(found.kind, f"chunk {found.chunk_id} {_DETAILS[found.kind]}", found.chunk_id)


def _expected(connection: Connection, target: Target, version: int, embedder: str, findings: _Findings) -> Iterator[Point]:
    """What the index should hold, noting on the way what is wrong with the rows."""
    own = (documents.c.tenant == target.scope.tenant) & alive(documents, version)
    columns = [documents.c[name] for name in ("document_id", "source", "media_type", "text", "content_hash", "outline", "cut_by")]
    last = ""
    while batch := connection.execute(
        select(*columns).where(own, documents.c.document_id > last).order_by(documents.c.document_id).limit(_DOCUMENTS)
    ).all():
        last = batch[-1].document_id
        findings.documents += len(batch)
        yield from _points(connection, target, version, embedder, {row.document_id: row for row in batch}, findings)


def _points(
    connection: Connection, target: Target, version: int, embedder: str, of: dict[str, Row[*tuple[str, ...]]], findings: _Findings
) -> Iterator[Point]:
    names = (*Chunk.__dataclass_fields__, "embedded_hash")
    own = (chunks.c.tenant == target.scope.tenant) & alive(chunks, version) & chunks.c.document_id.in_(of)
    rows = connection.execute(select(*(chunks.c[name] for name in names)).where(own)).all()
    vectors = read_vectors(connection, target.scope, embedder, {row.embedded_hash for row in rows})
    for document in of.values():
        _check_document(target, document, {row.chunk_id for row in rows}, findings)
    for row in rows:
        document = of[row.document_id]
        chunk = Chunk(**{name: row._mapping[name] for name in Chunk.__dataclass_fields__})
        findings.chunks += 1
        _check_row(chunk, row.embedded_hash, document, findings)
        if row.embedded_hash not in vectors:
            findings.unembedded.add(chunk.chunk_id)
            findings.note("unembedded", f"the vector of chunk {chunk.chunk_id} of {document.source!r} is not kept", chunk.chunk_id)
        yield Point(
            chunk_id=chunk.chunk_id, document_id=chunk.document_id, source=document.source, media_type=document.media_type,
            dense=vectors.get(row.embedded_hash, np.zeros(1, dtype=np.float32)), embedded_text=chunk.embedded_text,
        )  # fmt: skip


def _check_document(target: Target, document: Row[*tuple[str, ...]], chunk_ids: set[str], findings: _Findings) -> None:
    """Its text; and that every chunk of it is there, where this chunker has cut what is published."""
    if document.outline is None:
        return
    parsed = parsed_again(document.text, document.outline, document.media_type, document.content_hash)
    if parsed is None:
        findings.note("text", f"{document.source!r} has another text than the one that was read")
    elif findings.published and document.cut_by == target.cut_by:
        for chunk in make_chunks(target.scope.tenant, document.document_id, document.text, target.chunker.cut(parsed)):
            if chunk.chunk_id not in chunk_ids:
                findings.note("lost", f"chunk {chunk.chunk_id} of {document.source!r} is not in the database", chunk.chunk_id)


def _check_row(chunk: Chunk, kept_hash: str, document: Row[*tuple[str, ...]], findings: _Findings) -> None:
    if document.text[chunk.start : chunk.end] != chunk.text:
        place = f"characters {chunk.start} to {chunk.end} of {document.source!r}"
        findings.note("text", f"chunk {chunk.chunk_id} does not read as {place}", chunk.chunk_id)
    if embedded_hash(chunk) != kept_hash:
        findings.note("hash", f"chunk {chunk.chunk_id} of {document.source!r} has the hash of another text", chunk.chunk_id)

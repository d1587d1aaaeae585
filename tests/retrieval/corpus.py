"""A small published corpus in a real database, for the tests of this package."""

import hashlib
import time

from sqlalchemy import Connection, Engine

from core.database import write_state
from core.protocols import Embedder, Index
from core.schema import chunks, documents, index_versions
from core.types import Chunk, Point, Scope

ACME, RIVAL = Scope(tenant="acme"), Scope(tenant="rival")
TEXTS = {
    "people/leave.md": "Everyone has 28 days of leave in a year. Leave is asked for in the portal.",
    "people/travel.md": "Trains are booked by the travel desk. Flights under four hours are economy.",
    "it/laptops.md": "A laptop is replaced every three years. Lost laptops are reported within a day.",
    "it/passwords.md": "Passwords have sixteen characters and are kept in the vault.",
}


def publish(
    engine: Engine, index: Index, embedder: Embedder, scope: Scope, version: int, texts: dict[str, str], *, base: int | None
) -> None:
    """As a sync does it: what differs from the base is closed and added, and the version is named last."""
    made = [make_chunk(scope, source, text) for source, text in texts.items()]
    vectors = embedder.embed_documents([chunk.embedded_text for chunk in made])
    points = [
        Point(
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            source=source,
            media_type="text/markdown",
            dense=vector,
            embedded_text=chunk.embedded_text,
        )
        for chunk, source, vector in zip(made, texts, vectors, strict=True)
    ]
    removed = [] if base is None else sorted(index.open(base, embedder=embedder.fingerprint).chunk_ids(scope))
    index.build(scope, version, base=base, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=points, removed=removed)
    with engine.begin() as connection:
        _write_rows(connection, scope, version, made, list(texts))
        row = {"tenant": scope.tenant, "embedder": embedder.fingerprint, "documents": len(texts), "chunks": len(texts), "report": {}}
        connection.execute(index_versions.insert().values(version=version, published_at=time.time(), **row))
        write_state(connection, "published_version", str(version))


def make_chunk(scope: Scope, source: str, text: str) -> Chunk:
    document_id = hashlib.md5(f"{scope.tenant} {source}".encode()).hexdigest()
    chunk_id = hashlib.md5(f"{document_id} {text}".encode()).hexdigest()
    return Chunk(chunk_id=chunk_id, document_id=document_id, ordinal=0, heading="Handbook", text=text, start=0, end=len(text))


def _write_rows(connection: Connection, scope: Scope, version: int, made: list[Chunk], sources: list[str]) -> None:
    for table in (chunks, documents):
        old = (table.c.tenant == scope.tenant) & table.c.to_version.is_(None)
        connection.execute(table.update().where(old).values(to_version=version))
    life = {"tenant": scope.tenant, "from_version": version}
    for chunk, source in zip(made, sources, strict=True):
        row = {name: getattr(chunk, name) for name in ("chunk_id", "document_id", "ordinal", "heading", "text", "start", "end")}
        connection.execute(chunks.insert().values(**row, **life, embedded_hash=chunk.chunk_id))
        document = {"document_id": chunk.document_id, "path": source, "source": source, "title": source.upper(), "text": chunk.text}
        connection.execute(documents.insert().values(**document, **life, source_id="s", media_type="text/markdown", content_hash="h"))

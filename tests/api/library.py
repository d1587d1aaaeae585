"""Puts a published version into a database, as a sync leaves it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from core.database import write_state
from core.schema import chunks, documents, index_versions, sources

SOURCE = {"source_id": "s" * 32, "kind": "folder", "location": "/srv/handbook", "name": "handbook", "added_at": 1.0}


def publish(engine: Engine, *, version: int, texts: Mapping[str, str], tenant: str = "default", kind: str = "folder") -> None:
    """A document and a chunk for each text, by document id."""
    life: dict[str, Any] = {"tenant": tenant, "from_version": version}
    with engine.begin() as connection:
        connection.execute(sources.insert().values(**SOURCE | {"tenant": tenant, "kind": kind}))
        for document_id, text in texts.items():
            document = {"document_id": document_id, "source_id": SOURCE["source_id"], "path": f"{document_id}.md", "text": text}
            connection.execute(documents.insert().values(**life, **document, **_facts(document_id)))
            cut = {"document_id": document_id, "chunk_id": document_id[::-1], "ordinal": 0, "heading": "", "text": text, "start": 0}
            connection.execute(chunks.insert().values(**life, **cut, end=len(text), embedded_hash="e"))
        record = {"version": version, "tenant": tenant, "embedder": "fixed", "documents": len(texts), "chunks": len(texts)}
        connection.execute(index_versions.insert().values(**record, published_at=2.0, report={}))
        write_state(connection, "published_version", str(version))


def _facts(document_id: str) -> dict[str, str]:
    facts = {"source": f"handbook/{document_id[0]}.md", "title": document_id[0], "media_type": "text/markdown", "content_hash": "h"}
    return facts | ({"file_hash": "f"} if "file_hash" in documents.c else {})


def end(engine: Engine, *, version: int, tenant: str = "default") -> None:
    """Publishes a version in which the tenant has nothing any more."""
    with engine.begin() as connection:
        for table in (documents, chunks):
            connection.execute(table.update().where(table.c.tenant == tenant, table.c.to_version.is_(None)).values(to_version=version))
        record = {"version": version, "tenant": tenant, "embedder": "fixed", "documents": 0, "chunks": 0}
        connection.execute(index_versions.insert().values(**record, published_at=3.0, report={}))
        write_state(connection, "published_version", str(version))

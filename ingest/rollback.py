"""Brings a kept version's content back as a new version: from SQL, without a source, a parser or, as a rule, a model call."""

from collections.abc import Collection
from functools import partial

from sqlalchemy import Connection, update

from core.errors import NothingPublished
from core.schema import sources
from core.types import Document, Scope, SyncReport
from core.versions import reading
from ingest.catalog import restore_api_source
from ingest.history import chunks_at, differing, documents_at, outlines_at, texts_at
from ingest.hold import hold_sources
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.reading import Incoming
from ingest.target import Target


def rollback(target: Target, version: int) -> SyncReport:
    """Publish the tenant's content of `version` again, as any change is, and hold the sources until a sync releases them.

    Only text whose vector another embedder made is embedded. Raises VersionNotKept, NothingPublished, EmbedderMismatch.
    """
    account = Account(cause="rollback", content_of=version)
    with writing(target):
        published, stored = published_state(target)
        if published.version is None:
            raise NothingPublished()
        with target.engine.connect() as connection, reading(connection, version):
            ids = differing(connection, target.scope, version, published.version)
            incoming = _as_incoming(connection, target.scope, version, ids)
        then = {each.document.document_id for each in incoming}
        gone = [identity for identity in ids if identity in stored and identity not in then]
        plan = plan_for(target, stored, incoming, gone, unchanged=len(stored.keys() - set(ids)))
        return bring_up_to(target, plan, published, account, partial(_hold, scope=target.scope, version=version))


def _as_incoming(connection: Connection, scope: Scope, version: int, document_ids: Collection[str]) -> list[Incoming]:
    """Documents of a version, as if they had just been read."""
    documents = documents_at(connection, scope, version, document_ids)
    texts = texts_at(connection, scope, version, documents)
    outlines = outlines_at(connection, scope, version, documents)
    chunks = chunks_at(connection, scope, version, documents)
    return [
        Incoming(
            document=Document(
                document_id=identity, source=found.source, title=found.title, text=texts[identity],
                media_type=found.media_type, content_hash=found.content_hash,
            ),
            source_id=found.source_id, path=found.path, file_hash=found.file_hash or "", chunks=tuple(chunks.get(identity, ())),
            outline=outlines[identity], cut_by=found.cut_by,
        )
        for identity, found in documents.items()
    ]  # fmt: skip


def _hold(connection: Connection, scope: Scope, version: int) -> None:
    restore_api_source(connection, scope)
    connection.execute(update(sources).where(sources.c.tenant == scope.tenant).values(revision=None))  # no commit is what is published now
    hold_sources(connection, scope, version)

"""Single documents over the API: the same way to a published version as a sync."""

import re

from core.errors import Conflict, InvalidInput, NotFound
from core.types import SyncReport
from ingest.again import as_built
from ingest.catalog import api_source
from ingest.diff import Stored
from ingest.forgettable import read_forgotten
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.sandbox import Sandbox
from ingest.sources import Source
from ingest.target import Target

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def put_document(target: Target, document_id: str, content: bytes, media_type: str, *, title: str = "", shown_as: str = "") -> SyncReport:
    """Add or replace one document; `shown_as` is the source that citations name. Raises ParseFailed, InvalidInput, Conflict."""
    account = Account(cause="put")
    _check(target, document_id, content)
    with writing(target):
        published, stored = published_state(target)
        with target.engine.begin() as connection:
            if document_id in read_forgotten(connection, target.scope):
                raise Conflict(f"{document_id!r} stands for a file that was forgotten: `understudy ingest` of the file takes it back")
            source = api_source(connection, target.scope)
        _require_own(stored.get(document_id), source)
        with Sandbox(seconds=target.limits.parse_seconds) as parser:
            incoming = target.reader(parser).document(source, document_id, content, media_type, title=title, shown_as=shown_as)
        plan = plan_for(target, stored, [incoming], ())
        return bring_up_to(target, plan, published, account)


def delete_document(target: Target, document_id: str) -> SyncReport:
    """Raises NotFound, and Conflict for a document that a file stands for."""
    account = Account(cause="delete")
    with writing(target):
        published, stored = published_state(target, rebuild=True)
        if document_id not in stored:
            raise NotFound(f"there is no document {document_id!r}")
        with target.engine.begin() as connection:
            source = api_source(connection, target.scope)
        _require_own(stored[document_id], source)
        writer = as_built(target, published)
        plan = plan_for(writer, stored, (), [document_id])
        return bring_up_to(writer, plan, published, account)


def _check(target: Target, document_id: str, content: bytes) -> None:
    if not _ID.fullmatch(document_id):
        raise InvalidInput(f"{document_id!r} is no document id: use 1 to 32 letters, digits, dots, dashes and underscores")
    if len(content) > target.limits.max_file_bytes:
        limit = target.limits.max_file_bytes
        raise InvalidInput(f"the document has {len(content):,} bytes, over the limit of {limit:,} (UNDERSTUDY_INGEST__MAX_FILE_BYTES)")


def _require_own(document: Stored | None, source: Source) -> None:
    if document is not None and document.source_id != source.source_id:
        raise Conflict(f"{document.source!r} stands for a file: change or delete the file, then run `understudy sync`")

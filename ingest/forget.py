"""The main path of forgetting: named -> planned -> built without it -> published and erased -> nothing left on the disk."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection

from core.types import ForgetReport, Scope
from ingest.again import as_built
from ingest.catalog import drop_source, read_sources
from ingest.erasure import Erased, erase, finish_erasing
from ingest.forgettable import Forgettable, documents_of_path, find_document, find_forgettable
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.sources import Source
from ingest.target import Target

_SERVER = "the Qdrant server has deleted the points, and holds their vectors on its disk until it merges their segments"


def forget(target: Target, name: str, *, by_id: bool = False) -> ForgetReport:
    """Erase a document, or a source with all of its documents; files and repositories stay where they are.

    From the moment of publishing nobody can read the text; what could not be taken off the disk then is taken off by the next writer.
    Raises NotFound, Conflict, SyncRunning and StorageFull.
    """
    account = Account(cause="forget")
    erased = Erased()
    with writing(target):
        published, stored = published_state(target, rebuild=True)
        with target.engine.connect() as connection:
            found = (find_document if by_id else find_forgettable)(connection, target.scope, name)
            sources = {source.source_id: source for source in read_sources(connection, target.scope)}
        writer = as_built(target, published)
        plan = plan_for(writer, stored, (), [identity for identity in found.document_ids if identity in stored])
        afresh = target.index.stands_apart and bool(found.places)

        def also(transaction: Connection) -> None:
            erase(transaction, target.scope, found, apart=afresh, marked=_marked(target.scope, found, sources), erased=erased)
            if found.source is not None:
                drop_source(transaction, target.scope, found.source)

        report = bring_up_to(writer, plan, published, account, also, rebuild=afresh)
        left = finish_erasing(target)
    return ForgetReport(
        **asdict(report), documents=len(found.places), versions_dropped=erased.versions, vectors_erased=erased.vectors,
        answers_erased=erased.answers, left=(*left, *([] if target.index.stands_apart else [_SERVER])),
    )  # fmt: skip


def _marked(scope: Scope, found: Forgettable, sources: Mapping[str, Source]) -> dict[str, str]:
    """What a sync would bring back: the document itself, and the files of a source as the folder around it has them."""
    if found.source is None:
        kept = [place for place in found.places if place.source_id in sources]
        return {place.document_id: place.source_id for place in kept if sources[place.source_id].kind != "api"}
    if found.source.kind not in ("folder", "file"):
        return {}
    others = [source for source in sources.values() if source != found.source]
    location = Path(found.source.location)
    files = [location if found.source.kind == "file" else location / place.path for place in found.places]
    return {identity: source_id for file in files for identity, source_id in documents_of_path(scope.tenant, others, file)}

"""All sources of a tenant as one list, and what is no longer among them."""

from collections.abc import Collection, Iterable
from pathlib import Path

from core.types import SyncProgress
from ingest.diff import Stored
from ingest.folder import list_folder
from ingest.forgettable import read_forgotten
from ingest.git.address import of_location
from ingest.git.clones import clone_beside, clone_of
from ingest.git.listing import list_commit
from ingest.sources import Listing, Source, document_id
from ingest.target import Target


def list_all(target: Target, listed: Iterable[Source], sources: Collection[Source], *, beside: Path | None = None) -> Listing:
    """The listed ones among all `sources`: a folder that is a source of its own does not count for the source around it.

    `beside` is where clones are made that leave the usual ones as they are. Close the listing after reading its entries.
    """
    everything = Listing()
    try:
        for source in listed:
            others = [other for other in sources if other.source_id != source.source_id]
            everything += _list_git(target, source, others, beside) if source.kind == "git" else _list_disk(target, source, others)
            target.on_progress(SyncProgress(step="listing", documents=len(everything.entries)))
        _leave_out_forgotten(target, everything)
    except BaseException:
        everything.close()
        raise
    return everything


def _leave_out_forgotten(target: Target, listing: Listing) -> None:
    with target.engine.connect() as connection:
        left_out = read_forgotten(connection, target.scope)
    if left_out:
        present = [entry for entry in listing.entries if document_id(target.scope.tenant, entry.source, entry.path) not in left_out]
        count = len(listing.entries) - len(present)
        listing.entries = present
        listing.notes += [_left_out(count)] if count else []


def _left_out(count: int) -> str:
    told = "1 forgotten document was" if count == 1 else f"{count:,} forgotten documents were"
    return f"{told} left out; `understudy ingest` of its file takes one back"


def _list_disk(target: Target, source: Source, others: Iterable[Source]) -> Listing:
    elsewhere = [target.data_dir, *(Path(other.location) for other in others if other.kind in ("folder", "file"))]
    return list_folder(source, elsewhere=elsewhere, max_bytes=target.limits.max_file_bytes)


def _list_git(target: Target, source: Source, others: Iterable[Source], beside: Path | None) -> Listing:
    address = of_location(source.location, source.ref)
    alike = [of_location(other.location, other.ref) for other in others if other.kind == "git"]
    elsewhere = [other.folder for other in alike if (other.url, other.ref) == (address.url, address.ref)]
    clone = clone_of(target.data_dir, source.source_id) if beside is None else clone_beside(beside, target.data_dir, source.source_id)
    limits = target.limits
    return list_commit(source, address, clone, elsewhere=elsewhere, max_bytes=limits.max_file_bytes, seconds=limits.git_seconds)


def vanished(tenant: str, stored: Collection[Stored], listed: Iterable[Source], listing: Listing) -> list[str]:
    """Ids of the documents whose file is certainly gone: what could not be listed has not vanished."""
    ids = {source.source_id for source in listed}
    present = {document_id(tenant, entry.source, entry.path) for entry in listing.entries}
    return [
        document.document_id
        for document in stored
        if document.source_id in ids and document.document_id not in present and not _is_unread(document, listing)
    ]


def left_behind(stored: Collection[Stored], sources: Iterable[Source]) -> list[str]:
    """Ids of the documents that a rollback brought back, and whose source was dropped before it."""
    known = {source.source_id for source in sources}
    return [document.document_id for document in stored if document.source_id not in known]


def _is_unread(document: Stored, listing: Listing) -> bool:
    return any(unread.source.source_id == document.source_id and unread.covers(document.path) for unread in listing.unread)

"""All sources of a tenant as one list, and what is no longer among them."""

from collections.abc import Collection, Iterable
from pathlib import Path

from core.types import SyncProgress
from ingest.diff import Stored
from ingest.folder import list_folder
from ingest.sources import Listing, Source, document_id
from ingest.target import Target


def list_all(target: Target, sources: Iterable[Source]) -> Listing:
    """A folder that is a source of its own does not count for the source around it."""
    on_disk = [source for source in sources if source.kind != "api"]
    everything = Listing()
    for source in on_disk:
        elsewhere = [target.data_dir, *(Path(other.location) for other in on_disk if other is not source)]
        listing = list_folder(source, elsewhere=elsewhere, max_bytes=target.limits.max_file_bytes)
        everything.entries += listing.entries
        everything.unread += listing.unread
        everything.skipped += listing.skipped
        target.on_progress(SyncProgress(step="listing", documents=len(everything.entries)))
    return everything


def vanished(tenant: str, stored: Collection[Stored], sources: Iterable[Source], listing: Listing) -> list[str]:
    """Ids of the documents whose file is certainly gone: what could not be listed has not vanished."""
    on_disk = {source.source_id for source in sources if source.kind != "api"}
    present = {document_id(tenant, entry.source, entry.path) for entry in listing.entries}
    return [
        document.document_id
        for document in stored
        if document.source_id in on_disk and document.document_id not in present and not _is_unread(document, listing)
    ]


def _is_unread(document: Stored, listing: Listing) -> bool:
    return any(unread.source.source_id == document.source_id and unread.covers(document.path) for unread in listing.unread)

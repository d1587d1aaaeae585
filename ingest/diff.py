"""What has to change so that the published state becomes the one that was read. Pure: no SQL, no files."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.types import Chunk, Document
from ingest.reading import Incoming


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A published document, without its text."""

    document_id: str
    source_id: str
    path: str
    source: str
    title: str
    media_type: str
    content_hash: str
    file_hash: str | None
    cut_by: str | None = None


@dataclass(kw_only=True, slots=True)
class Plan:
    opened_documents: list[Incoming] = field(default_factory=list)
    closed_documents: list[str] = field(default_factory=list)
    touched: dict[str, Incoming] = field(default_factory=dict)
    """By document id, where the file or the chunker changed and the content did not."""
    opened_chunks: list[Chunk] = field(default_factory=list)
    closed_chunks: list[str] = field(default_factory=list)
    added_points: list[tuple[Document, Chunk]] = field(default_factory=list)
    """The chunks that the index does not have yet, or not with these filter fields."""
    removed_points: list[str] = field(default_factory=list)
    chunks_concerned: int = 0
    """Of all documents that are new or different."""
    added: list[str] = field(default_factory=list)
    """As citations name them, like the next three."""
    changed: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Old and new name."""
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.opened_documents or self.closed_documents or self.opened_chunks or self.closed_chunks)


def plan_changes(
    stored: Mapping[str, Stored], incoming: Sequence[Incoming], gone: Collection[str], chunks: Mapping[str, Sequence[Chunk]], unchanged: int
) -> Plan:
    """`chunks` holds the published chunks of every document that is incoming or gone."""
    plan = Plan(unchanged=unchanged)
    for new in incoming:
        _compare(plan, stored.get(new.document.document_id), new, chunks.get(new.document.document_id, ()))
    for identity in gone:
        plan.closed_documents.append(identity)
        _close(plan, [chunk.chunk_id for chunk in chunks.get(identity, ())])
    _match_renamed(plan, [new for new in incoming if new.document.document_id not in stored], [stored[identity] for identity in gone])
    return plan


def _compare(plan: Plan, old: Stored | None, new: Incoming, old_chunks: Sequence[Chunk]) -> None:
    if old is not None and (old.file_hash, old.cut_by) != (new.file_hash, new.cut_by):
        plan.touched[old.document_id] = new
    is_same_document = old is not None and _describes(old, new.document)
    is_same_point = old is not None and (old.source, old.media_type) == (new.document.source, new.document.media_type)
    differs = _compare_chunks(plan, new, {chunk.chunk_id: chunk for chunk in old_chunks}, is_same_point)
    if not is_same_document:
        plan.opened_documents.append(new)
        if old is not None:
            plan.closed_documents.append(old.document_id)
    if is_same_document and not differs:
        plan.unchanged += 1
        return
    plan.chunks_concerned += len(new.chunks)
    if old is not None:
        plan.changed.append(new.document.source)


def _describes(old: Stored, document: Document) -> bool:
    return (old.content_hash, old.title, old.source, old.media_type) == (
        document.content_hash,
        document.title,
        document.source,
        document.media_type,
    )


def _compare_chunks(plan: Plan, new: Incoming, old: Mapping[str, Chunk], is_same_point: bool) -> bool:
    opened = [chunk for chunk in new.chunks if old.get(chunk.chunk_id) != chunk]
    kept = {chunk.chunk_id for chunk in new.chunks}
    moved = [chunk.chunk_id for chunk in opened if chunk.chunk_id in old]
    dropped = [chunk_id for chunk_id in old if chunk_id not in kept]
    plan.opened_chunks += opened
    plan.closed_chunks += moved
    _close(plan, dropped)
    plan.added_points += [(new.document, chunk) for chunk in new.chunks if chunk.chunk_id not in old or not is_same_point]
    return bool(opened or dropped)


def _close(plan: Plan, chunk_ids: Sequence[str]) -> None:
    plan.closed_chunks += chunk_ids
    plan.removed_points += chunk_ids


def _match_renamed(plan: Plan, fresh: Sequence[Incoming], gone: Sequence[Stored]) -> None:
    """Pairs of a new and a vanished path in one source with the same content."""
    left: defaultdict[tuple[str, str], list[Stored]] = defaultdict(list)
    for old in reversed(gone):
        left[old.source_id, old.content_hash].append(old)
    for new in fresh:
        alike = left[new.source_id, new.document.content_hash]
        if alike:
            plan.renamed.append((alike.pop().source, new.document.source))
        else:
            plan.added.append(new.document.source)
    plan.removed += [old.source for olds in left.values() for old in olds]

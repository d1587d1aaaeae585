"""What differs between two kept versions: documents, and the chunks in them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import Connection

from core.types import Scope
from ingest.diff import Stored
from ingest.history import Cutting, cuttings_at, differing, documents_at

DocumentChange = Literal["added", "removed", "changed", "renamed"]
ChunkChange = Literal["removed", "added", "kept"]
_Pair: TypeAlias = tuple[Stored | None, Stored | None]


@dataclass(frozen=True, slots=True)
class Compared:
    change: ChunkChange
    chunk: Cutting


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Of one document; `before` is None for an added one, `after` for a removed one."""

    before: Stored | None
    after: Stored | None
    chunks: tuple[Compared, ...]
    """The removed ones first, then the added, then those that read the same in both; each in the order of the text."""

    @property
    def change(self) -> DocumentChange:
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "changed" if self.before.document_id == self.after.document_id else "renamed"

    @property
    def shown(self) -> Stored:
        found = self.after or self.before
        assert found is not None
        return found

    def count(self, change: ChunkChange) -> int:
        return sum(each.change == change for each in self.chunks)


def differences(connection: Connection, scope: Scope, one: int, other: int) -> list[Difference]:
    """From version `one` to version `other`, by the name that people know a document by."""
    ids = differing(connection, scope, one, other)
    before, after = (documents_at(connection, scope, version, ids) for version in (one, other))
    old, new = (cuttings_at(connection, scope, version, ids) for version in (one, other))
    pairs = [*_same(before, after), *_moved(before, after)]
    found = [Difference(before=was, after=now, chunks=_compared(_of(was, old), _of(now, new))) for was, now in pairs]
    return sorted(filter(_differs, found), key=lambda each: (each.shown.source, each.shown.document_id))


def _of(document: Stored | None, cut: Mapping[str, list[Cutting]]) -> list[Cutting]:
    return cut.get(document.document_id, []) if document else []


def _same(before: Mapping[str, Stored], after: Mapping[str, Stored]) -> list[_Pair]:
    return [(before[identity], after[identity]) for identity in before if identity in after]


def _moved(before: Mapping[str, Stored], after: Mapping[str, Stored]) -> list[_Pair]:
    """What went and what came; a pair where both have the same content and source."""
    gone: defaultdict[tuple[str, str], list[Stored]] = defaultdict(list)
    for identity, document in _by_path(before):
        if identity not in after:
            gone[document.source_id, document.content_hash].append(document)
    pairs: list[_Pair] = []
    for identity, document in _by_path(after):
        if identity not in before:
            same_content = gone[document.source_id, document.content_hash]
            pairs.append((same_content.pop(0) if same_content else None, document))
    return pairs + [(document, None) for left in gone.values() for document in left]


def _by_path(documents: Mapping[str, Stored]) -> list[tuple[str, Stored]]:
    """Which of several equal ones has moved is a matter of taste, but not of chance."""
    return sorted(documents.items(), key=lambda item: item[1].path)


def _compared(old: Collection[Cutting], new: Collection[Cutting]) -> tuple[Compared, ...]:
    removed, _ = _parted(old, Counter(chunk.embedded_hash for chunk in new))
    added, kept = _parted(new, Counter(chunk.embedded_hash for chunk in old))
    return (*_marked("removed", removed), *_marked("added", added), *_marked("kept", kept))


def _parted(chunks: Iterable[Cutting], elsewhere: Counter[str]) -> tuple[list[Cutting], list[Cutting]]:
    """Those that are not elsewhere, and those that are; one chunk there stands for one here."""
    alone: list[Cutting] = []
    shared: list[Cutting] = []
    for chunk in chunks:
        found = elsewhere[chunk.embedded_hash] > 0
        elsewhere[chunk.embedded_hash] -= found
        (shared if found else alone).append(chunk)
    return alone, shared


def _marked(change: ChunkChange, chunks: Iterable[Cutting]) -> list[Compared]:
    return [Compared(change, chunk) for chunk in chunks]


def _differs(found: Difference) -> bool:
    """Not what changed and changed back in between."""
    if found.before is None or found.after is None or found.change == "renamed":
        return True
    is_described_alike = _description(found.before) == _description(found.after)
    return not is_described_alike or any(each.change != "kept" for each in found.chunks)


def _description(document: Stored) -> tuple[str, ...]:
    return document.content_hash, document.title, document.source, document.media_type

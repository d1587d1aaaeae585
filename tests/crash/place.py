"""Where a schedule happens: a folder to sync, a data directory, and the real parts opened over it by each process anew."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

from qdrant_client import QdrantClient
from sqlalchemy import Engine

from core.database import open_database, sqlite_url
from core.errors import NotFound
from core.protocols import Index
from core.types import Scope, SyncReport
from core.versions import kept_versions
from ingest import documents as single
from ingest import survey
from ingest.forget import forget
from ingest.parse import parse
from ingest.parsed import Parsed
from ingest.rebuild import rebuild
from ingest.rollback import rollback
from ingest.sync import sync as sync_sources
from ingest.target import Limits, Target
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from tests.crash.qdrant import RemoteQdrant
from tests.doubles import WordEmbedder

SCOPE = Scope(tenant="default")
OTHER = Scope(tenant="other")
"""Shares the index, and its content must come through everything that happens to the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    root: Path
    seed: int
    longest_request_seconds: float = 2.0
    keep_vectors_days: float = 30.0
    qdrant: Path | None = None
    """Where a Qdrant server listens; without one the index is embedded."""

    @property
    def docs(self) -> Path:
        return self.root / "docs"

    @property
    def others(self) -> Path:
        return self.root / "others"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def limits(self) -> Limits:
        return Limits(
            min_chunk_tokens=8, max_chunk_tokens=30, keep_versions=3, longest_request_seconds=self.longest_request_seconds,
            keep_vectors_days=self.keep_vectors_days,
        )  # fmt: skip

    def open(self, scope: Scope = SCOPE) -> Target:
        self.data.mkdir(parents=True, exist_ok=True)
        return Target(
            engine=open_database(sqlite_url(self.data)), index=self._open_index(), embedder=WordEmbedder(), scope=scope,
            everyone=(SCOPE, OTHER), data_dir=self.data, limits=self.limits,
        )  # fmt: skip

    def _open_index(self) -> Index:
        if self.qdrant is None:
            return EdgeIndex(self.data / "index")
        return ServerIndex(cast(QdrantClient, RemoteQdrant(self.qdrant)), self.root.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """Something that publishes, and what it does to the documents that came over the API."""

    run: Callable[[Place, Target], object]
    puts: tuple[str, str] | None = None
    deletes: str | None = None
    erases: bool = False
    """Not only from what is published, but from the disk."""
    reads_tree: bool = False
    removes_tree: bool = False
    rolls_back: bool = False

    def notes_after(self, notes: dict[str, str]) -> dict[str, str]:
        after = {**notes, **dict([self.puts] if self.puts else [])}
        return {note: text for note, text in after.items() if note != self.deletes}


def sync(place: Place, target: Target) -> SyncReport:
    source = place.docs if target.scope == SCOPE else place.others
    return sync_sources(target, [source], release=True)


def operation(name: str, number: int) -> Operation:
    """`number` makes the text of a document that is put."""
    note = f"note-{number % 3}"
    text = f"Note {number} says that the bell rings {number} times, and nothing else is known about the bell."
    match name:
        case "sync":
            return Operation(run=sync, reads_tree=True)
        case "rebuild":
            return Operation(run=lambda _, target: rebuild(target))
        case "put":
            put = text.encode()
            return Operation(run=lambda _, target: single.put_document(target, note, put, "text/plain"), puts=(note, text))
        case "delete":
            return Operation(run=lambda _, target: _delete(target, note), deletes=note)
        case "forget":
            return Operation(run=lambda _, target: _forget(target, note, by_id=True), deletes=note, erases=True)
        case "remove":
            return Operation(run=lambda _, target: _forget(target, "docs"), removes_tree=True)
        case "rollback":
            return Operation(run=lambda _, target: rollback(target, previous_version(target.engine)), rolls_back=True)
    raise ValueError(name)


OPERATIONS = ("sync", "rebuild", "put", "delete", "forget", "remove", "rollback")


def previous_version(engine: Engine) -> int:
    with engine.connect() as connection:
        return kept_versions(connection)[:2][-1]


def _delete(target: Target, note: str) -> None:
    try:
        single.delete_document(target, note)
    except NotFound:
        return


def _forget(target: Target, name: str, *, by_id: bool = False) -> None:
    try:
        forget(target, name, by_id=by_id)
    except NotFound:
        return


class ParseHere:
    """The sandbox without its child process, whose start would be most of a schedule; it writes nothing that lasts."""

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def parse(self, content: bytes, media_type: str) -> Parsed:
        return parse(content, media_type)


def warm_up(folder: Path) -> None:
    """What every child would have to do again; nothing that must not be forked stays open. `folder` keeps a database without a row."""
    for module in (survey, single):
        setattr(module, "Sandbox", ParseHere)  # noqa: B010
    for media_type in ("text/markdown", "text/html", "text/plain"):
        parse(b"Words.", media_type)
    open_database(sqlite_url(folder)).dispose()

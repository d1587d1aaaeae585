"""The map of the system: what each part promises, and the only place where the stages meet."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from core.types import (
    Candidate,
    Delta,
    Draft,
    Evidence,
    Filters,
    Matrix,
    Point,
    PointDifference,
    Quoted,
    Readiness,
    Scope,
    Snapshot,
    SyncProgress,
    Vector,
)


class Embedder(Protocol):
    """Texts -> unit vectors. Longer texts than `max_tokens` are cut; the chunker sees to it that there are none."""

    @property
    def fingerprint(self) -> str:
        """Weights, dtype and runtime: equal fingerprints mean comparable vectors."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without the special ones, never cut."""
        ...

    def embed_query(self, text: str) -> Vector: ...

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = ...) -> Matrix:
        """Rows in the order of `texts`; no texts give shape (0, dimensions). `on_batch` hears how many texts are done."""
        ...


class IndexVersion(Protocol):
    """One published version, open for reading; safe to use from several threads and processes."""

    def search(self, scope: Scope, dense: Vector, question: str, *, limit: int, filters: Filters) -> list[Candidate]:
        """The union of the `limit` best by vector and by BM25, of this tenant alone, in no order."""
        ...

    def chunk_ids(self, scope: Scope) -> set[str]:
        """Every chunk of the tenant in this version."""
        ...

    def count(self, scope: Scope) -> int:
        """How many those are, counted and not remembered."""
        ...

    def held(self, scope: Scope, chunk_ids: Collection[str]) -> set[str]:
        """Which of these the tenant has in this version."""
        ...

    def compare(self, scope: Scope, expected: Iterable[Point]) -> Iterator[PointDifference]:
        """Where this version is other than these points, which are all that the tenant should have in it; reads everything."""
        ...

    def close(self) -> None: ...


class Index(Protocol):
    """Versions of the vector index. One writer at a time; readers only ever see finished versions."""

    @property
    def stands_apart(self) -> bool:
        """Whether each version is a thing of its own on the disk.

        Then any of them can be built again in its place from nothing, and one that was built on a base may still hold, unseen,
        what was removed from it.
        """
        ...

    def claim(self, owner: str) -> None:
        """Say whose index this is before writing to it; raises Conflict where it already belongs to another installation."""
        ...

    def build(
        self,
        scope: Scope,
        version: int,
        *,
        base: int | None,
        embedder: str,
        dimensions: int,
        added: Iterable[Point],
        removed: Collection[str],
    ) -> IndexVersion:
        """Make `version` = `base` less the `removed` chunk ids plus `added`, durable but read by nobody yet, and open it as it is kept.

        `base` None starts empty. Points of other tenants are carried over untouched. A scrap of the same version is replaced.
        Raises CorruptIndex when the base cannot be read, StorageFull when the disk is full (and leaves no scrap).
        """
        ...

    def open(self, version: int, *, embedder: str, whole: bool = False) -> IndexVersion:
        """Raises CorruptIndex when the version is missing or damaged, EmbedderMismatch when another embedder built it.

        `whole` reads every byte that there is of it first; otherwise only as much as takes no time.
        """
        ...

    def collect(self, keep: Collection[int]) -> None:
        """Remove every version but these, and scraps."""
        ...


class Retriever(Protocol):
    """Question -> evidence, from one published version."""

    def published(self, as_of: int | None = None) -> Snapshot:
        """The version to use from here to the end of the request: the newest, or a kept one by its number.

        Raises NothingPublished and VersionNotKept.
        """
        ...

    def check(self, snapshot: Snapshot) -> None:
        """Raises what `retrieve` would: EmbedderMismatch, or CorruptIndex when the version cannot be opened."""
        ...

    def retrieve(self, question: str, scope: Scope, snapshot: Snapshot, *, top_k: int, filters: Filters) -> Evidence:
        """At most `top_k` hits, best first; none is an empty tuple."""
        ...


class Tier(Protocol):
    """A backend that turns evidence into an answer."""

    @property
    def name(self) -> str: ...

    def readiness(self) -> Readiness: ...

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        """`deadline` in seconds of `time.monotonic()`. Raises TierFailed; "not in the evidence" is a draft, not an error.

        Cancelled, it stops what it does and raises TierCancelled with what was charged by then.
        """
        ...


@runtime_checkable
class Streaming(Protocol):
    """A tier that can show its answer while it is made."""

    def stream(self, question: str, evidence: Evidence, *, deadline: float) -> AsyncIterator[Delta | Quoted | Draft]:
        """The draft comes last and is what `generate` would have given; one without a text, or without a citation, was preceded by nothing.

        Raises TierFailed, also after the first text, and TierCancelled. Between two parts the caller never waits, so a
        cancellation always arrives inside.
        """
        ...


@runtime_checkable
class Warming(Protocol):
    """A retriever or tier that is slower at first; a server warms it up before it answers, a command does not."""

    def warm_up(self) -> None:
        """Raises nothing for what a request would be told itself."""
        ...


@runtime_checkable
class Closing(Protocol):
    """A tier that holds connections; whoever asked it closes it in the end, in the same event loop."""

    async def close(self) -> None: ...


OnProgress: TypeAlias = Callable[[SyncProgress], None]

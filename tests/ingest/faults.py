"""An index, an embedder and an engine that break off at a chosen step, as if the process had died there."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from qdrant_client import QdrantClient
from sqlalchemy import Engine, event

from core.protocols import Index, IndexVersion
from core.types import Matrix, Point, Scope, SyncProgress
from tests.crash.qdrant import LASTING
from tests.doubles import WordEmbedder


class Killed(BaseException):
    """Nothing may catch it; and after it every further step fails as well, since a dead process takes none."""


@dataclass
class Fuse:
    left: int | None = None
    """Steps until it blows; None is never."""
    embedder_fails: bool = False
    index_fails: bool = False

    def step(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed

    def progress(self, _: SyncProgress) -> None:
        self.step()

    def watch(self, engine: Engine) -> None:
        event.listen(engine, "commit", lambda _: self.step())


class FusedEmbedder(WordEmbedder):
    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._fuse = fuse

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Matrix:
        self._fuse.step()
        if self._fuse.embedder_fails:
            raise RuntimeError("the embedder broke")
        self.texts += texts
        vectors = super().embed_documents(texts, on_batch)
        self._fuse.step()
        return vectors


class FusedIndex:
    def __init__(self, index: Index, fuse: Fuse) -> None:
        self._index = index
        self._fuse = fuse

    @property
    def stands_apart(self) -> bool:
        return self._index.stands_apart

    def claim(self, owner: str) -> None:
        self._index.claim(owner)

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
        self._fuse.step()
        points = self._halfway(list(added)) if self._fuse.index_fails else self._watched(added)
        built = self._index.build(scope, version, base=base, embedder=embedder, dimensions=dimensions, added=points, removed=removed)
        self._fuse.step()
        return built

    def open(self, version: int, *, embedder: str, whole: bool = False) -> IndexVersion:
        return self._index.open(version, embedder=embedder, whole=whole)

    def collect(self, keep: Collection[int]) -> None:
        self._fuse.step()
        self._index.collect(keep)
        self._fuse.step()

    def _watched(self, added: Iterable[Point]) -> Iterable[Point]:
        for point in added:
            self._fuse.step()
            yield point

    def _halfway(self, added: Sequence[Point]) -> Iterable[Point]:
        yield from added[: len(added) // 2]
        raise RuntimeError("the index broke")


class FusedClient:
    """A Qdrant client whose every call that lasts is a step, before and after it."""

    def __init__(self, client: QdrantClient, fuse: Fuse) -> None:
        self._client = client
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(self._watched, found) if name in LASTING else found

    def _watched(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self._fuse.step()
        result = call(*arguments, **named)
        self._fuse.step()
        return result

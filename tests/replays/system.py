"""What a scenario may do to an indexer, and ask of it."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from core.types import Matrix
from tests.doubles import WordEmbedder


class EmbedderBroke(RuntimeError): ...


class SwitchedEmbedder(WordEmbedder):
    """Remembers what it embedded, and fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fails = False

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = lambda _: None) -> Matrix:
        if self.fails:
            raise EmbedderBroke("no answer from the embedder")
        self.texts += texts
        return super().embed_documents(texts, on_batch)


class System(ABC):
    """Two folders of text files, and an indexer that follows them."""

    name: str

    def __init__(self, root: Path) -> None:
        self.root = root
        self.embedder = SwitchedEmbedder()
        self.store_drops = False
        """The vector store takes half of what it is given and says so only in its answer."""
        for folder in ("one", "two"):
            (root / folder).mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text, encoding="utf-8")

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def touch(self, path: str) -> None:
        os.utime(self.root / path, (2_000_000_000, 2_000_000_000))

    def embedded_by(self, do: Callable[[], None]) -> int:
        """Texts that went through the model."""
        before = len(self.embedder.texts)
        do()
        return len(self.embedder.texts) - before

    @abstractmethod
    def sync(self) -> None: ...

    @abstractmethod
    def sync_without(self, folder: str) -> None:
        """While this folder cannot be listed."""

    @abstractmethod
    def found(self, word: str) -> list[str]:
        """The paths of the documents that a search for it finds, one for each chunk that has the word."""

    @abstractmethod
    def lose_store(self) -> None:
        """Everything goes from the vector store behind the indexer's back."""

    @abstractmethod
    def repair(self) -> None:
        """What its manual says to do then, without the model where that is possible."""

    @abstractmethod
    def close(self) -> None: ...

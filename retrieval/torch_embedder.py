"""The fallback embedder: sentence-transformers on torch, for models that cannot be exported."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch

from core.types import Matrix, Vector
from retrieval.export import describe, load_sentence_transformer

_SLICE = 64


def _ignore(_: int) -> None: ...


class TorchEmbedder:
    def __init__(self, source: str) -> None:
        """Raises CorruptModel where no model can be loaded from `source`, a folder or a name."""
        self._model = load_sentence_transformer(source)
        self._details = describe(self._model)

    @cached_property
    def fingerprint(self) -> str:
        identity = f"{self._details['weights']} f32 torch-{torch.__version__.split('.')[0]} {self._details['window']}"
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def dimensions(self) -> int:
        return int(self._details["dimensions"])

    @cached_property
    def max_tokens(self) -> int:
        return int(self._details["window"]) - len(self._model.tokenizer(self._details["document_prompt"])["input_ids"])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        encoded = self._model.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def embed_query(self, text: str) -> Vector:
        vector: Vector = self._encode([self._details["query_prompt"] + text])[0]
        return vector

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = _ignore) -> Matrix:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _SLICE):
            batch = texts[start : start + _SLICE]
            vectors[start : start + len(batch)] = self._encode([self._details["document_prompt"] + text for text in batch])
            on_batch(start + len(batch))
        return vectors

    def _encode(self, texts: list[str]) -> Matrix:
        vectors = self._model.encode(texts, prompt="", normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

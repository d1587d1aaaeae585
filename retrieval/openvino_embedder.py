"""The embedder that serves: an exported model on OpenVINO, with `tokenizers` and nothing else."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from tokenizers import Encoding, Tokenizer

from core.errors import CorruptModel
from core.openvino import load_openvino
from core.types import Matrix, Vector
from retrieval.int8 import GROUP, processor_has_int8

_STEP = 16
"""Lengths are padded to multiples of this: OpenVINO prepares its kernels once per shape."""
_BATCH_TOKENS = 2048

_Row: TypeAlias = tuple[int, list[int]]


def _ignore(_: int) -> None: ...


class OpenVinoEmbedder:
    """Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Raises CorruptModel where the export is damaged."""
        self._folder = folder
        openvino = load_openvino()
        self._version = str(openvino.__version__)
        self._core = openvino.Core()
        self._int8 = (folder / "int8.xml").is_file() and processor_has_int8()
        self._float = "bf16" if "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        try:
            self._details = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._window = int(self._details["window"])
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self._window)
            self._queries = _Requests(self._compile("LATENCY"))
        except Exception as error:  # tokenizers raises bare Exception, OpenVINO RuntimeError
            raise CorruptModel(f"the exported embedder is damaged ({error}): delete {str(folder)!r}, it is made again") from error

    @cached_property
    def fingerprint(self) -> str:
        identity = f"{self._details['weights']} {self.dtype} openvino-{self._version.split('.')[0]} {self._window}"
        return hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def dtype(self) -> str:
        """Of the matrix products, as it is in effect on this processor."""
        return f"int8-{GROUP}" if self._int8 else self._float

    @property
    def dimensions(self) -> int:
        return int(self._details["dimensions"])

    @cached_property
    def max_tokens(self) -> int:
        """Of the text alone: the special tokens and the prompt have their own room."""
        return self._window - len(self._tokenizer.encode(str(self._details["document_prompt"])).ids)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._uncut.encode_batch_fast(self._prepare(texts, ""), add_special_tokens=False)]

    def embed_query(self, text: str) -> Vector:
        encoding = self._tokenizer.encode(self._prepare([text], self._details["query_prompt"])[0])
        vector: Vector = self._infer(self._queries, [encoding.ids])[0]
        return vector

    def embed_documents(self, texts: Sequence[str], on_batch: Callable[[int], None] = _ignore) -> Matrix:
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        done = 0
        with ThreadPoolExecutor(self._documents.streams) as threads:
            for rows, batch in threads.map(self._infer_rows, self._batches(texts)):
                vectors[rows] = batch
                done += len(rows)
                on_batch(done)
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[_Row]]:
        """Texts of like length share a batch, longest first, so that little is padding and the last batches are short ones."""
        encodings: list[Encoding] = self._tokenizer.encode_batch_fast(self._prepare(texts, self._details["document_prompt"]))
        rows = sorted(((row, encoding.ids) for row, encoding in enumerate(encodings)), key=lambda row: -len(row[1]))
        start = 0
        while start < len(rows):
            size = max(1, _BATCH_TOKENS // _padded(len(rows[start][1])))
            yield rows[start : start + size]
            start += size

    def _infer_rows(self, rows: list[_Row]) -> tuple[list[int], Matrix]:
        return [row for row, _ in rows], self._infer(self._documents, [ids for _, ids in rows])

    def _infer(self, requests: "_Requests", batch: list[list[int]]) -> Matrix:
        shape = (len(batch), _padded(max(map(len, batch))))
        tokens = np.full(shape, self._details["pad_id"], dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        with requests.borrow() as request:
            request.infer([tokens, mask], share_inputs=True)
            vectors: Matrix = np.array(request.get_output_tensor(0).data, dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Matrix = vectors / np.maximum(norms, 1e-12)
        return unit

    def _prepare(self, texts: Sequence[str], prompt: str) -> list[str]:
        return [prompt + (text.lower() if self._details["lowercase"] else text) for text in texts]

    @cached_property
    def _documents(self) -> "_Requests":
        return _Requests(self._compile("THROUGHPUT"))

    @cached_property
    def _uncut(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.no_truncation()
        return tokenizer

    def _compile(self, hint: str) -> Any:
        config: dict[str, object] = {"INFERENCE_PRECISION_HINT": self._float, "PERFORMANCE_HINT": hint}
        if self._int8:  # which OpenVINO does for f32 only, bf16 would keep the int8 weights and multiply floats
            config |= {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP}
        if os.access(self._folder, os.W_OK):
            config["CACHE_DIR"] = str(self._folder / "compiled")
        if hint == "THROUGHPUT":
            config["NUM_STREAMS"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self._core.compile_model(self._folder / ("int8.xml" if self._int8 else "model.xml"), "CPU", config)


class _Requests:
    """Inference requests of one compiled model; a request serves one caller at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._free: SimpleQueue[Any] = SimpleQueue()
        self.streams = max(1, int(model.get_property("NUM_STREAMS")))

    @contextmanager
    def borrow(self) -> Iterator[Any]:
        try:
            request = self._free.get_nowait()
        except Empty:
            request = self._model.create_infer_request()
        try:
            yield request
        finally:
            self._free.put(request)


def _padded(length: int) -> int:
    return -(-max(length, 1) // _STEP) * _STEP

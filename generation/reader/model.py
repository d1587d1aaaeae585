"""The reader at serving time: an OpenVINO graph and a tokenizer, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from core.errors import CorruptModel
from core.telemetry import silence_openvino
from generation.reader.spans import WindowLogits

MAX_QUESTION_TOKENS = 40
MAX_HEADING_TOKENS = 16
STRIDE = 96
"""Tokens that two windows of a passage longer than one share."""
_PAD_TO = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    heading: str
    """Context that is read but never answered from."""
    text: str


@dataclass(frozen=True, slots=True)
class _Window:
    passage: int
    ids: list[int]
    context: tuple[int, int]
    offsets: list[tuple[int, int]]


class Reader:
    """Reads a question against passages, all in one batch."""

    def __init__(self, folder: Path, cache: Path) -> None:
        silence_openvino()
        import openvino

        try:
            config = json.loads((folder / "reader.json").read_text())
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            core = openvino.Core()
            options = {"PERFORMANCE_HINT": "LATENCY", "CACHE_DIR": str(cache)}
            if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                options["INFERENCE_PRECISION_HINT"] = "bf16"
            self._model = core.compile_model(folder / "reader.xml", "CPU", options)
            self._digest = _digest(folder)
        except Exception as error:
            raise CorruptModel(
                f"the reader in {folder.name!r} cannot be loaded: restore the folder from the repository ({error})"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max_tokens = int(config["max_tokens"])
        self._cls, self._sep = self._tokenizer.encode("").ids

    @property
    def digest(self) -> str:
        """SHA-256 of weights, graph and tokenizer."""
        return self._digest

    def read(self, question: str, passages: Sequence[Passage]) -> list[WindowLogits]:
        """Logits of every window, in the order of the passages; a passage without a word gives none."""
        windows = [window for number, passage in enumerate(passages) for window in self._windows(question, number, passage)]
        if not windows:
            return []
        logits = self._infer(windows)
        return [_cut(window, logits[row]) for row, window in enumerate(windows)]

    def _windows(self, question: str, number: int, passage: Passage) -> list[_Window]:
        encoding = self._tokenizer.encode(passage.text, add_special_tokens=False)
        heading = self._ids(passage.heading)[-MAX_HEADING_TOKENS:] if passage.heading else []
        head = [self._cls, *self._ids(question)[:MAX_QUESTION_TOKENS], self._sep, *heading]
        room = self._max_tokens - len(head) - 1
        made = []
        for begin in range(0, len(encoding.ids), room - STRIDE):
            ids = encoding.ids[begin : begin + room]
            made.append(
                _Window(number, [*head, *ids, self._sep], (len(head), len(head) + len(ids)), encoding.offsets[begin : begin + room])
            )
            if begin + room >= len(encoding.ids):
                break
        return made

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _infer(self, windows: list[_Window]) -> NDArray[np.float32]:
        longest = max(len(w.ids) for w in windows)
        shape = (len(windows), -(-longest // _PAD_TO) * _PAD_TO)
        ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = window.ids
            mask[row, : len(window.ids)] = 1
            types[row, window.context[0] : len(window.ids)] = 1
        request = self._model.create_infer_request()  # one per call: requests are not shared between threads
        result = request.infer({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        logits: NDArray[np.float32] = next(iter(result.values())).astype(np.float32)
        return logits


def _digest(folder: Path) -> str:
    digest = sha256()
    for name in ("reader.bin", "reader.xml", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _cut(window: _Window, logits: NDArray[np.float32]) -> WindowLogits:
    begin, end = window.context
    return WindowLogits(
        window.passage, logits[begin:end, 0], logits[begin:end, 1], float(logits[0, 0]), float(logits[0, 1]), window.offsets
    )

"""The reader's OpenVINO graph: windows of token ids -> logits, each window by itself and several at a time."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.openvino import load_openvino

Logits: TypeAlias = NDArray[np.float32]

_PAD_TO = 16
"""OpenVINO prepares its kernels once per length, on each stream."""
_MAX_STREAMS = 8


@dataclass(frozen=True, slots=True)
class Window:
    passage: int
    ids: list[int]
    context: tuple[int, int]
    """Where the passage's tokens begin and end among the ids."""
    offsets: list[tuple[int, int]]


class Graph:
    """A batch would pad every window to the longest, which is a third of the work with chunks of 48 to 200 tokens."""

    def __init__(self, path: Path, cache: Path) -> None:
        core = load_openvino().Core()
        self._streams = min(_MAX_STREAMS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        options: dict[str, object] = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": self._streams, "CACHE_DIR": str(cache)}
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            options["INFERENCE_PRECISION_HINT"] = "bf16"
        self._model = core.compile_model(path, "CPU", options)
        self._free: SimpleQueue[Any] = SimpleQueue()

    def infer(self, windows: Sequence[Window]) -> list[Logits]:
        """One array of shape (padded tokens, 2) per window, in their order; safe to call from several threads."""
        longest_first = sorted(range(len(windows)), key=lambda at: -len(windows[at].ids))  # so that no core is left with a long one
        running = {at: self._start(windows[at]) for at in longest_first}
        return [self._finish(running[at]) for at in range(len(windows))]

    def warm_up(self, max_tokens: int) -> None:
        """Prepare every length on every stream."""
        for length in range(max_tokens, 0, -_PAD_TO):
            self.infer([Window(0, [0] * length, (0, length), [])] * self._streams)

    def _start(self, window: Window) -> Any:
        length = len(window.ids)
        ids, mask, types = (np.zeros((1, -(-length // _PAD_TO) * _PAD_TO), dtype=np.int64) for _ in range(3))
        ids[0, :length] = window.ids
        mask[0, :length] = 1
        types[0, window.context[0] : length] = 1
        request = self._request()
        request.start_async({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        return request

    def _finish(self, request: Any) -> Logits:
        request.wait()
        logits: Logits = np.array(request.get_output_tensor(0).data[0], dtype=np.float32)
        self._free.put(request)
        return logits

    def _request(self) -> Any:
        """One that no other call uses at the moment."""
        try:
            return self._free.get_nowait()
        except Empty:
            return self._model.create_infer_request()

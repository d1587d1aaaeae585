"""The reader at serving time: an OpenVINO graph and a tokenizer, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tokenizers import Tokenizer

from core.errors import CorruptModel
from generation.reader.graph import Graph, Logits, Window
from generation.reader.spans import WindowLogits

MAX_QUESTION_TOKENS = 40
MAX_HEADING_TOKENS = 16
STRIDE = 96
"""Tokens that two windows of a passage longer than one share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    heading: str
    """Context that is read but never answered from."""
    text: str


class Reader:
    """Reads a question against passages."""

    def __init__(self, folder: Path, cache: Path) -> None:
        try:
            config = json.loads((folder / "reader.json").read_text())
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._graph = Graph(folder / "reader.xml", cache)
            self._digest = _digest(folder)
        except Exception as error:
            raise CorruptModel(
                f"the reader in {str(folder)!r} cannot be loaded: restore the folder, or name another in UNDERSTUDY_READER__PATH ({error})"
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
        asked = [self._cls, *self._ids(question)[:MAX_QUESTION_TOKENS], self._sep]
        windows = [window for number, passage in enumerate(passages) for window in self._windows(asked, number, passage)]
        return [_cut(window, logits) for window, logits in zip(windows, self._graph.infer(windows), strict=True)]

    def warm_up(self) -> None:
        """Prepare what is prepared once per length, so that the first questions are as fast as the next."""
        self._graph.warm_up(self._max_tokens)

    def _windows(self, asked: list[int], number: int, passage: Passage) -> list[Window]:
        encoding = self._tokenizer.encode(passage.text, add_special_tokens=False)
        heading = self._ids(passage.heading)[-MAX_HEADING_TOKENS:] if passage.heading else []
        head = [*asked, *heading]
        room = self._max_tokens - len(head) - 1
        made = []
        for begin in range(0, len(encoding.ids), room - STRIDE):
            ids = encoding.ids[begin : begin + room]
            made.append(Window(number, [*head, *ids, self._sep], (len(head), len(head) + len(ids)), encoding.offsets[begin : begin + room]))
            if begin + room >= len(encoding.ids):
                break
        return made

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


def _digest(folder: Path) -> str:
    digest = sha256()
    for name in ("reader.bin", "reader.xml", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def _cut(window: Window, logits: Logits) -> WindowLogits:
    begin, end = window.context
    return WindowLogits(
        window.passage, logits[begin:end, 0], logits[begin:end, 1], float(logits[0, 0]), float(logits[0, 1]), window.offsets
    )

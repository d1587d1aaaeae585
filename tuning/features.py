"""Questions -> token windows a reader trains on."""

import random
from array import array
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from generation.reader.model import MAX_HEADING_TOKENS, MAX_QUESTION_TOKENS
from tuning.dataset import Passage, Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """What a window shows, in characters: a model with other tokens can be shown the same."""

    question: str
    title: str
    """Empty where the window is without one."""
    passage: Passage
    tokens: range
    """Of the passage's tokens those that are shown."""
    stretch: tuple[int, int]
    """The same in characters of the passage."""
    span: tuple[int, int] | None
    """The answer in characters of the passage; None where the stretch holds none."""
    sure: bool
    """False for a near-miss question: that its passage does not answer it is a rule's guess."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One question + context pair; `start` and `end` are token indices, 0 (the [CLS] token) meaning "not here"."""

    ids: "array[int]"
    context_start: int
    start: int
    end: int
    group: int
    """Windows of one question share a group: their spans are normalised together."""
    cut: Cut
    row: int = -1
    """Its row in the teacher's labels, where there are any."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    ids: list[int]
    offsets: list[tuple[int, int]]


class Windows:
    """Cuts windows out of passages, reproducibly: the same (seed, epoch, question) gives the same windows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        lengths: tuple[int, ...],
        weights: tuple[float, ...],
        negative_rate: float,
        title_rate: float,
        seed: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._lengths, self._weights = lengths, weights
        self._negative_rate, self._title_rate, self._seed = negative_rate, title_rate, seed
        self._cls, self._sep = tokenizer.encode("", add_special_tokens=True).ids
        self._passages: dict[str, _Tokens] = {}
        self._texts: dict[str, list[int]] = {}

    def of(self, question: Question, negatives: tuple[Passage, ...], group: int, epoch: int) -> list[Window]:
        """The question's own window, and sometimes one more from a passage that does not answer it."""
        rng = random.Random(f"{self._seed}:{epoch}:{question.question_id}")
        span = rng.choice(question.spans) if question.spans else None
        windows = [self._window(question.text, question.passage, span, group, rng)]
        if span and negatives and rng.random() < self._negative_rate:
            windows.append(self._window(question.text, rng.choice(negatives), None, group, rng))
        return windows

    def near_miss(self, question: Question, text: str, group: int, epoch: int) -> list[Window]:
        """A window with the answer of `question` in sight, which `text` does not ask for."""
        rng = random.Random(f"{self._seed}:{epoch}:{question.question_id}:near window")
        return [self._window(text, question.passage, rng.choice(question.spans), group, rng, near_miss=True)]

    def offsets(self, window: Window) -> list[tuple[int, int]]:
        """Where its context tokens stand in the stretch of text that it shows."""
        cut = window.cut
        return [(a - cut.stretch[0], b - cut.stretch[0]) for a, b in self._tokens(cut.passage).offsets[cut.tokens.start : cut.tokens.stop]]

    def _window(
        self, question: str, passage: Passage, span: tuple[int, int] | None, group: int, rng: random.Random, near_miss: bool = False
    ) -> Window:
        tokens = self._tokens(passage)
        length = rng.choices(self._lengths, self._weights)[0]
        first, last = _token_span(tokens.offsets, span) if span else (0, 0)
        room = max(length, last - first + 1)
        low, high = max(0, last + 1 - room), min(first, max(0, len(tokens.ids) - room))
        if not span:
            low, high = 0, max(0, len(tokens.ids) - room)
        begin = rng.randint(low, max(low, high))
        title = passage.title if passage.title and rng.random() < self._title_rate else ""
        asked = self._text(question)[:MAX_QUESTION_TOKENS]
        head = [self._cls, *asked, self._sep, *(self._text(title)[:MAX_HEADING_TOKENS] if title else [])]
        shown = range(begin, min(begin + room, len(tokens.ids)))
        answer = None if near_miss else span
        return Window(
            ids=array("i", [*head, *tokens.ids[shown.start : shown.stop], self._sep]),
            context_start=len(head),
            start=first - begin + len(head) if answer else 0,
            end=last - begin + len(head) if answer else 0,
            group=group,
            cut=Cut(
                question=question, title=title, passage=passage, tokens=shown, stretch=_stretch(tokens.offsets, shown), span=answer,
                sure=not near_miss,
            ),
        )  # fmt: skip

    def _tokens(self, passage: Passage) -> _Tokens:
        if passage.passage_id not in self._passages:
            encoding = self._tokenizer.encode(passage.text, add_special_tokens=False)
            self._passages[passage.passage_id] = _Tokens(encoding.ids, encoding.offsets)
        return self._passages[passage.passage_id]

    def _text(self, text: str) -> list[int]:
        if text not in self._texts:
            self._texts[text] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return self._texts[text]


def _token_span(offsets: list[tuple[int, int]], span: tuple[int, int]) -> tuple[int, int]:
    inside = [i for i, (start, end) in enumerate(offsets) if end > span[0] and start < span[1]]
    return (inside[0], inside[-1]) if inside else (0, 0)


def _stretch(offsets: list[tuple[int, int]], shown: range) -> tuple[int, int]:
    return (offsets[shown.start][0], offsets[shown.stop - 1][1]) if shown else (0, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays of shape (windows, tokens) or (windows,)."""

    ids: np.ndarray
    mask: np.ndarray
    types: np.ndarray
    allowed: np.ndarray
    """Where a span may start or end: the context and [CLS]."""
    start: np.ndarray
    end: np.ndarray
    group: np.ndarray
    row: np.ndarray
    sure: np.ndarray


def collate(windows: list[Window]) -> Batch:
    longest = max(len(w.ids) for w in windows)
    shape = (len(windows), longest)
    ids, mask, types = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    allowed = np.zeros(shape, dtype=bool)
    for row, window in enumerate(windows):
        size = len(window.ids)
        ids[row, :size] = window.ids
        mask[row, :size] = 1
        types[row, window.context_start : size] = 1
        allowed[row, window.context_start : size - 1] = True
    allowed[:, 0] = True
    return Batch(
        ids,
        mask,
        types,
        allowed,
        np.array([w.start for w in windows]),
        np.array([w.end for w in windows]),
        np.array([w.group for w in windows]),
        np.array([w.row for w in windows]),
        np.array([w.cut.sure for w in windows]),
    )


def batches(groups: list[list[Window]], *, tokens: int, seed: str) -> list[list[Window]]:
    """Token-budgeted batches of groups of like length, in a seeded order."""
    rng = random.Random(seed)
    order = list(range(len(groups)))
    rng.shuffle(order)
    made: list[list[Window]] = []
    for pool in (order[i : i + 2048] for i in range(0, len(order), 2048)):
        pool.sort(key=lambda i: max(len(w.ids) for w in groups[i]))
        made += _fill([groups[i] for i in pool], tokens)
    rng.shuffle(made)
    return made


def _fill(groups: list[list[Window]], tokens: int) -> list[list[Window]]:
    made: list[list[Window]] = []
    current: list[Window] = []
    for group in groups:
        longest = max(len(w.ids) for w in [*current, *group])
        if current and longest * (len(current) + len(group)) > tokens:
            made.append(current)
            current = []
        current = [*current, *group]
    return [*made, current] if current else made

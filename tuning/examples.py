"""A stage's windows, epoch after epoch, and the batches they make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tokenizers import Tokenizer

from tuning.dataset import Passage, Question
from tuning.features import Window, Windows, batches
from tuning.near_miss import NearMisses
from tuning.recipe import Recipe, Stage


@dataclass(frozen=True, kw_only=True, slots=True)
class StageData:
    questions: list[Question]
    negatives: dict[str, tuple[Passage, ...]]
    """By question id: passages that our retriever finds and that hold none of its answers."""


Groups = list[list[Window]]
"""The windows of each question."""


class Epochs(Protocol):
    def epoch(self, number: int) -> Groups:
        """The same on every call with the same number."""


class Examples:
    """New windows in every epoch."""

    def __init__(self, recipe: Recipe, stage: Stage, data: StageData, tokenizer: Tokenizer) -> None:
        self._stage, self._data, self._ambiguous = stage, data, recipe.ambiguous
        self._near_misses = NearMisses((q.passage for q in data.questions), stage.near_miss_rate, recipe.seed)
        self._windows = Windows(
            tokenizer,
            lengths=stage.lengths,
            weights=stage.weights,
            negative_rate=stage.negative_rate,
            title_rate=stage.title_rate,
            seed=recipe.seed,
        )

    def epoch(self, number: int) -> Groups:
        groups = []
        for place, question in enumerate(self._data.questions):
            if self._stage.left_by(question.passage.origin, number):
                continue
            groups.append(self._windows.of(question, self._data.negatives.get(question.question_id, ()), place, number))
            if question.passage.origin not in self._ambiguous and (near := self._near_misses.of(question, number)):
                groups.append(self._windows.near_miss(question, near, len(self._data.questions) + place, number))
        return groups

    def offsets(self, window: Window) -> list[tuple[int, int]]:
        return self._windows.offsets(window)


class Variants:
    """The windows of the first few epochs again and again, each with a row of its own: what labels can be kept for."""

    def __init__(self, examples: Examples, stage: Stage, variants: int) -> None:
        self._stage, self._made, row = stage, list[Groups](), 0
        for number in range(variants):
            groups: Groups = []
            for group in examples.epoch(number):
                groups.append([replace(window, row=row + i) for i, window in enumerate(group)])
                row += len(group)
            self._made.append(groups)

    def epoch(self, number: int) -> Groups:
        groups = self._made[number % len(self._made)]
        return [group for group in groups if not self._stage.left_by(group[0].cut.passage.origin, number)]

    def rows(self, variant: int) -> list[Window]:
        """The windows of one variant, in the order of their rows."""
        return [window for group in self._made[variant] for window in group]


def plan(epochs: Epochs, recipe: Recipe, stage: Stage, rank: int) -> Sequence[list[Window]]:
    """One worker's batches of all epochs, the same on every start."""
    made: list[list[Window]] = []
    number = 0
    while number < stage.epochs:
        whole = batches(epochs.epoch(number), tokens=recipe.tokens_per_batch, seed=f"{recipe.seed}:{stage.name}:{number}")
        made += whole[: round(len(whole) * min(1.0, stage.epochs - number))]
        number += 1
    even = len(made) - len(made) % recipe.workers
    return made[rank : even : recipe.workers]

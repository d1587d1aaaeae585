"""Trains the teacher and keeps what it sees in the student's windows; each part once a run."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuning.examples import Examples, StageData, Variants
from tuning.features import Window, collate
from tuning.fit import fit
from tuning.recipe import Recipe, Stage, Teaching
from tuning.soft_labels import SoftLabels, carry_over, label_files, write_labels
from tuning.stage_run import Progress
from tuning.student import open_tokenizer
from tuning.teacher import Teacher, TeacherModel, TeacherWindows
from tuning.teacher_source import TeacherSource

OnPart = Callable[[str, int, int], None]


def teach(
    recipe: Recipe, teaching: Teaching, data: dict[str, StageData], base: Path, out: Path, progress: Progress, on_part: OnPart
) -> Path:
    """Return the folder of the labels."""
    wanted = [file for stage in recipe.stages for file in label_files(out, stage.name, teaching.variants)]
    if all(file.exists() for file in wanted):
        return out
    teacher = Teacher(TeacherSource.find(teaching.model), base)
    weights = out / "final.pt"
    if not weights.exists():
        fit(_own_recipe(recipe, teaching), data, teacher, out, partial(_as_teacher, progress))
    model = teacher.build()
    model.load_state_dict(torch.load(weights, map_location="cpu"))
    labeller = Labeller(model, teacher.windows(), recipe.device, teaching.tokens_per_batch)
    for stage in recipe.stages:
        _label_stage(recipe, stage, teaching, data[stage.name], base, out, labeller, on_part)
    return out


def _own_recipe(recipe: Recipe, teaching: Teaching) -> Recipe:
    own = {"epochs": teaching.epochs, "learning_rate": teaching.learning_rate}
    stages = tuple(stage.model_copy(update=own) for stage in recipe.stages)
    return recipe.model_copy(update={"stages": stages, "tokens_per_batch": teaching.tokens_per_batch, "dropout": 0.0})


def _as_teacher(progress: Progress, stage: str, step: int, steps: int, loss: float, rate: float) -> None:
    progress(f"teacher, {stage}", step, steps, loss, rate)


def _label_stage(
    recipe: Recipe, stage: Stage, teaching: Teaching, data: StageData, base: Path, out: Path, labeller: "Labeller", on_part: OnPart
) -> None:
    examples = Examples(recipe, stage, data, open_tokenizer(base))
    variants = Variants(examples, stage, teaching.variants)
    for number, file in enumerate(label_files(out, stage.name, teaching.variants)):
        if not file.exists():
            windows = variants.rows(number)
            report = partial(on_part, f"labelling {stage.name}, {number + 1} of {teaching.variants}")
            write_labels(labeller.label(windows, examples, report), file)


class Labeller:
    """A trained teacher over the student's windows."""

    def __init__(self, model: TeacherModel, windows: TeacherWindows, device: str, tokens: int) -> None:
        self._model, self._windows, self._device = model.to(device).eval(), windows, device
        self._tokens = 4 * tokens  # without gradients four times as much fits

    def label(self, windows: Sequence[Window], examples: Examples, on_done: Callable[[int, int], None]) -> SoftLabels:
        """One row for each window, in their order."""
        labels = SoftLabels.empty(len(windows))
        theirs = [self._windows.of(window) for window in windows]
        done = 0
        for rows in _of_like_length(theirs, self._tokens):
            self._label([windows[row] for row in rows], [theirs[row] for row in rows], rows, examples, labels)
            done += len(rows)
            on_done(done, len(windows))
        return labels

    def _label(self, ours: list[Window], theirs: list[Window], rows: list[int], examples: Examples, labels: SoftLabels) -> None:
        logits = self._logits(theirs)
        labels.absent[rows] = torch.log_softmax(logits, 1)[:, 0].exp().cpu().numpy()
        labels.normaliser[rows] = torch.logsumexp(logits[:, 1:], 1).cpu().numpy()
        shares = torch.softmax(logits[:, 1:], 1).cpu().numpy()
        for own, their, row, share in zip(ours, theirs, rows, shares, strict=True):
            self._carry(own, share[their.context_start - 1 :], row, examples, labels)

    def _carry(self, own: Window, shares: NDArray[np.float32], row: int, examples: Examples, labels: SoftLabels) -> None:
        theirs, ours = self._windows.offsets(own), examples.offsets(own)
        if theirs and ours:
            for side in (0, 1):
                labels.put(row, side, carry_over(shares[: len(theirs), side], theirs, ours, side), own.context_start)

    @torch.no_grad()
    def _logits(self, windows: list[Window]) -> Tensor:
        batch = collate(windows)
        ids, mask, types, allowed = (torch.from_numpy(a).to(self._device) for a in (batch.ids, batch.mask, batch.types, batch.allowed))
        with torch.autocast(self._device, dtype=torch.bfloat16):
            logits: Tensor = self._model(ids, mask, types)
        return logits.float().masked_fill(~allowed.unsqueeze(-1), -1e4)


def _of_like_length(windows: Sequence[Window], tokens: int) -> Iterator[list[int]]:
    rows: list[int] = []
    for row in sorted(range(len(windows)), key=lambda i: len(windows[i].ids)):
        if rows and len(windows[row].ids) * (len(rows) + 1) > tokens:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows

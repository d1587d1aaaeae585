"""Trains a reader as its recipe says: alone, or after a teacher whose labels it learns."""

from collections.abc import Callable
from pathlib import Path

from tuning.examples import StageData
from tuning.fit import fit
from tuning.origin import Origin
from tuning.recipe import Recipe
from tuning.stage_run import Progress
from tuning.student import Student

OnPart = Callable[[str, int, int], None]


def train(
    recipe: Recipe, data: dict[str, StageData], origin: Origin, out: Path, on_step: Progress, on_part: OnPart,
    stop_after: int | None = None,
) -> Path:  # fmt: skip
    """Return the file of the final weights; call again to resume. `recipe` is settled on a device; `stop_after` as in `fit`."""
    labels = None
    if recipe.teacher is not None:
        from tuning.teach import teach

        labels = teach(recipe, recipe.teacher, data, origin.base, out / "teacher", on_step, on_part)
    student = Student(origin=origin, dropout=recipe.dropout, teaching=recipe.teacher, labels=labels)
    return fit(recipe, data, student, out, on_step, stop_after)

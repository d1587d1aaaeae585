"""The model card that goes with a reader's weights."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tuning.dataset import Question
from tuning.figures import LEVELS, Figures
from tuning.recipe import Recipe


def write_card(folder: Path, recipe: Recipe, base: str, trained_on: Sequence[Question], figures: Mapping[str, Figures]) -> None:
    """`README.md` in the model's folder: what it is, its data and licences, its recipe, its figures."""
    parts = [_HEAD.format(base=base, day=date.today().isoformat()), _data(recipe, trained_on), _recipe(recipe), _figures(figures), _TAIL]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


_HEAD = """# The reader

An extractive question-answering model: an encoder (here {base}) with a span head, {day}. It reads a question
with passages and marks the span that answers it, or says that none does. It never writes a word of its own. Words are read in lower
case; it was tuned on English only.

`reader.xml` and `reader.bin` are the graph and its fp16 weights for OpenVINO, `vectors.safetensors` the biases and layer norms whose
names the graph drops (further tuning starts from both), `calibrator.json` turns what the reader saw into P(correct), `checksums.json`
has every file's SHA-256."""

_TAIL = """## Limits

A calibrated confidence holds for questions and documents like those it was fitted on. On your own documents, measure before you trust
it. Questions that need several passages, arithmetic or a yes or no are not what it was trained for."""


def _data(recipe: Recipe, trained_on: Sequence[Question]) -> str:
    counts = Counter(q.passage.origin for q in trained_on)
    answerless = Counter(q.passage.origin for q in trained_on if not q.spans)
    rows = [f"| {name} | {recipe.licences.get(name, 'your own')} | {n:,} | {answerless[name]:,} |" for name, n in sorted(counts.items())]
    return "\n".join(["## Data", "", "| set | licence | questions for training | of them without an answer |", "|---|---|---|---|", *rows])


def _recipe(recipe: Recipe) -> str:
    stages = "; ".join(
        f"{s.name}: {s.epochs:g} epochs at {s.learning_rate:g}, hard negatives for {s.negative_rate:.0%}" for s in recipe.stages
    )
    again = "`recipe.json` holds every setting; `understudy tune reader --recipe recipe.json` runs it again."
    taught = f" Taught by {recipe.teacher.model}, trained on the same windows." if recipe.teacher else ""
    return f"## Recipe\n\n{stages}.{taught} Seed {recipe.seed}. {again}"


def _figures(figures: Mapping[str, Figures]) -> str:
    levels = " | ".join(f"accepted at {level:.0%} wrong" for level in LEVELS)
    head = f"| set | n | unanswerable | F1 | exact match | right | AUROC | {levels} |"
    return "\n".join(["## Figures", "", _NOTE, "", head, "|" + "---|" * (7 + len(LEVELS)), *(_row(name, f) for name, f in figures.items())])


_NOTE = """Over retrieval: the top 5 chunks of all passages of the set, documents that neither training nor calibration saw. Right: F1 of .5
or more with a gold answer, or abstained where there is none."""


def _row(name: str, of: Figures) -> str:
    auroc = "-" if of.auroc is None else f"{of.auroc:.3f}"
    accepted = " | ".join(f"{share:.0%}" for share in of.coverage.values())
    return f"| {name} | {of.n:,} | {of.unanswerable:,} | {of.f1:.1%} | {of.exact_match:.1%} | {of.right:.1%} | {auroc} | {accepted} |"

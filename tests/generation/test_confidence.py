"""Features, the calibrator's file, and the threshold that is chosen on held-out answers."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import CorruptModel
from core.types import Json
from generation.confidence import FEATURES, Calibrator, acceptance, features
from generation.reader.spans import WindowLogits, rank_spans
from tests.doubles import make_hit

TEXT = "The deposit is 40 euros."


def window(passage: int, text: str, start: int, end: int, height: float) -> WindowLogits:
    words = text.split(" ")
    ends = np.cumsum([len(w) + 1 for w in words]) - 1
    offsets = [(int(e) - len(w), int(e)) for w, e in zip(words, ends, strict=True)]
    logits = np.zeros((2, len(words)), np.float32)
    logits[0, start] = logits[1, end] = height
    return WindowLogits(passage, logits[0], logits[1], 0.0, 0.0, offsets)


def values(height: float, *texts: str) -> dict[str, float]:
    evidence = tuple(make_hit(text) for text in texts)
    spans = rank_spans([window(i, text, 3, 4, height if i == 0 else 0.0) for i, text in enumerate(texts)], [0.0] * len(texts))
    return dict(zip(FEATURES, features("How much is the deposit?", evidence, spans).tolist(), strict=True))


def settings(**changes: object) -> Json:
    ones: Json = {"mean": [0.0] * len(FEATURES), "scale": [1.0] * len(FEATURES), "weights": [0.0] * len(FEATURES), "bias": 1.0}
    held: Json = {"confidence": [0.9, 0.8, 0.7, 0.1], "right": [1, 1, 1, 0], "weight": [1, 1, 1, 1]}
    base: Json = {
        "format": 1, "reader": "ab" * 32, "features": list(FEATURES), "retrieval_weight": 2.0, "right": ones,
        "absent": {**ones, "bias": -3.0}, "absent_above": 0.7, "held_out": held,
    }  # fmt: skip
    return {**base, **changes}


def test_features_rise_with_the_readers_certainty() -> None:
    low, high = values(1.0, TEXT, "Nothing of the kind is here today."), values(9.0, TEXT, "Nothing of the kind is here today.")
    assert high["log_probability"] > low["log_probability"]
    assert high["null_margin"] > low["null_margin"]
    assert high["margin"] > low["margin"]
    assert high["entropy"] < low["entropy"]


def test_features_see_a_number_that_was_asked_for_and_words_of_the_question() -> None:
    found = values(9.0, TEXT)
    assert (found["wants_number"], found["has_number"], found["overlap_near"]) == (1.0, 1.0, 1.0)


def test_features_count_the_passages_that_hold_the_answer() -> None:
    assert values(9.0, TEXT, "A deposit of 40 euros. is due today")["holders"] == 2.0


def test_weigh_says_absent_only_above_its_limit() -> None:
    x = np.zeros(len(FEATURES))
    assert not Calibrator(settings()).weigh(x).absent
    assert Calibrator(settings(absent_above=0.01)).weigh(x).absent
    assert Calibrator(settings()).weigh(x).confidence == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_a_calibrator_of_another_reader_is_refused() -> None:
    with pytest.raises(CorruptModel, match="another reader"):
        Calibrator(settings()).check("cd" * 32)


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"format": 9}), json.dumps({"format": 1, "features": ["other"]})])
def test_a_damaged_calibrator_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "calibrator.json").write_text(content)
    with pytest.raises(CorruptModel, match="restore"):
        Calibrator.load(tmp_path / "calibrator.json")


def test_acceptance_takes_the_most_that_stay_within_the_limit() -> None:
    confidence = [0.99 - i / 1000 for i in range(200)]
    right = [1] * 100 + [0] * 10 + [1] * 40 + [0] * 50
    taken = acceptance(confidence, right, 0.10)
    kept = [r for c, r in zip(confidence, right, strict=True) if c >= taken.threshold]
    assert kept.count(0) / len(kept) <= 0.10
    assert len(kept) == round(taken.coverage * 200) > 140


def test_acceptance_of_the_hopeless_accepts_nothing() -> None:
    taken = acceptance([0.9, 0.8], [0, 0], 0.1)
    assert taken.threshold > 1
    assert taken.coverage == 0


def test_acceptance_takes_equal_confidences_together_or_not_at_all() -> None:
    taken = acceptance([0.95] * 20 + [0.9] * 40, [1] * 20 + [1] * 20 + [0] * 20, 0.1)
    assert taken.threshold == 0.95
    assert taken.coverage == pytest.approx(20 / 60)
    assert acceptance([0.9] * 40, [1] * 20 + [0] * 20, 0.1).coverage == 0


def test_acceptance_never_takes_an_abstention() -> None:
    assert acceptance([0.0] * 50, [1] * 50, 0.2).coverage == 0


def test_acceptance_counts_each_question_by_its_weight() -> None:
    confidence, right = [0.9 - i / 1000 for i in range(100)], [1, 1, 1, 0] * 25
    assert acceptance(confidence, right, 0.1).coverage < 0.1
    assert acceptance(confidence, right, 0.1, [1 if r else 0.25 for r in right]).coverage > 0.9


def test_features_expect_more_of_an_answer_that_other_likely_spans_overlap() -> None:
    texts = ("The deposit is 40 euros.", "Nothing of the kind is here today.")
    alone = values(9.0, *texts)
    torn = dict(zip(FEATURES, features("How much?", tuple(make_hit(t) for t in texts), rank_spans(
        [window(0, texts[0], 3, 4, 6.0), window(1, texts[1], 5, 5, 6.0)], [0.0, 0.0])).tolist(), strict=True))  # fmt: skip
    assert 0.9 < alone["agreeing"] <= 1.0
    assert torn["agreeing"] < 0.6
    assert torn["expected_f1"] < alone["expected_f1"]

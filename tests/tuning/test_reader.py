"""`tune reader` from question sets to a served folder, small: a few steps on sentences of our own."""

import json
from pathlib import Path

import pytest

from api.cli import run
from core.types import Json
from generation.tiers.reader import open_reader
from tests.doubles import make_hit
from tests.tuning.test_train import BASE, SHIPPED
from tuning.origin import Origin

ROOMS = ["north", "south", "east", "west", "upper", "lower", "inner", "outer", "front", "back"]
THINGS = ["lamps", "ropes", "tents", "bikes", "maps", "tools", "boots", "coats", "radios", "stoves", "paddles", "helmets"]
RECIPE = """
seed = 5
workers = 1
tokens_per_batch = 512
held_out = { "*" = 0.5 }
[licences]
own = "CC0"
[[stages]]
name = "rooms"
epochs = 0.2
learning_rate = 3e-4
"""


def write_set(folder: Path) -> None:
    folder.mkdir()
    paragraphs: list[Json] = []
    questions: list[Json] = []
    for i in range(480):
        thing, room = THINGS[i % 12], ROOMS[i * 7 % 10]
        text = f"Plan {i}. The {thing} of team {i} are kept in the {room} room."
        paragraphs.append({"pid": i, "title": f"Plan {i // 4}", "text": text})
        answers = [] if i % 4 == 3 else [{"text": f"the {room} room", "answer_start": text.index(f"the {room}")}]
        asked = f"Where are the {thing} of team {i}?" if answers else f"Who bought the {thing} of team {i}?"
        questions.append({"id": i, "pid": i, "question": asked, "answers": answers})
    for name, rows in (("paragraphs", paragraphs), ("questions", questions)):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, embedder_cache: Path) -> tuple[int, Path, str]:
    home = tmp_path_factory.mktemp("tune")
    write_set(home / "own")
    (home / "recipe.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERSTUDY_DATA_DIR", str(home / "data"))
        told = {"--data": home / "own", "--out": home / "run", "--recipe": home / "recipe.toml", "--from": SHIPPED}
        code = run(["tune", "reader", *(str(part) for option in told.items() for part in option), "--json"])
    return code, home / "run", (home / "run" / "reader" / "README.md").read_text()


def test_tune_reader_writes_a_folder_that_serves(tuned: tuple[int, Path, str], tmp_path: Path) -> None:
    code, out, _ = tuned
    assert code == 0
    tier = open_reader(out / "reader", tmp_path, max_wrong=0.1)
    draft = tier.read("Where are the lamps of team 3?", (make_hit("The lamps of team 3 are kept in the north room."),))
    assert 0.0 <= (draft.confidence or 0.0) <= 1.0


def test_tune_reader_says_what_it_was_made_of(tuned: tuple[int, Path, str]) -> None:
    _, out, card = tuned
    assert "| own | CC0 |" in card
    assert "Seed 5" in card
    assert f"trained on from the reader with the digest {Origin.of(BASE, SHIPPED).digest[:16]}" in card
    hashes = json.loads((out / "reader" / "checksums.json").read_text())
    assert {"reader.bin", "calibrator.json", "README.md", "recipe.json"} <= set(hashes)


def test_tune_reader_calibrates_on_documents_that_it_did_not_train_on(tuned: tuple[int, Path, str]) -> None:
    fitted = json.loads((tuned[1] / "reader" / "calibrator.json").read_text())["fitted_on"]
    assert fitted["documents"] == 30  # of 120: half held out, half of those for calibration
    assert fitted["questions"] == 120 + fitted["withheld"]
    assert 15 <= fitted["withheld"] <= 45  # a third of the 90 that have an answer


def test_tune_reader_refuses_a_folder_without_questions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["tune", "reader", "--data", str(tmp_path / "empty"), "--out", str(tmp_path / "run")]) == 1
    assert "no questions*.jsonl" in capsys.readouterr().err

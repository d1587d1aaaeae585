"""Question sets are read as they lie on disk, and split by document."""

import json
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.types import Json
from tuning.dataset import LONG, Passage, Question, pieces, read_folder, sample, split_by_document


def write(folder: Path, name: str, rows: list[Json]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))


def a_question(number: int, document: str, origin: str = "own") -> Question:
    passage = Passage(passage_id=f"p{number}", document=document, title="", text="Some text.", origin=origin)
    return Question(question_id=f"q{number}", text="Q?", passage=passage, spans=((0, 4),))


def test_read_folder_finds_an_answer_that_is_not_at_its_offset(tmp_path: Path) -> None:
    write(tmp_path / "own", "paragraphs.jsonl", [{"pid": "1", "title": "A_b", "text": "It opens at seven."}])
    asked = {"id": "x", "question": " When  does it open? ", "pid": "1", "answers": [{"text": "seven", "answer_start": 3}]}
    write(tmp_path / "own", "questions.jsonl", [asked])
    (found,) = read_folder(tmp_path / "own")
    assert (found.text, found.answers, found.passage.title) == ("When does it open?", ("seven",), "A b")


def test_read_folder_makes_one_passage_of_equal_texts(tmp_path: Path) -> None:
    for version in ("1", "2"):
        write(tmp_path / "own", f"paragraphs.v{version}.jsonl", [{"pid": f"p{version}", "title": "T", "text": "Same text."}])
        row = {"id": f"q{version}", "question": "Q?", "pid": f"p{version}", "answers": [], "is_impossible": True}
        write(tmp_path / "own", f"questions.v{version}.jsonl", [row])
    first, second = read_folder(tmp_path / "own")
    assert first.passage is second.passage


def test_read_folder_cuts_a_paper_to_the_piece_that_holds_the_answer(tmp_path: Path) -> None:
    text = "Filler sentence number one. " * 200 + "The answer is here. " + "More filler follows now. " * 200
    write(tmp_path / "own", "documents.jsonl", [{"doc_id": "1", "text": text}])
    write(tmp_path / "own", "questions.jsonl", [{"id": "x", "question": "Q?", "doc_id": "1", "answers": [{"text": "answer is here"}]}])
    (found,) = read_folder(tmp_path / "own")
    assert len(found.passage.text) <= LONG
    assert found.answers == ("answer is here",)


def test_read_folder_leaves_out_a_question_whose_answers_are_not_there(tmp_path: Path) -> None:
    write(tmp_path / "own", "paragraphs.jsonl", [{"pid": "1", "text": "It opens at seven."}])
    rows: list[Json] = [{"id": n, "question": "Q?", "pid": "1", "answers": a} for n, a in enumerate(([{"text": "nine"}], []))]
    write(tmp_path / "own", "questions.jsonl", rows)
    (kept,) = read_folder(tmp_path / "own")
    assert kept.question_id == "own:1"


UNKNOWN_PID = '{"id": 1, "question": "Q?", "pid": "9", "answers": []}'


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no questions"), ("{", "line 1 is not JSON"), (UNKNOWN_PID, "'9'"), ('{"id": 1}', "paragraph"), ("[]", "cannot be read")],
)
def test_read_folder_says_what_is_wrong(tmp_path: Path, content: str | None, message: str) -> None:
    write(tmp_path / "own", "paragraphs.jsonl", [])
    if content is not None:
        (tmp_path / "own" / "questions.jsonl").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_folder(tmp_path / "own")


def test_pieces_cover_the_text_in_order() -> None:
    text = "One two three four. " * 400
    found = list(pieces(text))
    assert "".join(text[start:end] for start, end in found) == text
    assert all(end - start <= LONG // 2 for start, end in found)


def test_split_by_document_never_parts_a_document_and_repeats_itself() -> None:
    questions = [a_question(i, f"d{i % 10}") for i in range(100)]
    kept, held = split_by_document(questions, {"*": 0.3}, 7)
    assert {q.passage.document for q in kept}.isdisjoint(q.passage.document for q in held)
    assert len({q.passage.document for q in held}) == 3
    assert split_by_document(list(reversed(questions)), {"*": 0.3}, 7)[1] == list(reversed(held))


def test_sample_is_seeded_and_in_order() -> None:
    questions = [a_question(i, "d") for i in range(50)]
    assert sample(questions, 5, 1) == sample(questions, 5, 1) != sample(questions, 5, 2)
    assert sample(questions, 99, 1) is questions

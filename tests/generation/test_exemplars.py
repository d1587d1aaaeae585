"""Worked examples: read with care, rendered the same everywhere."""

import json
from pathlib import Path

import pytest

from core.errors import InvalidSettings
from generation.exemplars import LIMIT, read_exemplars, render
from generation.policy import NOT_IN_DOCUMENTS

ROW = {"question": "How long?", "passages": [{"source": "a.md", "text": "Zwölf Tage."}], "answer": "Zwölf Tage"}


def written(folder: Path, *rows: object) -> Path:
    file = folder / "exemplars.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return file


def test_no_file_is_no_examples() -> None:
    assert read_exemplars(None) == ()
    assert render(()) == ""


def test_examples_are_rendered_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = read_exemplars(written(tmp_path, ROW, {"question": "Who?", "answer": None}))
    assert render(found) == (
        "<example>\n<passage>a.md: Zwölf Tage.</passage>\n<question>How long?</question>\n<answer>Zwölf Tage</answer>\n</example>\n"
        f"<example>\n<question>Who?</question>\n<answer>{NOT_IN_DOCUMENTS}</answer>\n</example>"
    )


def test_order_of_a_rows_keys_changes_nothing(tmp_path: Path) -> None:
    first = render(read_exemplars(written(tmp_path, ROW)))
    assert render(read_exemplars(written(tmp_path, dict(reversed(ROW.items()))))) == first


def test_two_hundred_are_taken_and_no_more(tmp_path: Path) -> None:
    assert len(read_exemplars(written(tmp_path, *[ROW] * LIMIT))) == LIMIT == 200
    with pytest.raises(InvalidSettings, match="holds 201 examples: keep the 200"):
        read_exemplars(written(tmp_path, *[ROW] * (LIMIT + 1)))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": "Who?"}, "answer: Field required"),
        ({"question": "", "answer": "A"}, "question"),
        (ROW | {"passage": "a"}, "passage: Extra"),
        ([], r"exemplars\.jsonl:2"),
    ],
)
def test_mistake_names_the_line_and_the_setting(tmp_path: Path, row: object, told: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"UNDERSTUDY_FRONTIER__EXEMPLARS: exemplars\.jsonl:2.*{told}|{told}"):
        read_exemplars(written(tmp_path, ROW, row))


def test_mark_that_windows_puts_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    file = written(tmp_path, ROW)
    plain = read_exemplars(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_exemplars(file) == plain


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"nothing\.jsonl"):
        read_exemplars(tmp_path / "nothing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match="UTF-8"):
        read_exemplars(tmp_path / "latin.jsonl")

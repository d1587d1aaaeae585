"""How a sync shows that it moves."""

import json

import pytest

from api.progress import counted, measured, shown_progress
from core.types import SyncProgress

STEPS = (
    SyncProgress(step="listing"),
    SyncProgress(step="parsing", documents=1, documents_total=2),
    SyncProgress(step="parsing", documents=2, documents_total=2),
    SyncProgress(step="embedding", documents=2, documents_total=2, chunks=3, chunks_total=9),
)


def test_lines_for_a_program_are_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(lines=True, quiet=True) as on_progress:
        for step in STEPS:
            on_progress(step)
    captured = capsys.readouterr()
    assert [json.loads(line)["step"] for line in captured.out.splitlines()] == ["listing", "parsing", "embedding"]
    assert captured.err == ""


def test_elsewhere_than_on_a_terminal_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(lines=False, quiet=False) as on_progress:
        for step in STEPS:
            on_progress(step)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["listing", "parsing 1/2 documents", "embedding 2/2 documents 3/9 chunks"]
    assert captured.out == ""


def test_bar_on_a_terminal_shows_documents_chunks_and_time(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.progress._is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with shown_progress(lines=False, quiet=True) as on_progress:
        for step in STEPS:
            on_progress(step)
    captured = capsys.readouterr()
    assert "3/9 chunks" in captured.err
    assert captured.out == ""


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(lines=False, quiet=True) as on_progress:
        on_progress(STEPS[0])
    assert capsys.readouterr() == ("", "")


def test_bar_measures_chunks_while_embedding_and_documents_before() -> None:
    assert [measured(step) for step in STEPS] == [(0, None), (1, 2), (2, 2), (3, 9)]
    assert counted(STEPS[0]) == ""

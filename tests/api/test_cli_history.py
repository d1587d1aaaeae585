"""Looking back on the command line, with real parts and an edited document."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli import run

QUESTION = "What does a day of parking cost?"
PARKING = "# Parking\n\nA day of parking costs {euros} euros.\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def edited(library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Version 1 is of the handbook; version 2 adds a note, and version 3 is of its edit."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    monkeypatch.chdir(library)
    notes = library / "notes"
    notes.mkdir()

    def run_here(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    (notes / "parking.md").write_text(PARKING.format(euros=14))
    run_here("ingest", "notes")
    (notes / "parking.md").write_text(PARKING.format(euros=17))
    assert run_here("sync")[0] == 0
    yield run_here
    signal.signal(signal.SIGTERM, handler)


def report(text: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(text.splitlines()[-1])
    return last


def test_ask_and_search_as_of_a_kept_version(edited: Run) -> None:
    now = report(edited("ask", QUESTION, "--json")[1])
    then = report(edited("ask", QUESTION, "--as-of", "2", "--json")[1])
    assert (now["index_version"], then["index_version"]) == (3, 2)
    assert ("17 euros" in now["citations"][0]["quote"], "14 euros" in then["citations"][0]["quote"]) == (True, True)
    hit = report(edited("search", QUESTION, "--as-of", "2", "--top-k", "1", "--json")[1])["hits"][0]
    assert "14 euros" in hit["text"]


def test_version_that_is_not_kept_is_one_line_with_those_that_are(edited: Run) -> None:
    code, out, err = edited("ask", QUESTION, "--as-of", "99")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "version 99 is not kept, or never was; these are: 3, 2, 1" in err

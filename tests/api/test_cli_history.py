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


def test_versions_are_shown_with_the_published_one_marked(edited: Run) -> None:
    _, out, _ = edited("versions")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert ("3 *" in lines[0], "*" in lines[1], "sync: 1 changed, 1 chunk embedded, in" in lines[0]) == (True, False, True)
    assert "3 documents, " in lines[2]
    shown = report(edited("versions", "--json", "--limit", "1")[1])
    assert (shown["published"], shown["next"]) == (3, 3)
    assert (shown["versions"][0]["changed"], shown["versions"][0]["documents"]) == (1, 4)
    assert "versions --before 3" in edited("versions", "--limit", "1")[1]


def test_versions_before_the_first_sync_say_what_to_do(edited: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path / "empty"))
    assert "understudy ingest PATH" in edited("versions")[1]
    code, _, err = edited("diff", "1", "2")
    assert (code, "Nothing is indexed yet" in err) == (1, True)


def test_diff_shows_numbers_then_documents_then_what_was_asked_for(edited: Run) -> None:
    code, out, _ = edited("diff", "1", "3")
    assert (code, out.splitlines()) == (
        0,
        [
            "Version 1 to 3: documents: 1 added",
            "chunks of these: 1 added, 0 removed, 0 kept",
            "+ added notes/parking.md  chunks: 1 added, 0 removed, 0 kept",
        ],
    )
    _, out, _ = edited("diff", "2", "3", "--show", "text")
    assert ("14 euros" in out, "17 euros" in out, "- Parking" in out, "+ Parking" in out) == (True, True, True, True)
    shown = report(edited("diff", "2", "3", "--json")[1])
    assert (shown["documents"]["changed"], shown["total"], shown["changes"][0]["listed"]) == (1, 1, [])
    assert "nothing differs" in edited("diff", "3", "3")[1]


def test_diff_says_how_to_go_on_where_it_stops(edited: Run, library: Path) -> None:
    for name in ("a", "b", "c"):
        (library / "notes" / f"{name}.md").write_text(f"# One\n\nFirst words of {name}.\n\n# Two\n\nMore words of {name}.\n")
    edited("sync")
    out = edited("diff", "3", "4", "--limit", "1", "--show", "headings", "--chunks", "1")[1]
    assert "2 of 3 documents are not shown: go on with `--offset 1`" in out
    assert "1 chunk more: `--chunks`" in out


def test_diff_of_what_cannot_be_shown_is_one_line(edited: Run) -> None:
    code, out, err = edited("diff", "2", "3", "--show", "colours")
    assert (code, out, len(err.splitlines()), "numbers, headings, text" in err) == (1, "", 1, True)


def test_rollback_brings_the_old_answer_back_and_holds_the_sources(edited: Run) -> None:
    code, out, _ = edited("rollback", "2")
    assert code == 0
    assert "The content of version 2 is published again, as version 4" in out
    assert ("1 changed" in out, "0 chunks embedded" in out, "until `understudy sync --release`" in out) == (True, True, True)
    assert "14 euros" in report(edited("ask", QUESTION, "--json")[1])["citations"][0]["quote"]
    for arguments in (("sync",), ("ingest", "notes")):
        code, out, err = edited(*arguments)
        assert (code, out, len(err.splitlines()), "since the rollback to version 2" in err) == (1, "", 1, True)
    assert "held since the rollback to version 2" in edited("status")[1]
    assert "rollback to 2: 1 changed" in edited("versions")[1]
    code, out, _ = edited("sync", "--release", "--json")
    assert (code, report(out)["version"], report(out)["changed"], report(out)["chunks_embedded"]) == (0, 5, 1, 0)
    assert "17 euros" in report(edited("ask", QUESTION, "--json")[1])["citations"][0]["quote"]
    assert edited("sync")[0] == 0


def test_rollback_json_is_the_object_of_http(edited: Run) -> None:
    shown = report(edited("rollback", "2", "--json")[1])
    assert (shown["version"], shown["content_of"], shown["changed"], shown["failed"]) == (4, 2, 1, [])


def test_rollback_to_what_is_not_kept_is_one_line(edited: Run) -> None:
    code, out, err = edited("rollback", "9")
    assert (code, out, len(err.splitlines()), "these are: 3, 2, 1" in err) == (1, "", 1, True)
    assert edited("rollback", "first")[0] == 1

"""What files and their names can do to a sync: clear words, nothing lost, and the next sync heals it."""

import os
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from sqlalchemy import select

from api.catalog import read_index
from core.errors import ParseFailed
from core.schema import index_versions
from core.types import SyncProgress, SyncReport
from ingest.files import File
from ingest.sandbox import Sandbox
from ingest.sync import sync
from ingest.watch import Pace, watch
from tests.ingest.conftest import House


def sync_while(house: House, step: str, act: Callable[[], object]) -> SyncReport:
    """A sync in whose midst, when it first tells of `step`, something happens."""
    acts = [act]

    def on_progress(progress: SyncProgress) -> None:
        if progress.step == step and acts:
            acts.pop()()

    return sync(replace(house.target, on_progress=on_progress), [house.docs])


def failed(report: SyncReport) -> dict[str, str]:
    return {failure.source: failure.reason for failure in report.failed}


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Writes a file while it is being read, so many times; gives the list of what was read."""

    def meddle_with(file: Path, times: int) -> list[str]:
        real, reads = open, list[str]()

        class Meddled:
            def __init__(self, opened: IO[bytes]) -> None:
                self.opened = opened

            def __enter__(self) -> "Meddled":
                return self

            def __exit__(self, *_: object) -> None:
                self.opened.close()

            def read(self, size: int) -> bytes:
                half = self.opened.read(3)
                if len(reads) < times:
                    file.write_text(f"Words {len(reads)}.")
                content = half + self.opened.read(size)
                reads.append(content.decode())
                return content

        monkeypatch.setattr(
            "ingest.files.open", lambda descriptor, mode, closefd: Meddled(real(descriptor, "rb", closefd=closefd)), raising=False
        )
        return reads

    return meddle_with


def test_file_that_changes_once_while_it_is_read_is_read_again(tmp_path: Path, meddle: Callable[..., list[str]]) -> None:
    file = tmp_path / "a.md"
    file.write_text("Old words.")
    reads = meddle(file, 1)
    assert File(file).read(1000) == b"Words 0."
    assert len(reads) > 1 and reads[-1] == "Words 0."


def test_file_that_keeps_changing_while_it_is_read_keeps_its_last_good_version(house: House, meddle: Callable[..., list[str]]) -> None:
    file = house.write("a.md", "Old words.")
    house.sync()
    house.write("a.md", "New words.")
    meddle(file, 3)
    report = house.sync()
    assert failed(report) == {"docs/a.md": "changes while it is read; the next sync reads it again"}
    assert house.documents()["docs/a.md"].text == "Old words."
    assert (house.sync().changed, house.documents()["docs/a.md"].text) == (1, "Words 2.")


def test_file_that_was_written_this_instant_is_read_twice(
    tmp_path: Path, meddle: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change would leave the clock of the file system as it is."""
    file = tmp_path / "a.md"
    file.write_text("Words.")
    written = file.stat().st_mtime
    clock = iter((written + 0.001, written + 1))
    monkeypatch.setattr("ingest.files.time.time", lambda: next(clock))
    reads = meddle(file, 0)
    assert (File(file).read(1000), len(reads)) == (b"Words.", 2)


def test_file_that_is_replaced_by_a_folder_while_the_sync_runs(house: House) -> None:
    file = house.write("a.md", "Old words.")
    house.write("b.md", "Other words.")
    house.sync()

    def replace_it() -> None:
        file.unlink()
        house.write("a.md/inside.md", "Words in the folder.")

    report = sync_while(house, "listing", replace_it)
    assert failed(report) == {"docs/a.md": "is not a file any more"}
    assert set(house.documents()) == {"docs/a.md", "docs/b.md"} and report.unchanged == 1
    report = house.sync()
    assert (report.added, report.removed, report.failed) == (1, 1, ())
    assert set(house.documents()) == {"docs/a.md/inside.md", "docs/b.md"}


def test_file_that_goes_while_the_sync_runs(house: House) -> None:
    file = house.write("a.md", "Old words.")
    house.sync()
    report = sync_while(house, "listing", file.unlink)
    assert "No such file" in failed(report)["docs/a.md"] and set(house.documents()) == {"docs/a.md"}
    assert (house.sync().removed, house.documents()) == (1, {})


@pytest.fixture
def open_house(house: House) -> Iterator[House]:
    """Its documents lie where anybody may read them."""
    with tempfile.TemporaryDirectory() as name:
        for folder in (Path(name), Path(name) / "docs", Path(name) / "data"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        yield replace(house, root=Path(name))


def test_file_that_loses_its_permission_keeps_its_last_good_version(open_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = open_house
    closed = house.write("a.md", "Old words.")
    house.write("b.md", "Other words.")
    house.sync()
    house.write("a.md", "New words.")
    house.write("b.md", "Newer words.")
    closed.chmod(0)
    real, me = os.open, os.geteuid()
    if me == 0:  # the superuser may read everything, so it steps down while it opens files

        def stepping_down(path: Path, flags: int, *rest: int) -> int:
            os.seteuid(65534 if Path(path).is_relative_to(house.docs) else me)
            try:
                return real(path, flags, *rest)
            finally:
                os.seteuid(me)

        monkeypatch.setattr("ingest.files.os.open", stepping_down)
    report = house.sync()
    assert failed(report) == {"docs/a.md": "cannot be read (Permission denied)"} and report.changed == 1
    assert {name: document.text for name, document in house.documents().items()} == {"docs/a.md": "Old words.", "docs/b.md": "Newer words."}
    monkeypatch.undo()
    closed.chmod(0o644)
    assert (house.sync().changed, house.documents()["docs/a.md"].text) == (1, "New words.")


def test_file_that_is_not_utf8_any_more(house: House) -> None:
    house.write("a.md", "The café opens at eight. Its owner is called Inês, and its cook Søren.")
    house.write("b.md", "Old words.")
    house.sync()
    house.write("a.md", "The café opens at eight. Its owner is called Inês, and its cook Søren.".encode("cp1252"))
    house.write("b.md", b"\xef\xbb\xbf" + b"Broken \xff\xfe words.")
    report = house.sync()
    assert list(failed(report)) == ["docs/b.md"] and "not valid utf-8" in failed(report)["docs/b.md"]
    assert "save it as UTF-8" in failed(report)["docs/b.md"] and house.documents()["docs/b.md"].text == "Old words."
    assert "café" in house.documents()["docs/a.md"].text


def test_name_that_moves_between_unicode_forms_is_the_same_document(house: House) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café\n.md") for form in ("NFC", "NFD"))
    file = house.write(composed, "Words.")
    first = house.sync()
    file.rename(house.docs / decomposed)
    second = house.sync()
    assert (second.version, second.unchanged) == (first.version, 1)
    assert list(house.documents()) == ["docs/café\ufffd.md"]
    house.write(composed, "Other words.")
    report = house.sync()
    assert len(report.failed) == 1 and "another Unicode form" in report.failed[0].reason
    assert len(house.documents()) == 1 and house.documents()["docs/café\ufffd.md"].text in ("Words.", "Other words.")


def test_name_that_changes_in_its_case_alone_is_a_rename(house: House) -> None:
    file = house.write("Leave.md", "Words.")
    house.sync()
    file.rename(house.docs / "leave.md")
    report = house.sync()
    assert (report.renamed, report.chunks_embedded, set(house.documents())) == (1, 0, {"docs/leave.md"})
    house.chunk_ids()


def test_name_of_two_lines_is_shown_on_one_and_found(house: House) -> None:
    house.write("two\nlines.md", "Words.")
    assert (house.sync().added, house.sync().unchanged) == (1, 1)
    (document,) = house.documents().values()
    assert (document.source, document.title) == ("docs/two\N{REPLACEMENT CHARACTER}lines.md", "two\N{REPLACEMENT CHARACTER}lines")
    house.write("two\nlines.md", b"\xff\xff\x00")
    assert list(failed(house.sync())) == ["docs/two\N{REPLACEMENT CHARACTER}lines.md"]
    (shown,) = read_index(house.engine, house.scope, sync_running=False).failed
    assert shown.source == "docs/two\N{REPLACEMENT CHARACTER}lines.md"


def test_change_that_leaves_size_and_clock_as_they_were_is_found(house: House) -> None:
    file = house.write("a.md", "The gate is open.")
    os.utime(file, (1e9, 1e9))
    house.sync()
    house.write("a.md", "The gate is shut.")
    os.utime(file, (1e9, 1e9))
    assert (house.sync().changed, house.documents()["docs/a.md"].text) == (1, "The gate is shut.")


@pytest.mark.parametrize("days", [(0, -400, -500, 1), (0, 0, -400, 0)])
def test_clock_that_is_set_back_loses_nothing(house: House, monkeypatch: pytest.MonkeyPatch, days: tuple[int, ...]) -> None:
    house.limits = replace(house.limits, longest_request_seconds=0)
    real = time.time
    for number, offset in enumerate((86_400 * day for day in days), start=1):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
        file = house.write("a.md", f"Words of version {number}.")
        os.utime(file, (real() + offset, real() + offset))
        assert (house.sync().version, house.version) == (number, number)
        assert house.documents()["docs/a.md"].text == f"Words of version {number}."
        house.chunk_ids()
    monkeypatch.setattr(time, "time", real)
    with house.engine.connect() as connection:
        kept = connection.execute(select(index_versions.c.version)).scalars().all()
    assert set(kept) == set(house.index.versions) and 4 in kept  # type: ignore[attr-defined]


def test_watcher_goes_on_when_the_clock_is_set_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    reports: list[SyncReport] = []
    listener = type("Heard", (), {"synced": staticmethod(reports.append), "failed": staticmethod(lambda *_: None)})()
    end = time.monotonic() + 60

    def goes_on() -> bool:
        if len(reports) == 1:
            house.write("a.md", "New words.")
        return not any(report.changed for report in reports) and time.monotonic() < end

    watch(house.target, Pace(quiet_seconds=0.1), listener, goes_on)
    assert house.documents()["docs/a.md"].text == "New words."


MANY = int(os.environ.get("TINY_FILES", "2000"))
LARGE = int(os.environ.get("LARGE_FILE_BYTES", "1_000_000"))


@pytest.mark.slow
def test_many_tiny_files(house: House) -> None:
    """`TINY_FILES=100000 python -m pytest tests/ingest/test_bad_files.py` takes minutes."""
    for number in range(MANY):
        house.write(f"{number % 50}/{number}.md", f"# Page {number}\n\nThis is page {number}.")
    report = house.sync()
    assert (report.added, report.failed, len(house.chunk_ids())) == (MANY, (), MANY)
    house.write("7/7.md", "# Page 7\n\nThis page has changed.")
    report = house.sync()
    assert (report.changed, report.unchanged, report.chunks_embedded) == (1, MANY - 1, 1)
    (house.docs / "7").rename(house.docs / "seven")
    report = house.sync()
    assert (report.renamed, report.unchanged, report.chunks_embedded) == (MANY // 50, MANY - MANY // 50, 0)


@pytest.mark.slow
def test_large_file_is_read_whole_and_its_edit_costs_one_edit(house: House) -> None:
    """`LARGE_FILE_BYTES=49000000 python -m pytest tests/ingest/test_bad_files.py` takes many minutes."""
    house.limits = replace(house.limits, min_chunk_tokens=48, max_chunk_tokens=200, parse_seconds=600)
    pages = [
        f"## Page {number}\n\nRule {number} of the house holds. {'It is kept by everybody in it. ' * 20}\n\n"
        for number in range(LARGE // 660)
    ]
    house.write("big.md", "".join(pages))
    report = house.sync()
    assert (report.added, report.failed) == (1, ()) and report.chunks_embedded >= len(pages)
    pages[len(pages) // 2] = pages[len(pages) // 2].replace("holds", "holds no more")
    house.write("big.md", "".join(pages))
    report = house.sync()
    assert (report.changed, report.failed) == (1, ()) and report.chunks_embedded == 1
    house.chunk_ids()


def test_large_file_has_as_much_time_as_it_is_large() -> None:
    with Sandbox(seconds=0.05) as sandbox:
        sandbox.parse(b"Words.", "text/plain")
        with pytest.raises(ParseFailed, match=r"longer than 0\.1 s .*UNDERSTUDY_INGEST__PARSE_SECONDS is the limit for each 10 MB"):
            sandbox.parse(b"*a **b " * (20_000_000 // 7 + 1), "text/markdown")


def test_large_file_that_takes_too_long_is_named_and_keeps_its_last_good_version(house: House) -> None:
    house.write("big.md", "Old words.")
    house.write("small.md", "Old words.")
    house.sync()
    house.write("big.md", b"*a **b " * 300_000)
    house.write("small.md", "New words.")
    house.limits = replace(house.limits, parse_seconds=2.0)
    report = house.sync()
    assert list(failed(report)) == ["docs/big.md"] and "took longer than 2 s" in failed(report)["docs/big.md"]
    assert {name: document.text for name, document in house.documents().items()} == {
        "docs/big.md": "Old words.",
        "docs/small.md": "New words.",
    }

"""The watcher on real files, with short pauses; every wait polls, and only a minute without the awaited is a failure."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from core.errors import SourcesHeld
from core.types import SyncReport
from ingest.git.polls import GitPolls
from ingest.lock import only_writer
from ingest.rollback import rollback
from ingest.sources import Source
from ingest.watch import Pace, watch
from tests.ingest.conftest import House
from tests.ingest.git.repository import Repository

SECONDS = 60.0
QUICK = Pace(quiet_seconds=0.1, check_seconds=3600, git_seconds=3600)


@dataclass
class Heard:
    reports: list[SyncReport] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    over: bool = False

    def synced(self, report: SyncReport) -> None:
        self.reports.append(report)

    def failed(self, error: Exception, pause: float) -> None:
        self.errors.append(error)


Start = Callable[..., Heard]


@pytest.fixture
def start(house: House) -> Iterator[Start]:
    """Watches in a thread, and has it leave in the end."""
    started: list[tuple[Heard, threading.Thread]] = []

    def run(pace: Pace = QUICK) -> Heard:
        heard = Heard()
        thread = threading.Thread(target=watch, args=(house.target, pace, heard, lambda: not heard.over), daemon=True)
        started.append((heard, thread))
        thread.start()
        until(lambda: heard.reports or heard.errors)
        return heard

    yield run
    for heard, thread in started:
        heard.over = True
        thread.join(SECONDS)
        assert not thread.is_alive()


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def text(house: House, source: str) -> str | None:
    document = house.documents().get(source)
    return document.text if document else None


def test_changes_are_followed(house: House, start: Start) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    start()
    house.write("a.md", "New words.")
    until(lambda: text(house, "docs/a.md") == "New words.")
    house.write("deep/er/b.md", "Another page.")
    until(lambda: text(house, "docs/deep/er/b.md"))
    (house.docs / "deep").rename(house.docs / "deeper")
    until(lambda: text(house, "docs/deeper/er/b.md") and not text(house, "docs/deep/er/b.md"))
    (house.docs / "a.md").unlink()
    until(lambda: text(house, "docs/a.md") is None)
    house.chunk_ids()


def test_burst_of_events_is_one_sync_and_silence_is_none(house: House, start: Start) -> None:
    house.write("a.md", "Words.")
    house.sync()
    heard = start(replace(QUICK, quiet_seconds=1.0))
    for number in range(30):
        house.write(f"{number}.md", f"Page {number}.")
    until(lambda: len(house.documents()) == 31)
    time.sleep(3)  # what a loop of its own events would need
    assert len(heard.reports) <= 4  # the first, and that of the burst, which a busy machine may cut in pieces


def test_own_data_inside_a_source_wakes_nobody(house: House, start: Start) -> None:
    house.write("a.md", "Words.")
    house.sync(house.root)
    heard = start()
    syncs = len(heard.reports)
    for number in range(3):
        (house.data_dir / f"{number}.md").write_text("Not for readers.")
        (house.root / ".hidden").mkdir(exist_ok=True)
        (house.root / ".hidden" / f"{number}.md").write_text("Not for readers.")
        time.sleep(0.5)
    assert len(heard.reports) == syncs
    house.write("a.md", "New words.")
    until(lambda: len(heard.reports) > syncs)


def test_folder_that_is_deleted_and_comes_back(house: House, start: Start) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    heard = start()
    house.docs.rename(house.root / "away")
    until(lambda: heard.reports[-1].failed)
    assert text(house, "docs/a.md") == "Old words."
    shutil.copytree(house.root / "away", house.docs)
    until(lambda: not heard.reports[-1].failed)
    house.write("a.md", "New words.")
    until(lambda: text(house, "docs/a.md") == "New words.")


def test_folder_behind_a_link_that_moves_on(house: House, start: Start, tmp_path: Path) -> None:
    house.write("../one/a.md", "Release one.")
    house.write("../two/a.md", "Release two.")
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    house.sync(link)
    start()
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(link)
    until(lambda: text(house, "current/a.md") == "Release two.")
    house.write("../two/a.md", "Release two, mended.")
    until(lambda: text(house, "current/a.md") == "Release two, mended.")


def test_single_file_that_an_editor_replaces(house: House, start: Start) -> None:
    file = house.write("a.md", "Old words.")
    house.sync(file)
    start()
    house.write(".a.md.new", "New words.").rename(file)
    until(lambda: text(house, "a.md") == "New words.")


def test_lost_event_is_found_by_the_full_check(house: House, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.file_events import FileEvents

    monkeypatch.setattr(FileEvents, "_concerned", lambda *_: iter(()))
    house.write("a.md", "Old words.")
    house.sync()
    start(replace(QUICK, check_seconds=1.0))
    house.write("a.md", "New words.")
    until(lambda: text(house, "docs/a.md") == "New words.")


def test_system_without_file_events_is_checked_now_and_then(house: House, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchfiles.watch", refused)
    house.write("a.md", "Old words.")
    house.sync()
    start(replace(QUICK, check_seconds=1.0))
    house.write("a.md", "New words.")
    until(lambda: text(house, "docs/a.md") == "New words.")


def test_source_that_another_process_adds_is_watched(house: House, start: Start, tmp_path: Path) -> None:
    house.write("a.md", "Words.")
    house.sync()
    start()
    house.write("../more/b.md", "Old words.")
    other = replace(house, engine=create_engine(house.engine.url))
    other.sync(tmp_path / "more")
    other.engine.dispose()
    house.write("../more/b.md", "New words.")
    until(lambda: text(house, "more/b.md") == "New words.")


def test_sync_that_fails_is_told_and_tried_again(house: House, start: Start) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    heard = start()
    house.embedder.fails_after = 0
    house.write("a.md", "New words.")
    until(lambda: len(heard.errors) >= 2)
    assert "the embedder broke" in str(heard.errors[0]) and text(house, "docs/a.md") == "Old words."
    house.embedder.fails_after = None
    until(lambda: text(house, "docs/a.md") == "New words.")


def test_watcher_waits_while_another_sync_runs(house: House, start: Start) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    heard = start()
    with only_writer(house.data_dir):
        house.write("a.md", "New words.")
        time.sleep(2)
        assert text(house, "docs/a.md") == "Old words."
    until(lambda: text(house, "docs/a.md") == "New words.")
    assert heard.errors == []


def test_git_remote_is_asked_now_and_then(house: House, start: Start, tmp_path: Path) -> None:
    repo = Repository.make(tmp_path / "handbook")
    repo.write("a.md", "Old words.")
    repo.commit()
    house.sync(repo.address)
    heard = start(replace(QUICK, git_seconds=0.5))
    repo.write("a.md", "New words.")
    repo.commit()
    until(lambda: text(house, "handbook/a.md") == "New words.")
    repo.folder.rename(tmp_path / "away")
    until(lambda: heard.reports[-1].failed)
    failed = len(heard.reports)
    time.sleep(2)
    assert len(heard.reports) == failed  # it is told once
    (tmp_path / "away").rename(repo.folder)
    until(lambda: not heard.reports[-1].failed)


def test_polls_wait_for_nobody_and_leave_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    source = Source(source_id="s", kind="git", location="git+https://host.example/repo", name="repo", revision="r")
    now = [0.0]
    polls = GitPolls(every_seconds=10, git_seconds=5, clock=lambda: now[0])
    began = time.monotonic()
    assert polls.moved([source]) == set()
    now[0] = 10.0
    assert polls.moved([source]) == set()
    until((tmp_path / "pid").exists)
    assert polls.moved([source]) == set() and time.monotonic() - began < 30
    now[0] = 16.0
    assert polls.moved([source]) == {"s"}  # it did not answer in time, which the sync will tell
    now[0] = 26.0
    polls.moved([source])
    polls.close()
    until((tmp_path / "pid").read_text)
    until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())


def test_commit_that_is_named_whole_is_never_asked_for() -> None:
    source = Source(source_id="s", kind="git", location="git+https://host.example/repo", name="repo", ref="a" * 40, revision="a" * 40)
    now = [0.0]
    polls = GitPolls(every_seconds=1, git_seconds=5, clock=lambda: now[0])
    for second in range(5):
        now[0] = float(second)
        assert polls.moved([source]) == set()
    assert polls._asked == {}


def test_rollback_is_not_undone_and_its_release_is_followed(house: House, start: Start) -> None:
    house.write("a.md", "Right words.")
    house.sync()
    heard = start()
    house.write("a.md", "Wrong words.")
    until(lambda: text(house, "docs/a.md") == "Wrong words." and len(heard.reports) >= 2)
    rollback(house.target, 1)
    house.write("b.md", "A change that wakes the watcher.")
    until(lambda: any(isinstance(error, SourcesHeld) for error in heard.errors))
    assert (text(house, "docs/a.md"), text(house, "docs/b.md")) == ("Right words.", None)
    house.write("a.md", "Mended words.")
    house.sync(release=True)
    assert (text(house, "docs/a.md"), text(house, "docs/b.md")) == ("Mended words.", "A change that wakes the watcher.")
    house.write("c.md", "It follows again.")
    until(lambda: text(house, "docs/c.md"))

"""`sync --watch` and `serve --watch` as processes of their own, with the real model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.watching import Watcher
from tests.api.conftest import ROOT, understudy

SECONDS = 90.0


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


def _hear_interrupts() -> None:
    """A job that a shell runs in the background ignores them, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Child:
    """A command that goes on; its lines are read as they come."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
        env = clean | {"UNDERSTUDY_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "api.cli", *arguments],
            env=env,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_interrupts,
        )
        self.lines: list[dict[str, Any]] = []
        self.complaints = ""
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._complain)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(json.loads(line))

    def _complain(self) -> None:
        for line in self.process.stderr or ():
            self.complaints += line

    def end(self, sent: signal.Signals) -> int:
        self.process.send_signal(sent)  # to nobody where it has ended
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        return code


@pytest.fixture
def run(living: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start(*arguments: str) -> Child:
        children.append(Child(living, *arguments))
        return children[-1]

    yield start
    for child in children:
        child.end(signal.SIGKILL)


@pytest.fixture
def living(tmp_path: Path, ingested: Path) -> Path:
    """A folder of its own with a source that may be changed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(ingested / "data" / "cache")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is green.\n")
    done = understudy("ingest", "docs", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_watch_tells_a_line_for_each_sync_and_leaves_in_peace(living: Path, run: Callable[..., Child], sent: signal.Signals) -> None:
    child = run("sync", "--watch", "--json")
    until(lambda: child.lines)
    (living / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is red.\n")
    until(lambda: child.lines[-1]["version"] == 2)
    assert (child.lines[-1]["changed"], child.lines[-1]["chunks_embedded"]) == (1, 1)
    assert (child.end(sent), child.complaints) == (0, "")
    assert [path.name for path in (living / "data" / "index").iterdir() if not path.name.isdigit()] in ([], [".lock"])


def test_watch_heals_a_lost_index_tells_a_failure_and_goes_on(living: Path, run: Callable[..., Child]) -> None:
    child = run("sync", "--watch", "--json")
    until(lambda: child.lines)
    shutil.rmtree(living / "data" / "index")
    (living / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is red.\n")
    until(lambda: child.lines[-1].get("changed") == 1)
    assert understudy("rollback", str(child.lines[-1]["version"]), folder=living).returncode == 0
    (living / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is grey.\n")
    until(lambda: "detail" in child.lines[-1])
    assert child.lines[-1]["type"] == "urn:understudy:problem:sources-held"
    until(lambda: "tried again in" in child.complaints)
    until(lambda: understudy("sync", "--release", folder=living).returncode == 0)
    (living / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is blue.\n")
    until(lambda: child.lines[-1].get("changed") == 1)
    assert child.end(signal.SIGTERM) == 0


def test_serve_with_watch_answers_from_what_was_just_written(living: Path, run: Callable[..., Child]) -> None:
    server = run("serve", "--watch", "--port", "0", "--json")
    until(lambda: server.lines)
    url = server.lines[0]["url"]
    until(lambda: '"event": "synced"' in server.complaints)

    def found() -> str:
        hits = httpx2.post(f"{url}/v1/search", json={"question": "gate of the depot"}, timeout=SECONDS).json()["hits"]
        return str(hits[0]["text"])

    assert "green" in found()
    (living / "docs" / "gate.md").write_text("# Gate\n\nThe gate of the depot is red.\n")
    until(lambda: "red" in found())
    children = watching_children(server.process.pid)
    assert len(children) == 1
    assert server.end(signal.SIGTERM) == 0
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_watching_child_of_a_killed_server_ends_by_itself(living: Path, run: Callable[..., Child]) -> None:
    server = run("serve", "--watch", "--port", "0", "--json")
    until(lambda: '"event": "synced"' in server.complaints)
    children = watching_children(server.process.pid)
    server.process.kill()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def watching_children(parent: int) -> list[int]:
    if not Path(f"/proc/{parent}").exists():
        pytest.skip("this system does not show its processes")
    named = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for tasks in named for child in tasks.read_text().split()]


def test_watcher_that_dies_is_started_again(tmp_path: Path) -> None:
    script = f"import os, time; open({str(tmp_path / 'starts')!r}, 'a').write('x'); print('{{\"version\": 1}}', flush=True); os._exit(3)"
    with Watcher([sys.executable, "-c", script]):
        until(lambda: (tmp_path / "starts").exists() and len((tmp_path / "starts").read_text()) >= 2)

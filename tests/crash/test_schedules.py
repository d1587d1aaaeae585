"""Fifty kills, each followed by the next sync, while readers ask all the while. The long run is `make bench ONLY=crash`."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_WRONG = ("lost", "mixed", "orphans", "duplicates", "errors")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_killed_writers_leave_nothing_lost_mixed_orphaned_or_twice(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        halves = list(pool.map(lambda seed: _run(tmp_path / str(seed), seed), (1, 2)))
    for half in halves:
        assert {name: half[name] for name in _WRONG} == {name: [] for name in _WRONG}
        assert half["n"] == 25 and half["reads"] > 100 and half["already_published"] > 0
        assert {kind.rpartition(" ")[2] for kind in half["kinds"]} == {"step", "line", "moment"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_writers_to_a_server_that_are_killed_leave_nothing_either(tmp_path: Path) -> None:
    result = _run(tmp_path / "server", 5, "--server")
    assert {name: result[name] for name in _WRONG} == {name: [] for name in _WRONG}
    assert result["n"] == 25 and result["reads"] > 25
    assert any(step.startswith(("before qdrant", "after qdrant")) for steps in result["steps"].values() for step in steps)


def _run(folder: Path, seed: int, *more: str) -> dict[str, Any]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.crash.schedules", str(folder), "--count", "25", "--seed", str(seed), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result

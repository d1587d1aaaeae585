"""A thousand kills at every step that lasts, at any line and at any moment, each healed by the next sync, under readers that never stop."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES = int(os.environ.get("CRASH_SCHEDULES", "1000"))
SERVER_SCHEDULES = int(os.environ.get("CRASH_SERVER_SCHEDULES", "200"))
SEED = 4
WORKERS = 2
_WRONG = {
    "lost": "documents, chunks or vectors lost",
    "mixed": "reads that were not of one version",
    "orphans": "leftovers after the next sync",
    "duplicates": "duplicates",
    "errors": "errors of readers, and syncs that did not heal",
}
_PARTS = 10
"""Each is a process of its own with its own seed, so a machine that is stopped loses little."""


def main() -> list[Figure]:
    return [*_suite("crash suite", SCHEDULES), *_suite("crash suite over a Qdrant server", SERVER_SCHEDULES, "--server")]


def _suite(name: str, schedules: int, *options: str) -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    counts = [len(range(part, schedules, _PARTS)) for part in range(_PARTS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = list(pool.map(lambda number: _part(folder / str(number), counts[number], SEED * 100 + number, options), range(_PARTS)))
    if all(not part[kind] for part in parts for kind in _WRONG):
        shutil.rmtree(folder)
    return _figures(name, parts, schedules)


def _part(place: Path, count: int, seed: int, options: Sequence[str]) -> dict[str, Any]:
    place.mkdir()
    command = [sys.executable, "-m", "tests.crash.schedules", str(place), "--count", str(count), "--seed", str(seed), *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    for kind in _WRONG:
        for finding in result[kind]:
            print(f"{kind}: {finding}")
    print(f"{place.name}: {result['n']} schedules in {result['seconds']:.0f} s", flush=True)
    return result


def _figures(name: str, parts: list[dict[str, Any]], wanted: int) -> list[Figure]:
    n = sum(part["n"] for part in parts)
    steps = {f"{operation}: {step}" for part in parts for operation, names in part["steps"].items() for step in names}
    follow = max(part["slowest_follow"] for part in parts)
    return [
        Figure(name=f"{name}: schedules", value=n, unit="", target=wanted, n=n, seed=SEED, note=_note(parts)),
        *(
            Figure(name=f"{name}: {shown}", value=sum(len(part[kind]) for part in parts), unit="", target=0, better="lower", n=n, seed=SEED)
            for kind, shown in _WRONG.items()
        ),
        Figure(name=f"{name}: different steps at which it died", value=len(steps), unit="", n=n, seed=SEED),
        Figure(name=f"{name}: reads meanwhile", value=_total(parts, "reads"), unit="", n=n, seed=SEED),
        Figure(name=f"{name}: slowest reader behind a sync", value=follow, unit="s", target=1.0, better="lower", n=n, seed=SEED),
    ]


def _note(parts: list[dict[str, Any]]) -> str:
    kinds: dict[str, int] = {}
    for part in parts:
        for kind, count in part["kinds"].items():
            kinds[kind] = kinds.get(kind, 0) + count
    killed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    again, after = _total(parts, "killed_twice"), _total(parts, "already_published")
    return f"{killed}; {again} times the sync that heals was killed too; {after} died after publishing"


def _total(parts: list[dict[str, Any]], name: str) -> int:
    return sum(part[name] for part in parts)

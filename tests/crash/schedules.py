"""A schedule: something that publishes is killed at one moment, then the next sync runs as if nothing had been, then all is compared.

`python -m tests.crash.schedules --count 50 --seed 1 FOLDER` runs some and prints one JSON object. It forks, so it must be a process
of its own.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.audit import audit, state_of
from tests.crash.kills import Kill, Recorded, draw_kills, record, run_killed
from tests.crash.place import OPERATIONS, OTHER, Operation, Place, operation, sync, warm_up
from tests.crash.processes import Child
from tests.crash.qdrant import running
from tests.crash.reader import Reader
from tests.crash.trees import stamps, write_tree

_LENGTH = 25
"""Schedules one after the other on one data directory, before a new one is begun."""
_READERS = 2
_FOLLOWS_SECONDS = 10.0
_TWICE = 0.15
"""How often the sync that heals is killed as well, before another one may heal."""
_READER_DIES = 0.1


@dataclass
class Result:
    """Of some schedules; `n` counts those in which the process really died."""

    n: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    """What was killed, and how often."""
    steps: dict[str, list[str]] = field(default_factory=dict)
    """By operation the steps at which it died."""
    ran_through: int = 0
    killed_twice: int = 0
    already_published: int = 0
    """Died after its publication: the new state stood, whole."""
    reads: int = 0
    refused: int = 0
    readers_killed: int = 0
    slowest_follow: float = 0.0
    """Seconds from the end of a sync to the slowest reader's first answer from its version."""
    lost: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.mixed or self.orphans or self.duplicates or self.errors)


def run(folder: Path, count: int, seed: int, qdrant: Path | None = None) -> Result:
    """Ends with the first data directory in which something was wrong, and leaves it there to be looked at."""
    warm_up(folder)
    draw = random.Random(seed)
    kills = draw_kills(_record_all(folder / "recorded", qdrant), draw)
    result = Result()
    number = 0
    while result.n < count and result.is_clean:
        number += 1
        place = Place(
            root=folder / str(number), seed=draw.randrange(1 << 30), longest_request_seconds=draw.choice((0.0, 2.0)),
            keep_vectors_days=draw.choice((0.0, 30.0)), qdrant=qdrant,
        )  # fmt: skip
        _Chain(place, draw, result).run(kills, min(_LENGTH, count - result.n))
        if result.is_clean:
            shutil.rmtree(place.root)
    return result


def _record_all(root: Path, qdrant: Path | None) -> dict[str, Recorded]:
    """One after the other, after so many versions that each has old ones to remove."""
    place = Place(root=root, seed=1, longest_request_seconds=0.0, keep_vectors_days=0.0, qdrant=qdrant)
    _begin(place)
    for number in range(1, 4):
        _done(Child(lambda _: _publish(place, operation("put", number))))  # noqa: B023
    write_tree(place.docs, place.seed, 1)
    recorded = {}
    for name in OPERATIONS:
        recorded[name] = record(place, operation(name, 4))
    return recorded


def _publish(place: Place, todo: Operation) -> None:
    todo.run(place, place.open())


def _begin(place: Place) -> Any:
    write_tree(place.docs, place.seed, 0)
    write_tree(place.others, place.seed + 1, 0)
    _done(Child(lambda _: sync(place, place.open(OTHER)) and None))
    return _done(Child(lambda _: sync(place, place.open()) and asdict(state_of(place.open()))))


def _heal(place: Place, notes: dict[str, str], erased: list[str]) -> dict[str, Any]:
    """The next sync, and what it left."""
    target = place.open()
    report = sync(place, target)
    assert report.failed == (), report
    return {"version": report.version, "state": asdict(state_of(target)), "findings": asdict(audit(place, target, notes, erased))}


def _done(child: Child) -> Any:
    ended = child.end()
    assert not ended.error and not ended.killed, ended.error
    return ended.told


class _Chain:
    """Schedules on one data directory, with readers that ask through all of them."""

    def __init__(self, place: Place, draw: random.Random, result: Result) -> None:
        self._place = place
        self._draw = draw
        self._result = result
        self._trouble = place.root / "trouble.jsonl"
        self._readers: list[Reader] = []
        self._digests: dict[str, str] = {}
        self._erased: list[str] = []

    def run(self, kills: Iterator[Kill], count: int) -> None:
        self._place.root.mkdir(parents=True)
        self._trouble.touch()
        state = _begin(self._place)
        self._readers = [self._reader() for _ in range(_READERS)]
        wanted = self._result.n + count
        generation = 0
        while self._result.n < wanted and self._result.is_clean:
            generation += 1
            state = self._schedule(next(kills), generation, state)
        for reader in self._readers:
            self._retire(reader)

    def _schedule(self, kill: Kill, generation: int, before: dict[str, Any]) -> dict[str, Any]:
        """What is published at the end."""
        where = f"{self._place.root}, generation {generation}, {kill}"
        write_tree(self._place.docs, self._place.seed, generation)
        todo = operation(kill.operation, generation)
        ended = run_killed(self._place, todo, kill)
        if ended.error:
            self._result.errors.append(f"{where}: {ended.error}")
        self._note(kill, killed=ended.killed)
        found = _done(Child(lambda _: asdict(state_of(self._place.open()))))
        if ended.killed:
            self._result.already_published += found["version"] != before["version"]
            self._result.mixed += [f"{where}: {what}" for what in _half_done(todo, generation, before, found)]
        if self._draw.random() < _TWICE:
            again = Kill(operation="sync", kind="moment", at=self._draw.uniform(0, 0.2))
            self._result.killed_twice += run_killed(self._place, operation("sync", generation), again).killed
        if todo.erases and found["version"] != before["version"]:
            notes, left = _notes(before["documents"]), _notes(found["documents"])
            self._erased += [text for note, text in notes.items() if note not in left]
        return self._healed(where, found)

    def _healed(self, where: str, found: dict[str, Any]) -> dict[str, Any]:
        notes = _notes(found["documents"])
        ended = Child(lambda _: _heal(self._place, notes, self._erased)).end()
        if ended.error:
            self._result.errors.append(f"{where}: the next sync does not heal: {ended.error}")
            return found
        for kind, findings in ended.told["findings"].items():
            getattr(self._result, kind).extend(f"{where}: {finding}" for finding in findings)
        self._follow(where, ended.told["version"])
        if self._draw.random() < _READER_DIES:
            self._readers.pop(0).kill()
            self._result.readers_killed += 1
            self._readers.append(self._reader())
        state: dict[str, Any] = ended.told["state"]
        return state

    def _note(self, kill: Kill, *, killed: bool) -> None:
        self._result.n += killed
        self._result.ran_through += not killed
        if killed:
            name = f"{kill.operation} at a {kill.kind}"
            self._result.kinds[name] = self._result.kinds.get(name, 0) + 1
        if killed and kill.kind == "step" and kill.at not in self._result.steps.setdefault(kill.operation, []):
            self._result.steps[kill.operation].append(str(kill.at))

    def _reader(self) -> Reader:
        return Reader(self._place, self._trouble, self._draw.randrange(1 << 30))

    def _follow(self, where: str, version: int) -> None:
        """Until every reader has answered from the newest version."""
        started = time.monotonic()
        for reader in self._readers:
            while reader.seen.version < version:
                if not reader.is_alive() or time.monotonic() - started > _FOLLOWS_SECONDS:
                    self._result.errors.append(f"{where}: a reader stays at {reader.seen} and does not come to version {version}")
                    break
                time.sleep(0.002)
        self._result.slowest_follow = max(self._result.slowest_follow, time.monotonic() - started)
        self._take_troubles(where)

    def _take_troubles(self, where: str) -> None:
        lines = self._trouble.read_text(encoding="utf-8").splitlines()
        self._trouble.write_text("", encoding="utf-8")
        for trouble in map(json.loads, lines):
            kept = self._result.mixed if trouble["kind"] == "mixed" else self._result.errors
            kept.append(f"{where}: a reader at version {trouble['version']}: {trouble['what']}")

    def _retire(self, reader: Reader) -> None:
        for version, digest in reader.stop().items():
            if self._digests.setdefault(version, digest) != digest:
                self._result.mixed.append(f"{self._place.root}: two readers saw different contents of version {version}")
        self._result.reads += reader.seen.reads
        self._result.refused += reader.seen.refused
        self._take_troubles(f"{self._place.root}, at its end")


def _notes(documents: dict[str, str]) -> dict[str, str]:
    return {source.removeprefix("api/"): text for source, text in documents.items() if source.startswith("api/")}


def _half_done(todo: Operation, generation: int, before: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What is published after the kill must be all of the old state or all of the new one."""
    was, now = before["documents"], found["documents"]
    if found["version"] == before["version"]:
        return [] if now == was else ["a version changed after its publication"]
    if todo.rolls_back:
        return [] if now == before["previous"] else ["not what was published before"]
    if _notes(now) != todo.notes_after(_notes(was)):
        return [f"notes {sorted(_notes(now))} after {sorted(_notes(was))}"]
    files = {source: text for source, text in now.items() if source.startswith("docs/")}
    if todo.reads_tree:
        return [] if files and all(stamps(text) == {generation} for text in files.values()) else ["files of several generations"]
    wanted = {} if todo.removes_tree else {source: text for source, text in was.items() if source.startswith("docs/")}
    return [] if files == wanted else ["files changed that this does not concern"]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", action="store_true", help="over a Qdrant server instead of the embedded engine")
    chosen = parser.parse_args()
    folder, started = chosen.folder.resolve(), time.monotonic()
    socket = Path(tempfile.mkdtemp(prefix="crash-")) / "qdrant" if chosen.server else None
    with nullcontext() if socket is None else running(socket):
        result = run(folder, chosen.count, chosen.seed, socket)
    sys.stdout.write(json.dumps({**asdict(result), "seconds": time.monotonic() - started}) + "\n")
    return 0 if result.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())

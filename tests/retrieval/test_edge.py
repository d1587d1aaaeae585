"""What the embedded index promises beyond the suite in tests/conformance/test_index.py."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from filelock import FileLock

from core.errors import CorruptIndex, StorageFull, SyncRunning, Unavailable
from core.types import Filters, Point
from retrieval.index.edge import EdgeIndex, EdgeVersion
from retrieval.index.scrap import held
from retrieval.sparse import Bm25Encoder
from tests.conformance.test_index import ACME, EMBEDDER, POINTS, build, found_ids, opened
from tests.privileges import without_privileges

READER = """
import pathlib, sys
from core.types import Filters
from retrieval.index.edge import EdgeIndex
from tests.conformance.test_index import ACME, EMBEDDER, found_ids, opened
version = opened(EdgeIndex(pathlib.Path(sys.argv[1])), 1)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    assert len(found_ids(version, ACME, "travel policy", limit=7)) >= 7
print(len(version.chunk_ids(ACME)))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("published")
    build(EdgeIndex(directory), ACME, 1, None, POINTS)
    return directory


@pytest.fixture
def copied(published: Path, tmp_path: Path) -> Path:
    shutil.copytree(published / "1", tmp_path / "1")
    return tmp_path


def test_several_processes_read_a_version_while_the_next_is_built(published: Path) -> None:
    command = [sys.executable, "-c", READER, str(published)]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
    started = [reader.stdin.write("go\n") for reader in readers if reader.stdin is not None]
    build(EdgeIndex(published), ACME, 2, 1, [], (POINTS[0].chunk_id,))
    assert len(started) == 2
    assert [reader.communicate(timeout=60)[0].strip() for reader in readers] == ["40", "40"]
    assert [reader.returncode for reader in readers] == [0, 0]


def test_opening_and_reading_change_nothing_that_is_checked(published: Path) -> None:
    for _ in range(3):
        version = opened(EdgeIndex(published), 1)
        found_ids(version, ACME, "travel policy")
        version.close()


def test_no_text_is_on_the_disk(published: Path) -> None:
    for path in published.rglob("*"):
        if path.is_file():
            assert b"policy" not in path.read_bytes(), path


def test_every_cut_file_is_noticed(copied: Path) -> None:
    files = [path for path in sorted((copied / "1" / "shard").rglob("*")) if path.is_file() and path.stat().st_size]
    assert len(files) > 20
    for path in files:
        kept = path.with_name("kept")
        path.rename(kept)
        path.write_bytes(b"not what it was")
        with pytest.raises(CorruptIndex, match="understudy rebuild"):
            opened(EdgeIndex(copied), 1)
        kept.replace(path)
    assert opened(EdgeIndex(copied), 1).chunk_ids(ACME)


def test_flipped_byte_in_a_large_file_is_not_carried_into_the_next_version(copied: Path) -> None:
    large = max((copied / "1" / "shard").rglob("*"), key=lambda path: path.stat().st_size)
    with large.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5")
    with pytest.raises(CorruptIndex, match="has changed"):
        build(EdgeIndex(copied), ACME, 2, 1, [])
    assert not (copied / "2").exists()


NEWER = b'{"format": 99, "embedder": "e", "dimensions": 1, "chunks": {}, "files": {}}'


@pytest.mark.parametrize("content", [b"", b"{", b"[]", NEWER, None])
def test_damaged_manifest_is_refused(copied: Path, content: bytes | None) -> None:
    manifest = copied / "1" / "manifest.json"
    if content is None:
        manifest.unlink()
    else:
        manifest.write_bytes(content)
    with pytest.raises(CorruptIndex, match="understudy rebuild"):
        opened(EdgeIndex(copied), 1)


def test_version_that_can_only_be_read_is_not_called_damaged(published: Path, shared_root: Path) -> None:
    shutil.copytree(published / "1", shared_root / "1")
    for path in [shared_root / "1", *shared_root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_privileges(), pytest.raises(Unavailable, match="whoever opens one must be able to write there"):
        opened(EdgeIndex(shared_root), 1)


def test_build_on_a_full_disk_is_refused_and_leaves_no_scrap(copied: Path) -> None:
    full = EdgeIndex(copied, spare_bytes=1 << 60)
    for base in (None, 1):
        with pytest.raises(StorageFull):
            build(full, ACME, 2, base, POINTS)
    assert sorted(path.name for path in copied.iterdir()) == [".lock", "1"]
    assert opened(full, 1).chunk_ids(ACME)


def test_second_writer_is_turned_away(copied: Path) -> None:
    index = EdgeIndex(copied)
    with FileLock(copied / ".lock"):
        with pytest.raises(SyncRunning):
            build(index, ACME, 2, 1, [])
        with pytest.raises(SyncRunning):
            index.collect([1])


def test_scrap_of_a_writer_that_died_is_removed(copied: Path) -> None:
    (copied / ".scrap-7").mkdir()
    (copied / ".scrap-7" / "half").write_bytes(b"x" * 1000)
    EdgeIndex(copied).collect([1])
    assert sorted(path.name for path in copied.iterdir()) == [".lock", "1"]


def test_version_has_left_its_name_before_its_files_go(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of a process that is just opening it puts files back, which nobody would remove."""
    removed: list[bool] = []
    rmtree = shutil.rmtree

    def watched(path: Path, **named: Any) -> None:
        removed.append(path.exists() and (copied / "1").exists())
        rmtree(path, **named)

    monkeypatch.setattr(shutil, "rmtree", watched)
    EdgeIndex(copied).collect([])
    assert removed and not any(removed)
    assert [path.name for path in copied.iterdir()] == [".lock"]


def test_version_that_is_just_being_opened_goes_afterwards(copied: Path) -> None:
    """The engine would make anew what it misses of it."""
    opening, left = Event(), []

    def open_slowly() -> None:
        with held(copied / "1"):
            opening.set()
            time.sleep(0.2)
            left.append((copied / "1").exists())

    with ThreadPoolExecutor() as pool:
        done = pool.submit(open_slowly)
        opening.wait()
        EdgeIndex(copied).collect([])
        done.result()
    assert left == [True] and not (copied / "1").exists()


def test_version_in_use_survives_its_collection(copied: Path) -> None:
    index = EdgeIndex(copied)
    version = opened(index, 1)
    index.collect([])
    dense = EMBEDDER.embed_query("travel policy")
    assert len(version.search(ACME, dense, "travel policy", limit=5, filters=Filters())) >= 5


def test_holes_of_a_base_are_not_filled_by_the_copy(published: Path) -> None:
    build(EdgeIndex(published), ACME, 3, 1, [])
    occupied = sum(os.stat(path).st_blocks * 512 for path in (published / "3").rglob("*"))
    assert occupied < 8_000_000


class Panic(BaseException):
    """As the engine raises them."""


@pytest.mark.parametrize(("reason", "expected"), [("index out of bounds", CorruptIndex), ("No space left on device", StorageFull)])
def test_panic_of_the_engine_while_building_is_a_clear_error(copied: Path, reason: str, expected: type[Exception]) -> None:
    def panicking() -> Iterator[Point]:
        yield POINTS[0]
        raise Panic(reason)

    with pytest.raises(expected):
        build(EdgeIndex(copied), ACME, 2, 1, panicking())
    assert sorted(path.name for path in copied.iterdir()) == [".lock", "1"]


def test_panic_of_the_engine_while_searching_is_a_clear_error() -> None:
    class Shard:
        def query_batch(self, _: object) -> None:
            raise Panic("index out of bounds")

    with pytest.raises(CorruptIndex, match="understudy rebuild"):
        found_ids(EdgeVersion(cast(Any, Shard()), Bm25Encoder()), ACME, "travel policy")


def test_interruption_by_a_person_stays_one(copied: Path) -> None:
    def interrupted() -> Iterator[Point]:
        yield POINTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(EdgeIndex(copied), ACME, 2, 1, interrupted())

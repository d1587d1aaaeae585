"""Directories that appear whole and durable or not at all."""

import errno
import fcntl
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

_BLOCK = 1 << 16
_ZEROS = bytes(_BLOCK)
_AT_ONCE = 4
_PASSING = ".atomicwrite"
"""How the engine's own files begin that last for an instant, also while it opens a version that is only read."""
_PATIENCE = 5.0  # seconds; opening a version takes some hundredths

Files: TypeAlias = dict[str, tuple[int, int]]
"""Size and CRC-32 of each file, by its path in the tree."""


def copy_sparse(source: Path, target: Path) -> Files:
    """Copy a tree, leaving zeros as holes: the engine sets files of 32 MB aside and fills a fraction of them.

    Returns what was read, so that it can be compared with what should have been there.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in _folders(source):
        (target / path.relative_to(source)).mkdir(exist_ok=True)
    return _each_file(source, lambda path: _copy_file(path, target / path.relative_to(source)))


def list_files(folder: Path) -> Files:
    return _each_file(folder, checksum)


def checksum(path: Path) -> int:
    """CRC-32 of the blocks that are not all zeros, each with its place."""
    crc = 0
    for offset, block in filled_blocks(path):
        crc = _continued(crc, offset, block)
    return crc


def filled_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb", buffering=0) as file:
        offset = _next_data(file.fileno(), 0)
        while block := os.pread(file.fileno(), _BLOCK, offset):
            if block != _ZEROS[: len(block)]:
                yield offset, block
            offset = _next_data(file.fileno(), offset + _BLOCK)


def publish(scrap: Path, final: Path) -> None:
    """Rename after everything is on the disk, so that a power cut leaves the old name or the whole new one."""
    for path in [scrap, *scrap.rglob("*")]:
        _sync(path)
    scrap.rename(final)
    _sync(final.parent)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody withdraws it meanwhile: the engine makes what it misses of a folder that it opens, and nobody would remove that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def withdraw(folder: Path, scrap: Path) -> None:
    """Rename before removing, so that whoever comes later finds nothing, and after whoever is just opening it has done so."""
    remove(scrap)
    with suppress(FileNotFoundError):
        _wait_for_holders(folder)
        folder.rename(scrap)
    remove(scrap)


def _wait_for_holders(folder: Path) -> None:
    """A process that is stopped while it opens must not stop this one for ever; what it leaves then goes with the next writer."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.005)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def occupied_bytes(folder: Path) -> int:
    """What a tree takes on the disk, holes not counted."""
    return sum(getattr(path.stat(), "st_blocks", 0) * 512 for path in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(path for inner in _folders(folder) for path in _entries(inner) if path.is_file())


def _folders(folder: Path) -> list[Path]:
    """Outer ones first, the folder itself among them."""
    return [folder, *(found for path in _entries(folder) if path.is_dir() for found in _folders(path))]


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith(_PASSING))


def _each_file(folder: Path, work: Callable[[Path], int]) -> Files:
    """Several at once: the engine lets go of what the system has cached, so that most of this waits for the disk."""
    paths = _files(folder)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return {
            path.relative_to(folder).as_posix(): (path.stat().st_size, crc)
            for path, crc in zip(paths, threads.map(work, paths), strict=True)
        }


def _copy_file(source: Path, target: Path) -> int:
    crc = 0
    with target.open("wb") as writing:
        for offset, block in filled_blocks(source):
            writing.seek(offset)
            writing.write(block)
            crc = _continued(crc, offset, block)
        writing.truncate(source.stat().st_size)
    return crc


def _continued(crc: int, offset: int, block: bytes) -> int:
    return zlib.crc32(block, zlib.crc32(offset.to_bytes(8, "little"), crc))


def _next_data(descriptor: int, offset: int) -> int:
    """The block that holds the next data at or after `offset`, in a file whose holes the file system may tell; else `offset`."""
    if not hasattr(os, "SEEK_DATA"):
        return offset
    try:
        return max(offset, os.lseek(descriptor, offset, os.SEEK_DATA) // _BLOCK * _BLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            return os.fstat(descriptor).st_size
        return offset


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

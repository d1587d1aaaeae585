"""Looks for a text in every byte under a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")


def files_holding(folder: Path, *needles: str | bytes) -> dict[str, str]:
    """Files that hold one of the needles, in any of the usual encodings and in any case: path -> what it holds."""
    wanted = {form.lower(): str(needle)[:60] for needle in needles for form in _forms(needle)}
    found: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            for piece in _pieces(path):
                found |= {str(path.relative_to(folder)): name for form, name in wanted.items() if form in piece}
    return found


def _forms(needle: str | bytes) -> list[bytes]:
    return [needle] if isinstance(needle, bytes) else [needle.encode(encoding) for encoding in _ENCODINGS]


def _pieces(path: Path) -> Iterator[bytes]:
    """All of it but the holes, which are zeros; the engine's files of 32 MB are little else."""
    with path.open("rb", buffering=0) as file:
        end, size = 0, os.fstat(file.fileno()).st_size
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole up to the end
                return
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield os.pread(file.fileno(), end - start, start).lower()

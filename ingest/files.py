"""The bytes of a file on this machine, in one consistent state."""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from core.errors import ParseFailed

_ATTEMPTS = 3
_CLOCK_STEP_SECONDS = 0.02  # more than the clock of any file system moves at once: within a step a second change would not show


@dataclass(frozen=True, slots=True)
class File:
    location: Path

    @property
    def stamp(self) -> None:
        """Clocks and sizes of files are no proof."""

    def read(self, max_bytes: int) -> bytes:
        """Raises ParseFailed with the reason."""
        try:
            for _ in range(_ATTEMPTS):
                content, is_whole = _read_once(self.location, max_bytes)
                if is_whole:
                    return content
                time.sleep(_CLOCK_STEP_SECONDS)
        except OSError as error:
            raise ParseFailed(f"cannot be read ({error.strerror or error})") from error
        raise ParseFailed("changes while it is read; the next sync reads it again")


def _read_once(path: Path, max_bytes: int) -> tuple[bytes, bool]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe under a file's name must not block
    try:
        before, started = os.fstat(descriptor), time.time()
        if not stat.S_ISREG(before.st_mode):
            raise ParseFailed("is not a file any more")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(max_bytes + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise ParseFailed(f"has grown over the limit of {max_bytes / 1e6:,.1f} MB (UNDERSTUDY_INGEST__MAX_FILE_BYTES)")
    was_quiet = not 0 <= started - before.st_mtime < _CLOCK_STEP_SECONDS
    return content, was_quiet and _written(before) == _written(after)


def _written(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size

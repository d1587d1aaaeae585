"""The bytes of a file on this machine, in one consistent state."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from core.errors import ParseFailed

_ATTEMPTS = 3


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
        except OSError as error:
            raise ParseFailed(f"cannot be read ({error.strerror or error})") from error
        raise ParseFailed("changes while it is read; the next sync reads it again")


def _read_once(path: Path, max_bytes: int) -> tuple[bytes, bool]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe under a file's name must not block
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ParseFailed("is not a file any more")
        content = file.read(max_bytes + 1)
        after = os.fstat(descriptor)
    if len(content) > max_bytes:
        raise ParseFailed(f"has grown over the limit of {max_bytes / 1e6:,.1f} MB (UNDERSTUDY_INGEST__MAX_FILE_BYTES)")
    return content, (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)

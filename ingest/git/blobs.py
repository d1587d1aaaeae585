"""Reads the files of a clone, one `git cat-file` for all of them."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ParseFailed
from ingest.git.command import end_git, start_git


class Blobs:
    """Starts with the first file that is read; close it in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.is_damaged = False
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: str) -> bytes | None:
        """By blob id, or as `COMMIT:PATH`; None where there is none. Raises ParseFailed where the clone is damaged."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(name.encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline().split()
            if answer[-1:] == [b"missing"]:
                return None
            size = int(answer[-1])
            content = process.stdout.read(size + 1)
        except (OSError, IndexError, ValueError) as error:
            raise self._damaged() from error
        if len(content) <= size:
            raise self._damaged()
        return content[:-1] if answer[1] == b"blob" else None

    def read_known(self, blob: str) -> bytes:
        """One that must be there."""
        content = self.read(blob)
        if content is None:
            raise self._damaged()
        return content

    def _damaged(self) -> ParseFailed:
        self.is_damaged = True
        self.close()
        return ParseFailed("cannot be read from the copy of its repository, which is damaged; the next sync fetches it again")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = start_git("cat-file", "--batch", folder=self._folder)
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            end_git(process)
            with process:  # closes the pipes and takes its exit
                pass


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a commit."""

    blobs: Blobs = field(compare=False)
    stamp: str

    def read(self, max_bytes: int) -> bytes:
        """Raises ParseFailed with the reason; the size was checked when it was listed."""
        return self.blobs.read_known(self.stamp)

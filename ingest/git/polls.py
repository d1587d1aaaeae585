"""Asks the remotes of git sources now and then whether their refs have moved, without waiting for any of them."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import Unavailable
from ingest.git.address import GitAddress, of_location
from ingest.git.clone import named_commit, question
from ingest.git.command import end_git, require_success, start_git, took_too_long
from ingest.sources import Source


@dataclass(frozen=True, slots=True)
class _Asked:
    address: GitAddress
    process: "subprocess.Popen[bytes]"
    began: float


class GitPolls:
    """A remote that cannot be reached has moved too, once: the sync then says so, and says so no more when it is back."""

    def __init__(self, *, every_seconds: float, git_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_seconds = every_seconds
        self._git_seconds = git_seconds
        self._clock = clock
        self._due: dict[str, float] = {}
        self._asked: dict[str, _Asked] = {}
        self._heard: dict[str, str] = {}

    def moved(self, sources: Sequence[Source]) -> set[str]:
        """Ids of the sources whose ref names another commit than it did; returns at once."""
        moved: set[str] = set()
        for source in sources:
            if source.kind == "git" and self._ask(source):
                moved.add(source.source_id)
        return moved

    def close(self) -> None:
        while self._asked:
            self._end(self._asked.popitem()[1].process)

    def _ask(self, source: Source) -> bool:
        now = self._clock()
        asked = self._asked.get(source.source_id)
        if asked is None:
            if now >= self._due.setdefault(source.source_id, now + self._every_seconds):
                self._start(source, now)
            return False
        if asked.process.poll() is None and now - asked.began < self._git_seconds:
            return False
        del self._asked[source.source_id]
        self._due[source.source_id] = now + self._every_seconds
        answer = self._answer(asked)
        before = self._heard.get(source.source_id, source.revision)
        self._heard[source.source_id] = answer
        return answer != before

    def _start(self, source: Source, now: float) -> None:
        address = of_location(source.location, source.ref)
        if not address.is_fixed:
            process = start_git(*question(address), stderr=subprocess.PIPE)
            self._asked[source.source_id] = _Asked(address, process, now)

    def _answer(self, asked: _Asked) -> str:
        """The commit, or what is wrong."""
        try:
            if asked.process.poll() is None:
                raise took_too_long(self._git_seconds)
            out, err = asked.process.communicate()
            require_success(asked.process, err)
            return named_commit(asked.address, out)
        except Unavailable as error:
            return str(error)
        finally:
            self._end(asked.process)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        end_git(process)
        with process:  # closes the pipes and takes its exit
            pass

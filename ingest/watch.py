"""Keeps the index in step with its sources: one sync after each change, for as long as the process lives."""

import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import SyncRunning
from core.types import SyncReport
from ingest.catalog import read_sources
from ingest.file_events import FileEvents
from ingest.git.polls import GitPolls
from ingest.sources import Source
from ingest.sync import sync
from ingest.target import Target

_WAIT_FOR_OTHERS_SECONDS = 0.2
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    quiet_seconds: float = 0.2
    """So long nothing may change before a sync begins."""
    check_seconds: float = 300.0
    """After so long everything is read again: events get lost."""
    git_seconds: float = 60.0
    """Between two questions to a git remote."""


class Listener(Protocol):
    def synced(self, report: SyncReport) -> None: ...

    def failed(self, error: Exception, pause: float) -> None:
        """The sync that failed is tried again after `pause` seconds."""
        ...


@dataclass(slots=True)
class _Pending:
    """What has to be read again, and from when on."""

    sources: set[str] = field(default_factory=set)
    everything: bool = True
    not_before: float = 0.0
    pause: float = _FIRST_PAUSE_SECONDS

    @property
    def only(self) -> Collection[str] | None:
        return None if self.everything else frozenset(self.sources)

    def is_due(self, now: float) -> bool:
        return now >= self.not_before and (self.everything or bool(self.sources))

    def put_off(self, now: float) -> float:
        """The pause until the next try, longer each time."""
        pause, self.pause = self.pause, min(self.pause * 2, _LONGEST_PAUSE_SECONDS)
        self.not_before = now + pause
        return pause


def watch(target: Target, pace: Pace, listener: Listener, goes_on: Callable[[], bool]) -> None:
    """Until `goes_on` says no, which is asked every tick, or an interrupt. A sync that fails is told and tried again."""
    pending, checked = _Pending(), time.monotonic()
    events = FileEvents(quiet_seconds=pace.quiet_seconds, apart_from=target.data_dir)
    polls = GitPolls(every_seconds=pace.git_seconds, git_seconds=target.limits.git_seconds)
    with closing(events), closing(polls):
        while goes_on():
            try:
                sources = _sources(target)
                pending.sources |= events.wait(sources) | polls.moved(sources)
                pending.everything |= time.monotonic() - checked >= pace.check_seconds
                if pending.is_due(time.monotonic()):
                    whole = pending.everything
                    report = sync(target, only=pending.only)
                    pending, checked = _Pending(everything=False), time.monotonic() if whole else checked
                    listener.synced(report)
            except SyncRunning:
                pending.not_before = time.monotonic() + _WAIT_FOR_OTHERS_SECONDS
            except Exception as error:  # whatever it is: the next change must be followed all the same
                listener.failed(error, pending.put_off(time.monotonic()))


def _sources(target: Target) -> list[Source]:
    with target.engine.connect() as connection:
        return read_sources(connection, target.scope)

"""Which folders and files have changed on disk: by the system's events, and by looking at the sources' own roots."""

import logging
import os
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from ingest.sources import Source, is_hidden, real_path

TICK_SECONDS = 0.5
_LONGEST_SECONDS = 3.0
"""However busy a folder is: after so long its changes are told."""
_log = logging.getLogger(__name__)

_Mark: TypeAlias = tuple[int, ...] | None


class FileEvents:
    """Events get lost, and no system tells of a root that comes back: each tick the roots are looked at as well."""

    def __init__(self, *, quiet_seconds: float, apart_from: Path) -> None:
        """`apart_from` is our own data, which may lie in a source."""
        self._quiet_seconds = quiet_seconds
        self._apart_from = real_path(apart_from)
        self._marks: dict[str, _Mark] = {}
        self._watched: dict[Path, str] = {}
        self._stream: Generator[set[str]] = self._events(())

    def wait(self, sources: Sequence[Source]) -> set[str]:
        """Ids of the sources in which something may have changed; waits a tick at most, and longer only while changes go on."""
        changed = self._look_at_roots([source for source in sources if source.kind in ("folder", "file")])
        return changed | {source_id for path in next(self._stream) for source_id in self._concerned(Path(path))}

    def close(self) -> None:
        self._stream.close()

    def _look_at_roots(self, sources: Sequence[Source]) -> set[str]:
        """Also those that are new here: what changed before they were watched is not known."""
        marks = {source.source_id: _mark(source) for source in sources}
        changed = {source_id for source_id, mark in marks.items() if self._marks.get(source_id, ()) != mark}
        if marks != self._marks:
            roots = {real_path(source.location): source.source_id for source in sources if source.kind == "folder"}
            self._watched = {root: source_id for root, source_id in roots.items() if root.is_dir()}
            self._stream.close()
            self._stream = self._events(list(self._watched))
        self._marks = marks
        return changed

    def _events(self, roots: Sequence[Path]) -> Generator[set[str]]:
        """A tick without a change is an empty set."""
        from watchfiles import watch

        try:
            for changes in watch(
                *roots, watch_filter=None, step=round(self._quiet_seconds * 1000), debounce=round(_LONGEST_SECONDS * 1000),
                rust_timeout=round(TICK_SECONDS * 1000), yield_on_timeout=True, ignore_permission_denied=True,
            ):  # fmt: skip
                yield {path for _, path in changes}
        except (OSError, RuntimeError) as error:
            _log.warning("file events are not available (%s): changes are found by the full check alone", error)
        while True:
            time.sleep(TICK_SECONDS)
            yield set()

    def _concerned(self, path: Path) -> Iterator[str]:
        if path.is_relative_to(self._apart_from):
            return
        for root, source_id in self._watched.items():
            if path.is_relative_to(root) and not any(is_hidden(step) and step != ".gitignore" for step in path.relative_to(root).parts):
                yield source_id


def _mark(source: Source) -> _Mark:
    """Another one says that the root went, came back or was replaced; of a file also that it was written."""
    try:
        status = os.stat(source.location)
    except OSError:
        return None
    identity = (status.st_dev, status.st_ino)
    return identity if source.kind == "folder" else (*identity, status.st_mtime_ns, status.st_size)

"""How far the sync is that holds the lock, for every process that looks."""

import json
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from core.protocols import OnProgress
from core.types import Json, Scope, SyncProgress
from ingest.lock import lock_file, sync_runs

_NOTE_SECONDS = 0.2


def noted(data_dir: Path, scope: Scope, on_progress: OnProgress) -> OnProgress:
    """Also writes each step into the lock's file, where any process can read how far the sync is; only for who holds the lock."""
    last = ("", 0.0)

    def note(progress: SyncProgress) -> None:
        nonlocal last
        on_progress(progress)
        if progress.step != last[0] or time.monotonic() - last[1] >= _NOTE_SECONDS:
            last = (progress.step, time.monotonic())
            # a sync does not end because nobody can be told how far it is
            with suppress(OSError), lock_file(data_dir).open("r+", encoding="utf-8") as file:
                file.truncate()
                file.write(json.dumps({"tenant": scope.tenant, **asdict(progress)}))

    return note


def read_progress(data_dir: Path, scope: Scope) -> SyncProgress | None:
    """Of the tenant's sync that runs now; None where there is none, or it has not said yet."""
    if not sync_runs(data_dir):
        return None
    with suppress(OSError, ValueError, TypeError):
        said: Json = json.loads(lock_file(data_dir).read_bytes())
        if said.pop("tenant") == scope.tenant:
            return SyncProgress(**said)
    return None

"""One sync at a time on a data directory, and how far it is."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Engine, func, select

from core.errors import SyncRunning
from core.protocols import OnProgress
from core.types import Json, Scope, SyncProgress

_NAME = "sync.lock"
_DATABASE_LOCK = 8378
_PATIENCE = 0.25  # seconds; `sync_runs` holds the lock for an instant
_NOTE_SECONDS = 0.2


@contextmanager
def only_writer(data_dir: Path) -> Iterator[None]:
    """The lock belongs to the process and ends with it, however it ends. Raises SyncRunning."""
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor)
        os.ftruncate(descriptor, 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def only_database_writer(engine: Engine) -> Iterator[None]:
    """Also among machines that share a PostgreSQL; a SQLite file has one machine. The lock ends with its connection."""
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(select(func.pg_try_advisory_lock(_DATABASE_LOCK))).scalar_one():
            raise SyncRunning("another machine is syncing into this database: wait for it to end, then try again")
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(_DATABASE_LOCK)))


def sync_runs(data_dir: Path) -> bool:
    try:
        descriptor = os.open(data_dir / _NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def noted(data_dir: Path, scope: Scope, on_progress: OnProgress) -> OnProgress:
    """Also writes each step into the lock's file, where any process can read how far the sync is; only for who holds the lock."""
    last = ("", 0.0)

    def note(progress: SyncProgress) -> None:
        nonlocal last
        on_progress(progress)
        if progress.step != last[0] or time.monotonic() - last[1] >= _NOTE_SECONDS:
            last = (progress.step, time.monotonic())
            # a sync does not end because nobody can be told how far it is
            with suppress(OSError), (data_dir / _NAME).open("r+", encoding="utf-8") as file:
                file.truncate()
                file.write(json.dumps({"tenant": scope.tenant, **asdict(progress)}))

    return note


def read_progress(data_dir: Path, scope: Scope) -> SyncProgress | None:
    """Of the tenant's sync that runs now; None where there is none, or it has not said yet."""
    if not sync_runs(data_dir):
        return None
    with suppress(OSError, ValueError, TypeError):
        said: Json = json.loads((data_dir / _NAME).read_bytes())
        if said.pop("tenant") == scope.tenant:
            return SyncProgress(**said)
    return None


def _acquire(descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise SyncRunning() from error
            time.sleep(0.02)

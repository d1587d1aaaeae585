"""One sync at a time on a data directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

from core.database import is_full
from core.errors import SyncRunning, Unavailable

_NAME = "sync.lock"
_DATABASE_LOCK = 8378
_PATIENCE = 0.25  # seconds; `sync_runs` holds the lock for an instant


@contextmanager
def only_writer(data_dir: Path) -> Iterator[None]:
    """The lock belongs to the process and ends with it, however it ends. Raises SyncRunning and Unavailable."""
    descriptor = _opened(data_dir, os.O_RDWR | os.O_CREAT)
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
        descriptor = _opened(data_dir, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(data_dir: Path, flags: int) -> int:
    """Raises FileNotFoundError where there is none that could be read."""
    try:
        if flags & os.O_CREAT:
            data_dir.mkdir(parents=True, exist_ok=True)
        return os.open(data_dir / _NAME, flags | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_full(error):
            raise
        raise Unavailable(
            f"the data directory {str(data_dir)!r} cannot be used ({error.strerror}): who runs this must be able to write there"
        ) from error


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


def lock_file(data_dir: Path) -> Path:
    return data_dir / _NAME

"""Documents on their way in, under the data directory; those of a server that died are removed by the next writer."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "upload-"


@contextmanager
def upload_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for one upload. Its lock belongs to this process and ends with it, so that others see whether anybody needs it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=data_dir))
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(data_dir: Path) -> None:
    """Raises OSError where one stays."""
    for folder in data_dir.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):  # its own server was faster
            _remove_unless_held(folder)


def _remove_unless_held(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)

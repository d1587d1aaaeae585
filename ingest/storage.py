"""A full disk, however it shows itself, is one clear error."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from core.errors import StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_POSTGRES_FULL = "53100"


@contextmanager
def storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull() from error
        raise
    except DBAPIError as error:
        if "database or disk is full" in str(error.orig) or getattr(error.orig, "sqlstate", None) == _POSTGRES_FULL:
            raise StorageFull() from error
        raise

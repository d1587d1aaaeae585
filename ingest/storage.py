"""A full disk, however it shows itself, is one clear error."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from core.database import is_full
from core.errors import StorageFull


@contextmanager
def storage_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, DBAPIError) as error:
        if is_full(error):
            raise StorageFull() from error
        raise

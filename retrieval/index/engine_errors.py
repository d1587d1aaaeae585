"""What the engine raises, as errors that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import CorruptIndex, StorageFull, UnderstudyError


@contextmanager
def storage_errors() -> Iterator[None]:
    with engine_panics():
        try:
            yield
        except UnderstudyError:
            raise
        except Exception as error:  # the engine raises bare Exception
            if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in str(error):
                raise StorageFull() from error
            raise


@contextmanager
def engine_panics() -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if not is_panic(error):
            raise
        if "No space left" in str(error):
            raise StorageFull() from error
        raise CorruptIndex(f"the engine gave up on the index ({error}). {CorruptIndex.__doc__}") from error


def is_panic(error: BaseException) -> bool:
    """A damaged file can make the engine panic, which Python sees as a BaseException."""
    return not isinstance(error, Exception | KeyboardInterrupt | SystemExit | GeneratorExit)

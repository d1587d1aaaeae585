"""The generator mode: kept in SQL and read at each request, so every process sees a toggle."""

from typing import TypeGuard

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from core.database import read_state, write_state
from core.errors import InvalidInput
from core.types import MODES, Mode

_KEY = "mode"


def read_mode(engine: Engine, *, default: Mode) -> Mode:
    """The stored mode; the default where none was ever stored."""
    with engine.connect() as connection:
        stored = read_state(connection, _KEY)
    return default if stored is None else parse_mode(stored)


def write_mode(engine: Engine, mode: Mode) -> None:
    with engine.begin() as connection:
        write_state(connection, _KEY, mode)


def keep_first_mode(engine: Engine, mode: Mode) -> None:
    """Store the mode of a new database; leave a stored one alone."""
    with engine.connect() as connection:
        if read_state(connection, _KEY) is not None:
            return
    try:
        write_mode(engine, mode)
    except IntegrityError:
        return  # another process was first


def parse_mode(text: str) -> Mode:
    if not _is_mode(text):
        raise InvalidInput(f"unknown mode {text!r}: use one of {', '.join(MODES)}")
    return text


def _is_mode(text: str) -> TypeGuard[Mode]:
    return text in MODES

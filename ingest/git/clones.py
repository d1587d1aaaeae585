"""Where the clones of git sources are, and what of them stays."""

import logging
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from core.errors import Unavailable
from core.schema import sources
from ingest.git.clone import Clone

_FOLDER = "sources"
_SUFFIX = ".git"
_log = logging.getLogger(__name__)


def clone_of(data_dir: Path, source_id: str) -> Clone:
    return Clone(data_dir / _FOLDER / f"{source_id}{_SUFFIX}")


def clone_beside(folder: Path, data_dir: Path, source_id: str) -> Clone:
    """A clone to throw away: it reads what the usual one has, and leaves it as it is."""
    return Clone(folder / f"{source_id}{_SUFFIX}", lender=clone_of(data_dir, source_id).folder)


def collect_clones(engine: Engine, data_dir: Path) -> None:
    """Best effort: clones of sources that are no more go, and of the others what no followed commit holds any more."""
    try:
        with engine.connect() as connection:
            wanted = set(connection.execute(select(sources.c.source_id).where(sources.c.kind == "git")).scalars())
        for folder in (data_dir / _FOLDER).glob(f"*{_SUFFIX}"):
            if folder.name.removesuffix(_SUFFIX) not in wanted:
                Clone(folder).remove()
            else:
                Clone(folder).shrink()
    except (Unavailable, OSError, SQLAlchemyError) as error:
        _log.warning("clones of git sources could not be cleaned up yet: %s", error)

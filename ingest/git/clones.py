"""Where the clones of git sources are, and what of them stays."""

import logging
from pathlib import Path

from sqlalchemy import Engine, exists, select
from sqlalchemy.exc import SQLAlchemyError

from core.errors import Unavailable
from core.schema import forgotten, sources
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
    """Best effort: of a clone only what the followed commit holds stays, and of some nothing does.

    Those are the clones of sources that are no more, and of those with a forgotten document: the repository still has its file,
    so such a source is fetched as a whole each time its ref moves, and what was fetched goes when it is read.
    """
    try:
        with engine.connect() as connection:
            erased = exists().where(forgotten.c.tenant == sources.c.tenant, forgotten.c.source_id == sources.c.source_id)
            wanted = set(connection.execute(select(sources.c.source_id).where(sources.c.kind == "git", ~erased)).scalars())
        for folder in (data_dir / _FOLDER).glob(f"*{_SUFFIX}"):
            if folder.name.removesuffix(_SUFFIX) not in wanted:
                Clone(folder).remove()
            else:
                Clone(folder).shrink()
    except (Unavailable, OSError, SQLAlchemyError) as error:
        _log.warning("clones of git sources could not be cleaned up yet: %s", error)

"""Opens a version as soon as it is published, so that no request has to wait for that."""

from anyio import sleep, to_thread
from sqlalchemy.exc import SQLAlchemyError

from api.logs import LOG
from core.errors import NothingPublished, UnderstudyError
from core.protocols import Retriever

_EVERY_SECONDS = 0.5


async def follow(retriever: Retriever) -> None:
    """Until it is cancelled. What cannot be opened is logged once, and every request is told of it."""
    told = ""
    while True:
        await sleep(_EVERY_SECONDS)
        reason = await to_thread.run_sync(_open_newest, retriever)
        if reason and reason != told:
            LOG.warning("the published version cannot be opened", reason=reason)
        told = reason


def _open_newest(retriever: Retriever) -> str:
    """Why it cannot be opened; empty where it is, and where there is none."""
    try:
        retriever.check(retriever.published())
    except NothingPublished:
        return ""
    except (UnderstudyError, SQLAlchemyError) as error:
        return str(error)
    return ""

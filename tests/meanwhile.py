"""What somebody else does to the database between two reads of a request."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, event

from core.schema import index_versions


@contextmanager
def taken_between_reads(engine: Engine, version: int) -> Iterator[None]:
    """Another writer takes the version's record away as soon as somebody has read which version is published."""
    other = create_engine(engine.url)

    def take(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM state" in statement:
            with other.begin() as connection:
                connection.execute(index_versions.delete().where(index_versions.c.version == version))

    event.listen(engine, "after_cursor_execute", take)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", take)
        other.dispose()

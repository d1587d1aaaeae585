"""Which versions are kept to look back to. A kept version is its record, the rows that are alive in it, and its index."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, and_, or_, select
from sqlalchemy.sql.elements import BindParameter, ColumnElement

from core.database import read_state
from core.errors import NothingPublished, VersionNotKept
from core.schema import index_versions
from core.types import BuiltBy, EmbedderName

LARGEST_VERSION = 2**53 - 1
"""The largest number that every part can take: the vector index compares versions as floats."""
LAST_FORGOTTEN = "last_forgotten"
"""The state that names the newest version when something was last forgotten."""
_SHOWN = 20


def alive(table: Table, version: int | BindParameter[int]) -> ColumnElement[bool]:
    """The rows that are in `version`."""
    return and_(table.c.from_version <= version, or_(table.c.to_version.is_(None), table.c.to_version > version))


def built_by(connection: Connection, version: int) -> BuiltBy | None:
    """None for a version that is not kept."""
    columns = (index_versions.c.embedder, index_versions.c.embedder_model, index_versions.c.embedder_runtime)
    row = connection.execute(select(*columns).where(index_versions.c.version == version)).one_or_none()
    if row is None:
        return None
    name = EmbedderName(model=row.embedder_model, runtime=row.embedder_runtime) if row.embedder_model else None
    return BuiltBy(fingerprint=row.embedder, name=name)


def is_erased(connection: Connection, version: int) -> bool:
    """Whether a version went because it held what was forgotten since."""
    last = read_state(connection, LAST_FORGOTTEN)
    return last is not None and version < int(last) and version not in kept_versions(connection)


def kept_versions(connection: Connection) -> list[int]:
    """Newest first."""
    return list(connection.execute(select(index_versions.c.version).order_by(index_versions.c.version.desc())).scalars())


@contextmanager
def reading(connection: Connection, *versions: int) -> Iterator[None]:
    """What is read inside is whole; raises VersionNotKept and NothingPublished.

    A version's record goes with its rows, in one transaction: while it is there after the reading, they were there too.
    """
    for version in versions:
        _require_kept(connection, version)
    try:
        yield
    finally:
        for version in versions:
            _require_kept(connection, version)


def _require_kept(connection: Connection, version: int) -> None:
    if connection.execute(select(index_versions.c.version).where(index_versions.c.version == version)).first() is None:
        raise not_kept(connection, version)


def not_kept(connection: Connection, version: int) -> VersionNotKept | NothingPublished:
    kept = kept_versions(connection)
    if not kept:
        return NothingPublished()
    shown = ", ".join(map(str, kept[:_SHOWN])) + (f" and {len(kept) - _SHOWN} older ones" if len(kept) > _SHOWN else "")
    return VersionNotKept(f"version {version} is not kept, or never was; these are: {shown} (UNDERSTUDY_INGEST__KEEP_VERSIONS)")

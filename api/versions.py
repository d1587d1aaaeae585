"""The kept versions as HTTP and the command line show them; each tenant sees the numbers of its own content alone."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Engine, RowMapping, Table, func, select

from api.auth import local_scope
from api.examples import VERSIONS, shown
from api.schemas import Reply
from api.stack import open_engine
from core.database import one_moment
from core.schema import chunks, documents, index_versions
from core.settings import read_settings
from core.types import Cause, Scope
from core.versions import LARGEST_VERSION
from ingest.versions import read_published

_NUMBERS = ("added", "changed", "renamed", "removed", "chunks_embedded", "chunks_reused")


class VersionBody(Reply):
    version: int
    published: bool = Field(description="Whether it is the one that questions are answered from.")
    published_at: float = Field(description="Seconds since 1970.")
    cause: Cause | None = Field(description="Null where another tenant's change made the version: your content is that of the one before.")
    documents: int = Field(description="Of yours, in this version.")
    chunks: int
    added: int = Field(description="Documents, against the version before.")
    changed: int
    renamed: int
    removed: int
    chunks_embedded: int
    chunks_reused: int
    failed: int = Field(description="Files that could not be read then.")
    seconds: float | None
    content_of: int | None = Field(description="Of a rollback: the version whose content it brought back.")


class VersionsReply(Reply):
    model_config = shown(VERSIONS)

    published: int | None = Field(description="Null until something is published.")
    versions: list[VersionBody] = Field(description="Those that are kept, newest first.")
    next: int | None = Field(description="Send it as `before` for the next page; null on the last.")


def list_versions(engine: Engine, scope: Scope, *, before: int, limit: int) -> VersionsReply:
    """A page of the kept versions, beginning below the number `before`."""
    page = select(index_versions).where(index_versions.c.version < before).order_by(index_versions.c.version.desc()).limit(limit + 1)
    with one_moment(engine) as connection:
        rows = connection.execute(page).mappings().all()
        published = read_published(connection).version
        counts = {table.name: _counter(connection, table, scope) for table in (documents, chunks)}
    bodies = [_to_body(row, scope, published, counts) for row in rows[:limit]]
    return VersionsReply(published=published, versions=bodies, next=bodies[-1].version if len(rows) > limit else None)


def kept(*, before: int | None, limit: int, tenant: str) -> VersionsReply:
    """What `understudy versions` shows."""
    return list_versions(open_engine(read_settings()), local_scope(tenant), before=before or LARGEST_VERSION, limit=limit)


def _to_body(row: RowMapping, scope: Scope, published: int | None, counts: dict[str, Callable[[int], int]]) -> VersionBody:
    version, is_own = row["version"], row["tenant"] == scope.tenant
    report: dict[str, Any] = row["report"] if is_own else {}
    return VersionBody(
        version=version, published=version == published, published_at=row["published_at"], cause=row["cause"] if is_own else None,
        **{name: count(version) for name, count in counts.items()}, **{name: report.get(name, 0) for name in _NUMBERS},
        failed=len(report.get("failed", ())), seconds=report.get("seconds"), content_of=report.get("content_of"),
    )  # fmt: skip


def _counter(connection: Connection, table: Table, scope: Scope) -> Callable[[int], int]:
    """How many of the tenant's rows are alive in a version, from one look at all that came and went."""
    came, went = (_running_sums(connection, table, column, scope) for column in ("from_version", "to_version"))
    return lambda version: came(version) - went(version)


def _running_sums(connection: Connection, table: Table, name: str, scope: Scope) -> Callable[[int], int]:
    column = table.c[name]
    query = select(column, func.count()).where(table.c.tenant == scope.tenant, column.is_not(None)).group_by(column).order_by(column)
    rows = connection.execute(query).all()
    at, sums = [row[0] for row in rows], [0, *accumulate(row[1] for row in rows)]
    return lambda version: sums[bisect_right(at, version)]

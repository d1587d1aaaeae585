"""After a rollback the sources are held: what they say now is what was rolled back, and must not come back by itself."""

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from core.errors import SourcesHeld
from core.schema import holds
from core.types import Scope


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    version: int
    """Whose content was brought back."""
    since: float


def read_hold(connection: Connection, scope: Scope) -> Hold | None:
    row = connection.execute(select(holds.c.version, holds.c.since).where(holds.c.tenant == scope.tenant)).one_or_none()
    return Hold(version=row.version, since=row.since) if row else None


def require_released(connection: Connection, scope: Scope) -> None:
    """Raises SourcesHeld."""
    held = read_hold(connection, scope)
    if held is not None:
        when = datetime.fromtimestamp(held.since).strftime("%Y-%m-%d %H:%M")
        raise SourcesHeld(f"the sources are held since the rollback to version {held.version} ({when}). {SourcesHeld.__doc__}")


def hold_sources(connection: Connection, scope: Scope, version: int) -> None:
    """Inside the caller's transaction."""
    release_sources(connection, scope)
    connection.execute(holds.insert().values(tenant=scope.tenant, version=version, since=time.time()))


def release_sources(connection: Connection, scope: Scope) -> None:
    """Inside the caller's transaction."""
    connection.execute(holds.delete().where(holds.c.tenant == scope.tenant))

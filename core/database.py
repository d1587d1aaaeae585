"""Opens the database, migrating it to the newest schema."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from core.errors import InvalidSettings, UnusableDatabase
from core.schema import state

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(url: str) -> Engine:
    """An engine on the newest schema; raises UnusableDatabase for a newer or damaged database."""
    try:
        engine = create_engine(url, pool_pre_ping=make_url(url).get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidSettings(f"UNDERSTUDY_DATABASE_URL: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        _migrate(engine)
    except DatabaseError as error:
        shown = make_url(url).render_as_string()
        raise UnusableDatabase(f"the database {shown!r} cannot be used: {error.orig}; restore it from a backup") from error
    return engine


def sqlite_url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'understudy.db'}"


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in scripts.walk_revisions()}:
        raise UnusableDatabase(
            f"the database has schema {current!r}, which this version does not know: update Understudy, or restore an older backup"
        )
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


def read_state(connection: Connection, key: str) -> str | None:
    return connection.execute(select(state.c.value).where(state.c.key == key)).scalar_one_or_none()


def write_state(connection: Connection, key: str, value: str) -> None:
    """Inside the caller's transaction."""
    changed = {"value": value, "changed_at": time.time()}
    if connection.execute(state.update().where(state.c.key == key).values(changed)).rowcount == 0:
        connection.execute(state.insert().values(key=key, **changed))

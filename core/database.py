"""Opens the database, migrating it to the newest schema."""

import errno
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, NoSuchModuleError, OperationalError

from core.errors import Conflict, InvalidSettings, MissingExtra, StorageFull, Unavailable, UnderstudyError, UnusableDatabase
from core.schema import state

_MIGRATIONS = Path(__file__).parent / "migrations"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_POSTGRES_FULL = "53100"
_DAMAGED = ("not a database", "malformed", "unsupported file format")
_OWNER = "installation"
_BEYOND_POSTGRESQL = (
    "PostgreSQL's write-ahead log, its replicas and its backups hold what was erased until they are recycled: CHECKPOINT, archives and"
    " backups are its administrator's"
)


def open_database(url: str) -> Engine:
    """An engine on the newest schema.

    Raises InvalidSettings, MissingExtra, Unavailable, StorageFull, and UnusableDatabase for a newer or damaged database.
    """
    try:
        engine = create_engine(url, pool_pre_ping=make_url(url).get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as error:
        raise InvalidSettings(f"UNDERSTUDY_DATABASE_URL: {error}; see .env.example for its form") from error
    except ImportError as error:
        raise MissingExtra(f"this database needs a driver ({error}): run `pip install -e '.[postgres]'`") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        _migrate(engine)
    except DatabaseError as error:
        raise _refusal(make_url(url).render_as_string(), error) from error
    return engine


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """A connection whose reads all see the database as it was at the first of them, whoever writes meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")  # its driver begins a transaction for writes alone
        else:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def is_full(error: OSError | DBAPIError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return "database or disk is full" in str(error.orig) or getattr(error.orig, "sqlstate", None) == _POSTGRES_FULL


def _refusal(shown: str, error: DatabaseError) -> UnderstudyError:
    reason = str(error.orig)
    if is_full(error):
        return StorageFull()
    if any(sign in reason for sign in _DAMAGED):
        return UnusableDatabase(f"the database {shown!r} cannot be used: {reason}; restore it from a backup")
    if isinstance(error, OperationalError):
        return Unavailable(f"the database {shown!r} cannot be opened ({reason}): check that it is there, may be written and is not locked")
    return UnusableDatabase(f"the database {shown!r} cannot be used: {reason}")


def sqlite_url(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'understudy.db'}"


def _prepare_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(engine: Engine) -> None:
    current, known = _schema_of(engine), known_schemas()
    if current == known[-1]:
        return
    if current is not None and current not in known:
        raise UnusableDatabase(
            f"the database has schema {current!r}, which this version does not know: update Understudy, or restore an older backup"
        )
    from alembic import command  # takes as long to import as opening the database does
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))  # alembic fills in what follows a percent sign
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


def known_schemas() -> list[str]:
    """Oldest first."""
    return sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _schema_of(engine: Engine) -> str | None:
    """None of a database that has no tables yet."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def empty_journal(engine: Engine) -> bool:
    """SQLite's journal still holds the pages as they were; False where a reader is in it and it has to wait."""
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return bool(connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0] == 0)


def erase_traces(engine: Engine, tables: Iterable[Table]) -> list[str]:
    """Take what was deleted from these tables off the disk; tells what is out of reach. Raises Conflict where readers are in the way."""
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in tables:
                connection.exec_driver_sql(f"VACUUM FULL {table.name}")
        return [_BEYOND_POSTGRESQL]
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
        is_empty = empty_journal(engine)
    except OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        is_empty = False
    if not is_empty:
        raise Conflict("the text is erased, but the database is still being read or written as it was: the next sync takes it off the disk")
    return []


def read_state(connection: Connection, key: str) -> str | None:
    return connection.execute(select(state.c.value).where(state.c.key == key)).scalar_one_or_none()


def write_state(connection: Connection, key: str, value: str) -> None:
    """Inside the caller's transaction."""
    changed = {"value": value, "changed_at": time.time()}
    if connection.execute(state.update().where(state.c.key == key).values(changed)).rowcount == 0:
        connection.execute(state.insert().values(key=key, **changed))


def replace_state(connection: Connection, key: str, expected: str | None, value: str) -> bool:
    """Write only where the value still is what the caller saw; inside its transaction, which it must give up after False."""
    changed = {"value": value, "changed_at": time.time()}
    if expected is not None:
        return connection.execute(state.update().where(state.c.key == key, state.c.value == expected).values(changed)).rowcount == 1
    try:
        connection.execute(state.insert().values(key=key, **changed))
    except IntegrityError:
        return False
    return True


def installation_id(engine: Engine) -> str:
    """Names this database towards what it shares with others; made at its first use, and the same ever after."""
    with engine.connect() as connection:
        known = read_state(connection, _OWNER)
    if known is not None:
        return known
    made = uuid4().hex
    try:
        with engine.begin() as connection:
            connection.execute(state.insert().values(key=_OWNER, value=made, changed_at=time.time()))
        return made
    except IntegrityError:  # another process was first
        return installation_id(engine)

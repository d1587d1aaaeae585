"""A fresh database, one of another version, and files that are no database at all."""

import importlib.util
import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, select, text
from sqlalchemy.exc import OperationalError

from core.database import (
    _MIGRATIONS,
    _refusal,
    installation_id,
    known_schemas,
    open_database,
    read_state,
    replace_state,
    sqlite_url,
    write_state,
)
from core.errors import InvalidSettings, MissingExtra, StorageFull, Unavailable, UnusableDatabase
from core.schema import attempts, metadata


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(sqlite_url(tmp_path))


def test_database_when_fresh_has_every_table(engine: Engine) -> None:
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())


def test_schema_equals_migrations(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert _unique_columns(connection.engine) == {"api_keys": [["key_hash"]]}


def _unique_columns(engine: Engine) -> dict[str, list[list[str]]]:
    """Said apart, since alembic compares the unique constraints of SQLite loosely."""
    found = {table: [unique["column_names"] for unique in inspect(engine).get_unique_constraints(table)] for table in metadata.tables}
    return {table: columns for table, columns in found.items() if columns}


def test_newest_schema_is_the_one_that_the_migrations_lead_to() -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert known_schemas() == sorted(revision.revision for revision in scripts.walk_revisions())
    assert known_schemas()[-1] == scripts.get_current_head()


def test_database_when_opened_again_keeps_its_rows(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path)).begin() as connection:
        write_state(connection, "mode", "hybrid")
    with open_database(sqlite_url(tmp_path)).connect() as connection:
        assert read_state(connection, "mode") == "hybrid"


def test_state_when_written_twice_holds_the_newer_value(engine: Engine) -> None:
    with engine.begin() as connection:
        write_state(connection, "mode", "tuned")
        write_state(connection, "mode", "frontier")
        assert read_state(connection, "mode") == "frontier"
        assert read_state(connection, "never written") is None


@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("secure_delete", 1)])
def test_sqlite_connection_has_its_pragmas(engine: Engine, pragma: str, value: object) -> None:
    with engine.connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_database_from_newer_version_is_refused(tmp_path: Path) -> None:
    with open_database(sqlite_url(tmp_path)).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnusableDatabase, match=r"schema '9999'.*update Understudy"):
        open_database(sqlite_url(tmp_path))
    with create_engine(sqlite_url(tmp_path)).connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_database_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "understudy.db"
    file.write_bytes(b"this was never a database, whatever its name says\n" * 100)
    before = file.read_bytes()
    with pytest.raises(UnusableDatabase, match=r"understudy\.db.*restore it from a backup"):
        open_database(sqlite_url(tmp_path))
    assert file.read_bytes() == before


def test_database_in_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unable to open"):
        open_database(sqlite_url(tmp_path / "nowhere"))


@pytest.mark.parametrize("url", ["not a url", "nosuchdialect://host/name"])
def test_database_url_when_not_valid_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings, match="UNDERSTUDY_DATABASE_URL"):
        open_database(url)


def test_database_when_created_by_several_processes_at_once_is_whole(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(3)
    processes = [spawn.Process(target=_open_together, args=(sqlite_url(tmp_path), together)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert set(metadata.tables) <= set(inspect(open_database(sqlite_url(tmp_path))).get_table_names())


def _open_together(url: str, together: Barrier) -> None:
    together.wait(timeout=60)
    open_database(url)


def test_database_of_a_server_that_is_down_is_unavailable_not_damaged() -> None:
    if importlib.util.find_spec("psycopg") is None:
        with pytest.raises(MissingExtra, match=r"pip install -e '\.\[postgres\]'"):
            open_database("postgresql+psycopg://127.0.0.1:1/nowhere")
        return
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_database("postgresql+psycopg://127.0.0.1:1/nowhere")


@pytest.mark.skipif(importlib.util.find_spec("psycopg2") is not None, reason="the driver is installed")
def test_database_whose_driver_is_missing_names_the_command() -> None:
    with pytest.raises(MissingExtra, match=r"pip install -e '\.\[postgres\]'"):
        open_database("postgresql+psycopg2://127.0.0.1:1/nowhere")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("database or disk is full", StorageFull),
        ("database is locked", Unavailable),
        ("attempt to write a readonly database", Unavailable),
        ("database disk image is malformed", UnusableDatabase),
    ],
)
def test_refusal_tells_damage_from_what_passes(reason: str, expected: type[Exception]) -> None:
    refusal = _refusal("a.db", OperationalError("SELECT 1", {}, sqlite3.OperationalError(reason)))
    assert type(refusal) is expected
    assert ("backup" in str(refusal)) is (expected is UnusableDatabase)


def test_database_opens_from_a_folder_with_a_percent_sign(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "core", tmp_path / "100%" / "core", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"from core.database import open_database; open_database('sqlite:///{tmp_path / 'a.db'}')"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "100%")}
    finished = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr


def test_state_is_replaced_only_where_it_is_what_was_seen(engine: Engine) -> None:
    with engine.begin() as connection:
        assert replace_state(connection, "published_version", None, "1")
        assert replace_state(connection, "published_version", "1", "2")
        assert not replace_state(connection, "published_version", "1", "3")
        assert read_state(connection, "published_version") == "2"
    with engine.connect() as connection:
        assert not replace_state(connection, "published_version", None, "4")


def test_installation_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = installation_id(open_database(sqlite_url(tmp_path)))
    assert installation_id(open_database(sqlite_url(tmp_path))) == first != installation_id(open_database(sqlite_url(tmp_path / "other")))


def test_database_of_the_first_schema_is_upgraded_with_its_rows(tmp_path: Path) -> None:
    _open_at(sqlite_url(tmp_path), "0001")
    old = {"input_tokens": 7, "output_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 2}
    with create_engine(sqlite_url(tmp_path)).begin() as connection:
        connection.execute(text("INSERT INTO answers VALUES ('a', 't', 1.0, 'Q', 'A', 0, 'tuned', 'r', 'm', 0.5, 1, 9, 2.0, '[]')"))
        attempt = text("INSERT INTO attempts VALUES ('a', :position, 'r', 'accepted', 'so', 0.5, 2.0, :cost, :usage)")
        connection.execute(attempt, {"position": 0, "cost": 9, "usage": json.dumps(old)})
        connection.execute(attempt, {"position": 1, "cost": 0, "usage": "{}"})
    with open_database(sqlite_url(tmp_path)).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        first, second = connection.execute(select(attempts).order_by(attempts.c.position)).all()
    assert (first.tier, first.outcome, first.confidence, first.latency_ms, first.cost_micro_usd) == ("r", "accepted", 0.5, 2.0, 9)
    assert (first.input_tokens, first.output_tokens, first.cache_read_tokens) == (7, 5, 3)
    assert (first.cache_write_5m_tokens, first.cache_write_1h_tokens, first.uncached_micro_usd) == (2, 0, 9)
    assert (first.price, first.model, second.input_tokens) == (None, None, 0)


def test_upgraded_attempts_still_go_with_their_answer(tmp_path: Path) -> None:
    engine = open_database(sqlite_url(tmp_path))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO answers VALUES ('a', 't', 1.0, 'Q', 'A', 0, 'tuned', 'r', 'm', 0.5, 1, 9, 2.0, '[]')"))
        row = {"answer_id": "a", "position": 0, "tier": "r", "outcome": "accepted", "reason": "", "latency_ms": 1.0, "cost_micro_usd": 0}
        connection.execute(attempts.insert().values(row))
        connection.execute(text("DELETE FROM answers"))
        assert connection.execute(select(attempts)).all() == []


def _open_at(url: str, revision: str) -> None:
    """A database as an older version left it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "core" / "migrations"))
    config.attributes["engine"] = create_engine(url)
    command.upgrade(config, revision)

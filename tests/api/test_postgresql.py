"""The main job with PostgreSQL as the truth: a cluster of its own, where its programs are installed."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core.database import open_database
from tests.api.conftest import ROOT, understudy
from tests.generation.test_ledger import expect_one_moment
from tests.ingest.remains import files_holding

PAGE = ROOT / "examples" / "corpus" / "operations" / "kanazawa-pilot.md"


def programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *([Path(found).parent] if found else [])]
    return folders[0] if folders else None


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty database."""
    folder = programs()
    if folder is None:
        pytest.skip("needs PostgreSQL's initdb and pg_ctl: apt install postgresql")
    with tempfile.TemporaryDirectory() as name:  # not pytest's own folder, which the account of PostgreSQL may not enter
        home, port, account = Path(name), free_port(), _account(Path(name))
        control = [*account, str(folder / "pg_ctl"), "-D", str(home / "data"), "-w", "-s"]
        subprocess.run([*control, "-o", "-U u -A trust", "initdb"], check=True, stdout=subprocess.DEVNULL)
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {home} -c fsync=off"
        subprocess.run([*control, "-o", options, "-l", str(home / "log"), "start"], check=True, stdout=subprocess.DEVNULL)
        try:
            yield f"postgresql+psycopg://u@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def _account(home: Path) -> list[str]:
    """PostgreSQL refuses to run as root: what puts the account of its package in front of a command."""
    if os.getuid() != 0:
        return []
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no account 'postgres'")
    os.chown(home, account.pw_uid, account.pw_gid)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_ingest_ask_edit_and_sync_on_postgresql(database: str, tmp_path: Path) -> None:
    def told(*arguments: str) -> dict[str, Any]:
        ended = understudy(*arguments, "--json", folder=tmp_path, UNDERSTUDY_DATABASE_URL=database)
        assert ended.returncode == 0, ended.stderr
        last: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return last

    question = "When does the contract for the Kanazawa pilot end?"
    page = tmp_path / "corpus" / PAGE.name
    page.parent.mkdir()
    shutil.copy(PAGE, page)
    told("ingest", "corpus")
    assert told("ask", question)["answer"] == "31 March 2027"
    page.write_text(page.read_text(encoding="utf-8").replace("ends on 31 March 2027", "ends on 30 June 2028"), encoding="utf-8")
    synced = told("sync")
    assert (synced["version"], synced["changed"], synced["chunks_embedded"]) == (2, 1, 1)
    assert told("ask", question)["answer"] == "30 June 2028"
    assert told("sync")["version"] == 2
    assert told("ask", question, "--as-of", "1")["answer"] == "31 March 2027"
    assert told("diff", "1", "2", "--show", "text")["documents"] == {"added": 0, "removed": 0, "changed": 1, "renamed": 0}
    assert told("rollback", "1")["chunks_embedded"] == 0
    assert [version["cause"] for version in told("versions")["versions"]] == ["rollback", "sync", "sync"]
    assert told("ask", question)["answer"] == "31 March 2027"
    assert told("sync", "--release")["version"] == 4
    assert not (tmp_path / "data" / "understudy.db").exists()


def test_ledger_is_of_one_moment_on_postgresql(database: str) -> None:
    engine = open_database(database)
    expect_one_moment(engine)
    engine.dispose()


def test_forgotten_document_is_in_no_table_file_of_postgresql_and_the_rest_is_told(database: str, tmp_path: Path) -> None:
    engine = open_database(database)
    with engine.connect() as connection:
        tables = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one()) / "base"
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "word.md").write_text("# Vault\n\nThe vault opens with the word zanzibarquokka.\n")
    (tmp_path / "vault" / "other.md").write_text("# Office\n\nThe office opens at nine.\n")
    settings = {"folder": tmp_path, "UNDERSTUDY_DATABASE_URL": database}
    assert understudy("ingest", "vault", **settings).returncode == 0  # type: ignore[arg-type]
    assert "zanzibarquokka" in understudy("ask", "Which word opens the vault?", **settings).stdout  # type: ignore[arg-type]
    checkpoint(engine)
    assert files_holding(tables, "zanzibarquokka")
    gone = understudy("forget", "vault/word.md", "--json", **settings)  # type: ignore[arg-type]
    told = json.loads(gone.stdout.splitlines()[-1])
    assert (gone.returncode, told["documents"], told["answers_erased"]) == (0, 1, 1)
    assert "write-ahead log" in told["left"][0]
    checkpoint(engine)
    assert files_holding(tables, "zanzibarquokka") == {}
    assert files_holding(tmp_path / "data", "zanzibarquokka") == {}
    assert "at nine" in understudy("ask", "When does the office open?", **settings).stdout  # type: ignore[arg-type]
    engine.dispose()


def checkpoint(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")

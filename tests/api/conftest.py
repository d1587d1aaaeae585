"""A stack on a real database, with doubles where models would be."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient

from api.app import create_app
from api.stack import Stack, open_engine
from api.worker import Worker
from core.protocols import Embedder
from core.settings import Settings
from core.types import Hit
from generation.answer import Answerer
from tests.doubles import FirstWordTier, FixedRetriever, make_hit

ROOT = Path(__file__).parents[2]
HANDBOOK = {
    "people/leave.md": "# Leave\n\nEveryone has 27 days of leave a year.\n\n## Carrying over\n\nUp to five days, until 31 March.\n",
    "people/travel.md": "# Travel\n\nTrains are booked in second class. A hotel may cost up to 140 euros a night.\n",
    "office.txt": "The office in Porto opens at eight. The door code is changed every Monday by Inês.\n",
}
HIT = make_hit("Twenty-seven days of leave a year.")
MakeStack = Callable[..., Stack]
MakeClient = Callable[..., TestClient]


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """structlog's own default draws every traceback with all its variables, which takes seconds."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])


@pytest.fixture(scope="session", autouse=True)
def _own_priority() -> Iterator[None]:
    """Commands that write step back behind servers; those that run inside the tests must not take the tests along."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "setpriority", lambda *_: None)
        yield


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    made: list[Stack] = []

    def make(
        hits: tuple[Hit, ...] = (HIT,), *, version: int | None = 7, tiers: tuple[FirstWordTier, ...] = (FirstWordTier(),),
        script: str = "", threshold: float = 0.5, tenants: tuple[str, ...] = ("default",), **changed: Any,
    ) -> Stack:  # fmt: skip
        """`script` is what the worker runs in place of the command line."""
        settings = Settings(data_dir=tmp_path / "data", **changed)
        engine = open_engine(settings)
        retriever = FixedRetriever(hits, version=version, tenants=tenants)
        answerer = Answerer(retriever=retriever, tiers={tier.name: tier for tier in tiers}, hybrid_threshold=threshold)
        worker = Worker(engine, [sys.executable, "-c", script])
        made.append(Stack(settings=settings, engine=engine, retriever=retriever, answerer=answerer, worker=worker))
        return made[-1]

    yield make
    for stack in made:
        stack.worker.stop()
        stack.engine.dispose()


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory, embedder_cache: Path, minilm: Embedder) -> Path:
    """A folder with a small handbook, indexed by the real command line with the real embedder; copy it before changing it."""
    folder = tmp_path_factory.mktemp("ingested")
    (folder / "data").mkdir()
    (folder / "data" / "cache").symlink_to(embedder_cache)
    for name, text in HANDBOOK.items():
        (folder / "handbook" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "handbook" / name).write_text(text, encoding="utf-8")
    done = understudy("ingest", "handbook", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def library(ingested: Path, tmp_path: Path) -> Path:
    """A copy of the indexed handbook, to change; sources are kept by absolute path, so its files are those of `ingested`."""
    shutil.copytree(ingested, tmp_path / "library", symlinks=True)
    return tmp_path / "library"


def understudy(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, standing in `folder` with its data in `folder/data`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    env = clean | {"UNDERSTUDY_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | settings
    command = [sys.executable, "-P", "-m", "api.cli", *arguments]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def make_client(make_stack: MakeStack) -> Iterator[MakeClient]:
    clients: list[TestClient] = []

    def make(stack: Stack | None = None, **changed: Any) -> TestClient:
        app = create_app(stack or make_stack(**changed))
        client = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 40000), raise_server_exceptions=False)
        clients.append(client)
        return client.__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)

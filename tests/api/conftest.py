"""A stack on a real database, with doubles where models would be."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.stack import Stack, open_engine
from api.worker import Worker
from core.settings import Settings
from core.types import Hit
from generation.answer import Answerer
from tests.doubles import FirstWordTier, FixedRetriever, make_hit

HIT = make_hit("Twenty-seven days of leave a year.")
MakeStack = Callable[..., Stack]
MakeClient = Callable[..., TestClient]


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

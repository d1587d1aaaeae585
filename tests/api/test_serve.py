"""Real servers in processes of their own, on loopback."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import create_key
from api.serve import is_loopback, listening
from api.stack import open_engine
from core.settings import Settings
from tests.api.conftest import ROOT, MakeStack, understudy

ASK = {"question": "How many days of leave do I have?"}


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    process: subprocess.Popen[str]


StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    started: list[subprocess.Popen[str]] = []

    def start(seconds: float = 0.0) -> Server:
        command = [sys.executable, "-m", "tests.api.served", str(tmp_path / "data"), str(seconds)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return Server(json.loads(process.stdout.readline())["url"], process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_toggle_is_seen_by_another_process_at_its_next_request(start_server: StartServer) -> None:
    one, other = start_server(), start_server()
    assert httpx2.post(f"{other.url}/v1/answers", json=ASK).json()["tier"] == "reader"
    assert httpx2.put(f"{one.url}/v1/generator", json={"mode": "frontier"}).status_code == 200
    assert httpx2.post(f"{other.url}/v1/answers", json=ASK).json()["tier"] == "claude"
    assert httpx2.get(f"{other.url}/v1/generator").json()["mode"] == "frontier"


def test_sigterm_lets_a_running_request_finish(start_server: StartServer) -> None:
    server = start_server(seconds=1.5)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(httpx2.post, f"{server.url}/v1/answers", json=ASK, timeout=30)
        time.sleep(0.7)
        server.process.send_signal(signal.SIGTERM)
        reply = running.result()
    assert (reply.status_code, reply.json()["answer"]) == (200, "Twenty-seven")
    assert server.process.wait(timeout=10) == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.url}/healthz")


def test_log_is_json_with_the_request_id_and_without_the_question(start_server: StartServer) -> None:
    server = start_server()
    reply = httpx2.post(f"{server.url}/v1/answers", json=ASK, headers={"X-Request-ID": "trace-1"})
    assert reply.headers["x-request-id"] == "trace-1"
    server.process.terminate()
    _, log = server.process.communicate(timeout=10)
    lines = [json.loads(line) for line in log.splitlines()]
    (request,) = [line for line in lines if line["event"] == "request"]
    assert (request["request_id"], request["path"], request["status"]) == ("trace-1", "/v1/answers", 200)
    assert ASK["question"] not in log


def test_upload_over_the_limit_is_told_so_when_all_is_sent(start_server: StartServer) -> None:
    server = start_server()
    reply = httpx2.put(f"{server.url}/v1/documents/big", content=b"x" * 60_000_000, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (413, "application/problem+json")


def test_port_that_is_taken_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = understudy("serve", "--port", port, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"understudy: port {port} on 127.0.0.1 is taken")
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_listener_sends_without_waiting_for_more(tmp_path: Path) -> None:
    """What Nagle's algorithm holds back costs a client that acknowledges late 40 ms an answer."""

    async def accepted() -> int:
        sent = asyncio.get_running_loop().create_future()
        with listening(open_engine(Settings(data_dir=tmp_path)), "127.0.0.1", 0) as listener:
            server = await asyncio.start_server(lambda _, writer: sent.set_result(writer), sock=listener)
            _, client = await asyncio.open_connection(*listener.getsockname())
            writer = await sent
            no_delay: int = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for end in (client, writer):
                end.close()
            server.close()
        return no_delay

    assert asyncio.run(accepted()) != 0


def test_server_warms_up_before_it_answers(make_stack: MakeStack) -> None:
    done: list[str] = []
    stack = replace(make_stack(), warm_ups=[lambda: done.append("retriever"), lambda: done.append("reader")])
    with TestClient(create_app(stack), base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        assert done == ["retriever", "reader"]
        assert client.get("/readyz").status_code == 200


def test_host_beyond_this_machine_needs_a_key(tmp_path: Path) -> None:
    done = understudy("serve", "--host", "0.0.0.0", "--port", "0", folder=tmp_path)
    assert done.returncode == 1
    assert "understudy keys create" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_server_with_keys_asks_for_them(tmp_path: Path, start_server: StartServer) -> None:
    key = create_key(open_engine(Settings(data_dir=tmp_path / "data")), "default", ["ask"]).key
    server = start_server()
    refused = httpx2.post(f"{server.url}/v1/answers", json=ASK)
    answered = httpx2.post(f"{server.url}/v1/answers", json=ASK, headers={"Authorization": f"Bearer {key}"})
    assert (refused.status_code, answered.status_code) == (401, 200)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("", False)]
)
def test_loopback_is_told_from_other_hosts(host: str, local: bool) -> None:
    assert is_loopback(host) is local

"""docker-compose.yml fits the compose specification and our settings; nothing of it is run with Docker."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import PREFIX, setting_names

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KEYS = ("ANTHROPIC_API_KEY", "POSTGRES_PASSWORD", "QDRANT_API_KEY")
PORTS = {"api": 8377, "qdrant": 6333}
NAMED_VOLUME = re.compile(r"^(\w+):/")


def fits_specification(file: Path) -> bool:
    """By the schema that check-jsonschema ships: nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_compose_file_fits_the_compose_specification() -> None:
    assert fits_specification(FILE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("condition: service_healthy", "condition: service_well"), ("healthcheck:", "health_check:"), ("retries: 3", "retries: [3]")],
)
def test_compose_file_with_a_mistake_does_not_fit(right: str, wrong: str, tmp_path: Path) -> None:
    changed = tmp_path / FILE.name
    changed.write_text(FILE.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    assert not fits_specification(changed)


def test_every_service_has_a_health_check_and_a_named_volume() -> None:
    assert set(SERVICES) == {"api", "qdrant", "postgres"}
    for service in SERVICES.values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert any(NAMED_VOLUME.match(volume) for volume in service["volumes"])


def test_api_waits_until_the_others_are_healthy() -> None:
    assert SERVICES["api"]["depends_on"] == {name: {"condition": "service_healthy"} for name in ("postgres", "qdrant")}


def test_volumes_that_are_used_are_those_that_are_declared() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service["volumes"]]
    assert {found[1] for volume in mounted if (found := NAMED_VOLUME.match(volume))} == set(COMPOSE["volumes"])


def test_settings_of_the_api_are_known() -> None:
    names = [name for name in SERVICES["api"]["environment"] if name.startswith(PREFIX)]
    assert names and set(names) <= set(setting_names())


@pytest.mark.parametrize("key", KEYS)
def test_key_has_no_default_and_must_be_set(key: str) -> None:
    uses = re.findall(rf"\$\{{?{key}[^}}]*", FILE.read_text(encoding="utf-8"))
    assert uses and all(re.match(rf"\$\{{{key}:?\?set {key}", use) for use in uses)


def test_nothing_secret_is_written_into_the_file() -> None:
    secret = re.compile(r"KEY|PASSWORD|TOKEN")
    written = {name: value for service in SERVICES.values() for name, value in service["environment"].items() if secret.search(name)}
    assert len(written) == 4
    assert all(re.fullmatch(r"\$\{[^}]*\}", value) for value in written.values())


def test_only_this_machine_reaches_the_ports() -> None:
    assert [service.get("ports", []) for service in SERVICES.values()] == [["127.0.0.1:8377:8377"], [], []]


@pytest.mark.parametrize("name", PORTS)
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_check_tells_a_well_server_from_an_ill_one(name: str, status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert (run_check(name, port) == 0) == healthy


@pytest.mark.parametrize("name", PORTS)
def test_health_check_fails_where_nobody_listens(name: str) -> None:
    with answering(200) as port:
        pass
    assert run_check(name, port) != 0


def run_check(name: str, port: int) -> int:
    """As the container would run it, but for the port: compose writes one dollar sign for two."""
    words = [str(word).replace("$$", "$").replace(str(PORTS[name]), str(port)) for word in SERVICES[name]["healthcheck"]["test"][1:]]
    program = sys.executable if words[0] == "python" else words[0]
    return subprocess.run([program, *words[1:]], capture_output=True, timeout=20, check=False).returncode


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that gives every request this status; its port."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()

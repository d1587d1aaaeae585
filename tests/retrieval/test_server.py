"""What the server adapter promises beyond the suite in tests/conformance/test_index.py."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from qdrant_client import QdrantClient

from core.errors import Conflict, StorageFull, Unavailable
from retrieval.index.server import ServerIndex, connect
from tests.conformance.test_index import ACME, EMBEDDER, POINTS, build, opened

STORAGE_FULL = b'{"status": {"error": "Service internal error: No space left on device"}, "time": 0}'


@pytest.fixture
def refusing() -> Iterator[HTTPServer]:
    """A server that answers everything with the status and body that the test sets."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(self.server.body)  # type: ignore[attr-defined]

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def index_on(port: int) -> ServerIndex:
    return connect(f"http://127.0.0.1:{port}", None, "test")


def test_server_that_is_down_is_named_with_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match="UNDERSTUDY_QDRANT__URL"):
        opened(index_on(port), 1)


def test_wrong_key_is_named_with_what_to_check(refusing: HTTPServer) -> None:
    refusing.status, refusing.body = 401, b"Invalid api key"  # type: ignore[attr-defined]
    with pytest.raises(Unavailable, match="UNDERSTUDY_QDRANT__API_KEY"):
        opened(index_on(refusing.server_port), 1)


def test_full_disk_of_the_server_is_said(refusing: HTTPServer) -> None:
    refusing.status, refusing.body = 500, STORAGE_FULL  # type: ignore[attr-defined]
    with pytest.raises(StorageFull, match="Qdrant server"):
        build(index_on(refusing.server_port), ACME, 1, None, POINTS)


def test_each_embedder_has_a_collection_and_the_old_one_is_collected() -> None:
    client = QdrantClient(":memory:")
    index = ServerIndex(client, "test")
    build(index, ACME, 1, None, POINTS[:2])
    index.build(ACME, 2, base=None, embedder="new", dimensions=EMBEDDER.dimensions, added=POINTS[:2], removed=[])
    assert names(client) == {"test_versions", f"test_{EMBEDDER.fingerprint}", "test_new"}
    index.collect([2])
    assert names(client) == {"test_versions", "test_new"}


def test_no_text_reaches_the_server() -> None:
    client = QdrantClient(":memory:")
    build(ServerIndex(client, "test"), ACME, 1, None, POINTS)
    records, _ = client.scroll(f"test_{EMBEDDER.fingerprint}", limit=100)
    assert len(records) == len(POINTS)
    assert {key for record in records for key in record.payload or {}} == {
        "tenant", "chunk_id", "document_id", "source", "media_type", "from", "to",
    }  # fmt: skip


def test_collected_points_are_gone_from_the_server() -> None:
    client = QdrantClient(":memory:")
    index = ServerIndex(client, "test")
    build(index, ACME, 1, None, POINTS[:4])
    build(index, ACME, 2, 1, [], (POINTS[0].chunk_id, POINTS[1].chunk_id))
    assert client.count(f"test_{EMBEDDER.fingerprint}").count == 4
    index.collect([2])
    assert client.count(f"test_{EMBEDDER.fingerprint}").count == 2


def names(client: QdrantClient) -> set[str]:
    return {collection.name for collection in client.get_collections().collections}


def test_index_of_another_installation_is_refused_by_name() -> None:
    client = QdrantClient(":memory:")
    ServerIndex(client, "shared").claim("first")
    ServerIndex(client, "shared").claim("first")
    with pytest.raises(Conflict, match=r"'shared'.*UNDERSTUDY_QDRANT__COLLECTION"):
        ServerIndex(client, "shared").claim("second")
    ServerIndex(client, "own").claim("second")


def test_claimed_index_keeps_its_owner_through_builds_and_collections() -> None:
    client = QdrantClient(":memory:")
    index = ServerIndex(client, "shared")
    index.claim("first")
    build(index, ACME, 1, None, POINTS[:3])
    index.collect([1])
    assert len(opened(index, 1).chunk_ids(ACME)) == 3
    index.collect([])
    with pytest.raises(Conflict):
        index.claim("second")

"""GET, PUT and DELETE /v1/documents; the last test does it with the real child process."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import create_key, local_scope
from api.catalog import read_document
from api.errors import problem_of
from api.jobs import read_job
from api.stack import build_stack
from core.errors import NotFound, ParseFailed
from core.settings import Settings
from tests.api.conftest import MakeClient, MakeStack
from tests.api.library import end, publish
from tests.api.test_index import REPORT, says
from tests.ingest.remains import files_holding

TEXTS = {letter * 32: f"Text {letter}." for letter in "abcde"}
SHOW_UPLOAD = f"""
import json, pathlib, sys
path = pathlib.Path(sys.argv[4])
told = [*sys.argv[1:4], path.suffix, path.read_text(), *sys.argv[5:]]
print(json.dumps({REPORT!r} | dict(failed=[dict(source=word, reason="") for word in told])))
"""


def told(reply_json: dict[str, list[dict[str, str]]]) -> list[str]:
    return [failure["source"] for failure in reply_json["failed"]]


def test_document_shows_its_text_in_the_published_version(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    shown = make_client(stack).get("/v1/documents/" + "a" * 32).json()
    assert shown == {
        "id": "a" * 32, "source": "handbook/a.md", "title": "a", "text": "Text a.", "media_type": "text/markdown", "content_hash": "h",
        "index_version": 3, "chunks": 1,
    }  # fmt: skip


def test_documents_are_listed_page_by_page(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    client = make_client(stack)
    found: list[str] = []
    after: str | None = ""
    for expected in (2, 2, 1):
        page = client.get("/v1/documents", params={"limit": 2, "after": after}).json()
        assert (len(page["documents"]), page["total"], page["index_version"]) == (expected, 5, 3)
        found += [document["id"] for document in page["documents"]]
        after = page["next"]
    assert (found, after) == (sorted(TEXTS), None)


def test_document_of_another_tenant_or_none_is_404(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS, tenant="acme")
    headers = {"Authorization": f"Bearer {create_key(stack.engine, 'default', ['ask', 'admin']).key}"}
    client = make_client(stack)
    for name in ("a" * 32, "nothing", "%00", "..%2f"):
        assert client.get(f"/v1/documents/{name}", headers=headers).status_code == 404
        assert client.delete(f"/v1/documents/{name}", headers=headers).status_code in (404, 422)
    assert client.get("/v1/documents", headers=headers).json()["total"] == 0


def test_documents_before_anything_is_published_are_409(make_client: MakeClient) -> None:
    assert make_client().get("/v1/documents").status_code == 409


def test_json_document_goes_to_the_child_as_a_file(make_client: MakeClient) -> None:
    body = {"text": "# Parking\n", "title": "--Parking\n costs", "media_type": "text/html"}
    reply = make_client(script=SHOW_UPLOAD).put("/v1/documents/faq-1", json=body)
    assert reply.status_code == 200
    options = ["--title=--Parking costs", "--json", "--progress-lines", "--tenant=default"]
    assert told(reply.json()) == ["documents", "put", "faq-1", ".html", "# Parking\n", *options]


def test_uploaded_document_goes_to_the_child_as_a_file(make_client: MakeClient) -> None:
    reply = make_client(script=SHOW_UPLOAD).put("/v1/documents/faq-1", files={"file": ("../Up load.TXT", b"Hello.")}, data={"title": "Up"})
    assert told(reply.json())[3:6] == [".txt", "Hello.", "--title=Up"]


def test_upload_is_gone_from_disk_afterwards(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(script=SHOW_UPLOAD)
    make_client(stack).put("/v1/documents/faq-1", json={"text": "Hello."})
    assert not list(stack.settings.data_dir.glob("upload-*"))


def test_document_that_cannot_be_parsed_is_422(make_client: MakeClient) -> None:
    client = make_client(script=says(problem_of(ParseFailed("the document 'a' is empty")), code=1))
    reply = client.put("/v1/documents/a", files={"file": ("a.pdf", b"")})
    assert (reply.status_code, reply.json()["detail"]) == (422, "the document 'a' is empty")


@pytest.mark.parametrize("name", ["-a", "a b", "a" * 33, "é", "a:b", "%00"])
def test_id_that_cannot_be_one_is_422(make_client: MakeClient, name: str) -> None:
    reply = make_client().put(f"/v1/documents/{name}", json={"text": "Hello."})
    assert (reply.status_code, "cannot be a document's id" in reply.json()["detail"]) == (422, True)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "text: Field required"),
        ({"text": ""}, "text: String should have at least 1 character"),
        ({"text": "a", "colour": "red"}, "unknown field 'colour': allowed are media_type, text, title"),
        ({"text": "a", "media_type": "image/png"}, "media_type: Input should be 'text/markdown', 'text/plain' or 'text/html'"),
        ({"text": "a", "title": "a" * 501}, "title: String should have at most 500 characters"),
        ({"text": "a", "title": "a\0"}, "the title holds the control character U+0000"),
        ([], "Input should be an object"),
    ],
)
def test_wrong_json_document_is_422(make_client: MakeClient, sent: object, told: str) -> None:
    reply = make_client().put("/v1/documents/a", json=sent)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    assert told in reply.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"text": "\xff"}', b'{"text": "\\ud800"}'])
def test_broken_json_document_is_422(make_client: MakeClient, content: bytes) -> None:
    reply = make_client().put("/v1/documents/a", content=content, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("kind", [None, "application/pdf", "text/plain"])
def test_body_of_another_type_is_415(make_client: MakeClient, kind: str | None) -> None:
    reply = make_client().put("/v1/documents/a", content=b"Hello.", headers={"Content-Type": kind} if kind else {})
    assert (reply.status_code, "multipart/form-data" in reply.json()["detail"]) == (415, True)


def test_wrong_form_is_422(make_client: MakeClient) -> None:
    client = make_client()
    replies = [
        client.put("/v1/documents/a", files={"other": ("a.md", b"a")}),
        client.put("/v1/documents/a", files={"file": ("noname", b"a")}),
        client.put("/v1/documents/a", files={"file": ("a.md", b"a")}, data={"colour": "red"}),
        client.put("/v1/documents/a", files={"file": ("a.md", b"a")}, data={"title": "a" * 501}),
    ]
    assert [reply.status_code for reply in replies] == [422] * 4
    for reply, told in zip(replies, ("no file", "'noname'", "'colour'", "501"), strict=True):
        assert told in reply.json()["detail"]


def test_broken_form_is_a_problem(make_client: MakeClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for content in (b"", b"--x\r\nnonsense", b"--y\r\n\r\n"):
        reply = make_client().put("/v1/documents/a", content=content, headers=headers)
        assert (reply.status_code in (400, 422), reply.headers["content-type"]) == (True, "application/problem+json")


def test_document_over_the_limit_is_413(make_client: MakeClient) -> None:
    client = make_client(server={"max_upload_bytes": 1000})
    declared = client.put("/v1/documents/a", json={"text": "a" * 1000})
    streamed = client.put("/v1/documents/a", content=iter([b"a" * 600] * 2), headers={"Content-Type": "application/json"})
    form = client.put("/v1/documents/a", files={"file": ("a.md", b"a" * 2000)})
    assert [reply.status_code for reply in (declared, streamed, form)] == [413] * 3
    assert "more than 1000 bytes" in declared.json()["detail"]


def test_document_of_a_file_is_not_taken_out(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    reply = make_client(stack).delete("/v1/documents/" + "a" * 32)
    assert (reply.status_code, "handbook/a.md" in reply.json()["detail"]) == (409, True)


def test_document_goes_in_is_found_and_goes_out(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    app = create_app(build_stack(Settings()))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        put = client.put("/v1/documents/parking", json={"text": "# Parking\n\nA day of parking costs 14 euros.\n"})
        assert (put.status_code, put.json()["added"], put.json()["version"]) == (200, 1, 2)
        (hit,) = client.post("/v1/search", json={"question": "What does parking cost?", "top_k": 1}).json()["hits"]
        text = client.get("/v1/documents/parking").json()["text"]
        assert (hit["document_id"], text[hit["start"] : hit["end"]]) == ("parking", hit["text"])
        assert json.loads(client.delete("/v1/documents/parking").text)["removed"] == 1
        assert client.get("/v1/documents/parking").status_code == 404
        assert client.post("/v1/index/sync?wait=true").json()["unchanged"] == 3


def test_document_of_a_file_is_forgotten_while_the_server_answers(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    app = create_app(build_stack(Settings()))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        asked = {"question": "What may a hotel cost a night?", "stream": True}
        assert "140 euros" in client.post("/v1/answers", json=asked).text
        (hit,) = client.post("/v1/search", json={"question": "hotel", "top_k": 1}).json()["hits"]
        gone = client.post(f"/v1/documents/{hit['document_id']}/forget")
        assert (gone.status_code, gone.json()["documents"], gone.json()["versions_dropped"], gone.json()["left"]) == (200, 1, [1], [])
        assert gone.json()["answers_erased"] == 1
        assert files_holding(library / "data", "140 euros", "second class") == {}
        assert "140 euros" not in client.post("/v1/answers", json=asked).text
        assert client.post(f"/v1/documents/{hit['document_id']}/forget").status_code == 404
        assert client.post("/v1/answers", json={"question": "How many days of leave are there?"}).json()["answer"].startswith("27")


def test_id_that_cannot_be_stored_is_not_there(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    for identity in ("\0", "\ud800"):
        with pytest.raises(NotFound):
            read_document(stack.engine, local_scope(), identity)
        with pytest.raises(NotFound):
            read_job(stack.engine, local_scope(), identity)
    assert make_client(stack).get("/v1/documents?after=%00").status_code == 422


def test_document_on_a_full_disk_is_507_and_leaves_nothing(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    with _small_files():
        json_body = client.put("/v1/documents/a", json={"text": "a" * 1_500_000})
        spooled = client.put("/v1/documents/a", files={"file": ("a.md", b"a" * 3_000_000)})
    assert [reply.status_code for reply in (json_body, spooled)] == [507, 507]
    assert not list(stack.settings.data_dir.glob("upload-*"))


@contextmanager
def _small_files() -> Iterator[None]:
    """No file may grow beyond a megabyte: the system then refuses to write as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_document_is_read_in_a_kept_version(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    end(stack.engine, version=4)
    client = make_client(stack)
    shown = client.get("/v1/documents/" + "a" * 32, params={"version": 3}).json()
    assert (shown["text"], shown["index_version"], shown["chunks"]) == ("Text a.", 3, 1)
    assert client.get("/v1/documents/" + "a" * 32).status_code == 404
    assert [client.get("/v1/documents", params={"version": version}).json()["total"] for version in (3, 4)] == [5, 0]


def test_document_in_a_version_that_is_not_kept_is_404_and_names_those_that_are(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    client = make_client(stack)
    for path in ("/v1/documents", "/v1/documents/" + "a" * 32, "/v1/documents/nothing"):
        reply = client.get(path, params={"version": 2})
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:understudy:problem:version-not-kept")
        assert "version 2 is not kept, or never was; these are: 3 (" in reply.json()["detail"]
    assert client.get("/v1/documents?version=0").status_code == 422

"""GET /v1/index/versions, GET /v1/index/diff and POST /v1/index/rollback."""

from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import create_key, local_scope
from api.errors import problem_of
from api.stack import build_stack
from core.errors import VersionNotKept
from core.schema import index_versions
from core.settings import Settings
from ingest.hold import hold_sources
from tests.api.conftest import MakeClient, MakeStack
from tests.api.library import end, publish
from tests.api.test_index import REPORT as SYNCED
from tests.api.test_index import says

TEXTS = {letter * 32: f"Text {letter}." for letter in "abcde"}
REPORT = {
    "added": 5, "changed": 1, "renamed": 2, "removed": 3, "unchanged": 4, "chunks_embedded": 6, "chunks_reused": 7, "seconds": 1.5,
    "failed": [{"source": "handbook/secret.pdf", "reason": "encrypted"}],
}  # fmt: skip


def note_report(stack: object, version: int) -> None:
    with stack.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(update(index_versions).where(index_versions.c.version == version).values(report=REPORT, cause="put"))


def test_versions_are_listed_newest_first_with_their_numbers(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    note_report(stack, 3)
    end(stack.engine, version=4)
    shown = make_client(stack).get("/v1/index/versions").json()
    assert (shown["published"], shown["next"], [version["version"] for version in shown["versions"]]) == (4, None, [4, 3])
    assert shown["versions"][1] == {
        "version": 3, "published": False, "published_at": 2.0, "cause": "put", "documents": 5, "chunks": 5, "added": 5, "changed": 1,
        "renamed": 2, "removed": 3, "chunks_embedded": 6, "chunks_reused": 7, "failed": 1, "seconds": 1.5, "content_of": None,
    }  # fmt: skip
    assert (shown["versions"][0]["published"], shown["versions"][0]["documents"], shown["versions"][0]["chunks"]) == (True, 0, 0)


def test_versions_before_the_first_sync_are_none(make_client: MakeClient) -> None:
    assert make_client().get("/v1/index/versions").json() == {"published": None, "versions": [], "next": None}


def test_versions_come_page_by_page(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    for version in (4, 5, 6, 7):
        end(stack.engine, version=version)
    client, found, before = make_client(stack), [], None
    for expected in (2, 2, 1):
        page = client.get("/v1/index/versions", params={"limit": 2} | ({"before": before} if before else {})).json()
        assert len(page["versions"]) == expected
        found += [version["version"] for version in page["versions"]]
        before = page["next"]
    assert (found, before) == ([7, 6, 5, 4, 3], None)


def test_tenant_sees_the_numbers_of_its_own_content_alone(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts={"a" * 32: "Mine."})
    publish(stack.engine, version=4, texts=TEXTS, tenant="acme")
    note_report(stack, 4)
    client = make_client(stack)
    mine = {"Authorization": f"Bearer {create_key(stack.engine, 'default', ['ask']).key}"}
    theirs = {"Authorization": f"Bearer {create_key(stack.engine, 'acme', ['ask']).key}"}
    reply = client.get("/v1/index/versions", headers=mine)
    foreign, own = reply.json()["versions"]
    assert (foreign["version"], foreign["published"], foreign["documents"], foreign["chunks"]) == (4, True, 1, 1)
    assert {name for name, value in foreign.items() if not value} == {
        "cause", "added", "changed", "renamed", "removed", "chunks_embedded", "chunks_reused", "failed", "seconds", "content_of",
    }  # fmt: skip
    assert (own["cause"], own["documents"], "secret" in reply.text, "acme" in reply.text) == ("sync", 1, False, False)
    shown = client.get("/v1/index/versions", headers=theirs).json()["versions"]
    assert [(version["version"], version["documents"], version["added"]) for version in shown] == [(4, 5, 5), (3, 0, 0)]
    assert client.get("/v1/index/diff?from=3&to=4", headers=mine).json()["total"] == 0
    assert client.get("/v1/index/diff?from=3&to=4", headers=theirs).json()["documents"]["added"] == 5


def test_diff_gives_numbers_first_and_a_page_of_documents(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts=TEXTS)
    end(stack.engine, version=4)
    client = make_client(stack)
    found, offset = [], 0
    for expected, following in ((2, 2), (2, 4), (1, None)):
        page = client.get("/v1/index/diff", params={"from": 3, "to": 4, "limit": 2, "offset": offset}).json()
        assert page["documents"] == {"added": 0, "removed": 5, "changed": 0, "renamed": 0}
        assert (page["chunks"], page["total"]) == ({"added": 0, "removed": 5, "kept": 0}, 5)
        assert (len(page["changes"]), page["next"]) == (expected, following)
        found += [change["source"] for change in page["changes"]]
        offset = page["next"]
    assert found == [f"handbook/{letter}.md" for letter in "abcde"]


@pytest.mark.parametrize(
    ("show", "listed"),
    [
        ("numbers", []),
        ("headings", [{"change": "removed", "heading": "", "start": 0, "end": 7, "text": None}]),
        ("text", [{"change": "removed", "heading": "", "start": 0, "end": 7, "text": "Text a."}]),
    ],
)
def test_diff_shows_of_the_chunks_what_is_asked_for(
    make_stack: MakeStack, make_client: MakeClient, show: str, listed: list[dict[str, object]]
) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts={"a" * 32: "Text a."})
    end(stack.engine, version=4)
    (change,) = make_client(stack).get("/v1/index/diff", params={"from": 3, "to": 4, "show": show}).json()["changes"]
    assert change == {
        "change": "removed", "id": "a" * 32, "source": "handbook/a.md", "title": "a", "was": None,
        "chunks": {"added": 0, "removed": 1, "kept": 0}, "listed": listed, "left_out": 1 - len(listed),
    }  # fmt: skip


def test_diff_with_a_version_that_is_not_kept_is_404(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    assert client.get("/v1/index/diff?from=3&to=4").status_code == 409
    publish(stack.engine, version=3, texts=TEXTS)
    for one, other in ((3, 4), (2, 3)):
        reply = client.get(f"/v1/index/diff?from={one}&to={other}")
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:understudy:problem:version-not-kept")
    assert client.get("/v1/index/diff?from=3&to=3").json()["total"] == 0


@pytest.mark.parametrize("query", ["", "from=3", "from=a&to=4", "from=0&to=4", "from=3&to=4&show=all", "from=3&to=4&limit=0"])
def test_wrong_diff_is_422(make_client: MakeClient, query: str) -> None:
    reply = make_client().get(f"/v1/index/diff?{query}")
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


def test_rollback_runs_in_the_child_and_says_what_it_did(make_stack: MakeStack, make_client: MakeClient) -> None:
    told = {**SYNCED, "content_of": 7}
    script = f"import json, sys; print(json.dumps({told!r} | {{'failed': [{{'source': word, 'reason': ''}} for word in sys.argv[1:]]}}))"
    client = make_client(make_stack(script=script))
    reply = client.post("/v1/index/rollback", json={"version": 7})
    assert (reply.status_code, reply.json()["content_of"], reply.json()["version"]) == (200, 7, 8)
    assert [failure["source"] for failure in reply.json()["failed"]] == ["rollback", "7", "--json", "--progress-lines", "--tenant=default"]


def test_rollback_that_the_child_refuses_keeps_its_status(make_client: MakeClient) -> None:
    client = make_client(script=says(problem_of(VersionNotKept("version 7 is not kept")), code=1))
    reply = client.post("/v1/index/rollback", json={"version": 7})
    assert (reply.status_code, reply.json()["detail"]) == (404, "version 7 is not kept")


@pytest.mark.parametrize("body", [{}, {"version": 0}, {"version": "x"}, {"version": 7, "hold": False}, {"version": 2**53}, []])
def test_wrong_rollback_is_422(make_client: MakeClient, body: object) -> None:
    reply = make_client().post("/v1/index/rollback", json=body)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


def test_rollback_needs_an_admin_key(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    headers = {"Authorization": f"Bearer {create_key(stack.engine, 'default', ['ask']).key}"}
    assert make_client(stack).post("/v1/index/rollback", json={"version": 7}, headers=headers).status_code == 403


def test_sync_of_held_sources_is_409_until_it_releases_them(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(script=f"import json, sys; print(json.dumps({SYNCED!r} | {{'version': len(sys.argv)}}))")
    client = make_client(stack)
    with stack.engine.begin() as connection:
        hold_sources(connection, local_scope(), 7)
    for query in ("", "?wait=true"):
        reply = client.post(f"/v1/index/sync{query}")
        assert (reply.status_code, reply.json()["type"]) == (409, "urn:understudy:problem:sources-held")
        assert "rollback to version 7" in reply.json()["detail"]
    held = client.get("/v1/index").json()["held"]
    assert (held["version"], held["since"] > 1e9) == (7, True)
    assert client.post("/v1/index/sync?wait=true&release=true").json()["version"] == 6  # one word more: --release
    key = create_key(stack.engine, "acme", ["admin"]).key
    assert client.post("/v1/index/sync?wait=true", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_old_citation_opens_in_its_text_and_a_rollback_brings_it_back(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real child process, embedder, index and reader."""
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    monkeypatch.setenv("UNDERSTUDY_SERVER__REQUEST_SECONDS", "120")  # a busy machine is no failure here
    ask = {"question": "What does a day of parking cost?", "mode": "tuned"}
    with TestClient(create_app(build_stack(Settings())), base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        for said in ("A day of parking costs 14 euros.", "There is a lot of news. A day of parking costs 17 euros."):
            assert client.put("/v1/documents/parking", json={"text": f"# Parking\n\n{said}\n"}).status_code == 200
        old = client.post("/v1/answers", json=ask | {"as_of": 2}).json()
        new = client.post("/v1/answers", json=ask).json()
        for answer, version, euros in ((old, 2, "14 euros"), (new, 3, "17 euros")):
            (citation, *_) = answer["citations"]
            opened = client.get(f"/v1/documents/{citation['document_id']}?version={answer['index_version']}").json()
            assert (answer["index_version"], opened["index_version"]) == (version, version)
            assert euros in citation["quote"] == opened["text"][citation["start"] : citation["end"]]
        back = client.post("/v1/index/rollback", json={"version": 2}).json()
        assert (back["version"], back["content_of"], back["changed"], back["chunks_embedded"]) == (4, 2, 1, 0)
        assert "14 euros" in client.post("/v1/answers", json=ask).json()["citations"][0]["quote"]
        assert client.get("/v1/index/diff?from=2&to=4").json()["total"] == 0
        assert client.post("/v1/index/sync?wait=true").status_code == 409

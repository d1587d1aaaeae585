"""GET /v1/index, POST /v1/index/sync and GET /v1/jobs/{id}; the child is a script, so no model is needed."""

import json
import time
from typing import Any

from sqlalchemy import select
from starlette.testclient import TestClient

from api.auth import create_key, local_scope
from api.errors import problem_of
from api.jobs import open_job
from core.errors import StorageFull, SyncRunning
from core.schema import jobs
from core.types import Json, SyncProgress
from ingest.lock import only_writer
from ingest.progress import noted
from tests.api.conftest import MakeClient, MakeStack
from tests.api.library import publish
from tests.meanwhile import taken_between_reads

REPORT: Json = {
    "version": 8, "added": 1, "changed": 2, "renamed": 0, "removed": 0, "unchanged": 3, "chunks_embedded": 4, "chunks_reused": 5,
    "failed": [{"source": "a.pdf", "reason": "encrypted"}], "notes": [], "seconds": 0.5,
}  # fmt: skip
PROGRESS = {"step": "embedding", "documents": 3, "documents_total": 3, "chunks": 1, "chunks_total": 9}


def says(*lines: object, code: int = 0, seconds: float = 0.0) -> str:
    """A child that writes lines as the sync command would, waits, and ends."""
    written = [json.dumps(line) for line in lines]
    return f"import sys, time\nfor line in {written!r}: print(line, flush=True)\ntime.sleep({seconds})\nsys.exit({code})"


def ended(client: TestClient, job_id: str) -> dict[str, Any]:
    for _ in range(200):
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        if job["state"] != "running":
            return job
        time.sleep(0.05)
    raise AssertionError("the job did not end")


def test_index_shows_nothing_before_the_first_sync(make_client: MakeClient) -> None:
    shown = make_client().get("/v1/index").json()
    assert (shown["version"], shown["documents"], shown["chunks"], shown["sync_running"]) == (None, 0, 0, False)


def test_index_shows_the_published_version_of_the_tenant(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts={"a" * 32: "One.", "b" * 32: "Two."})
    publish(stack.engine, version=4, texts={"c" * 32: "Theirs."}, tenant="acme")
    shown = make_client(stack).get("/v1/index").json()
    assert shown | {"published_at": 0} == {
        "version": 4, "documents": 2, "chunks": 2, "embedder": "fixed", "published_at": 0, "sync_running": False, "sync_progress": None,
        "held": None, "failed": [],
        "sources": [{"kind": "folder", "name": "handbook", "location": "/srv/handbook", "ref": None, "revision": None, "forgotten": 0}],
    }  # fmt: skip


def test_index_is_shown_as_it_was_at_one_moment(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts={"a" * 32: "One."})
    client = make_client(stack)
    with taken_between_reads(stack.engine, 3):
        shown = client.get("/v1/index").json()
    assert (shown["version"], shown["embedder"]) == (3, "fixed")
    assert client.get("/v1/index").json()["embedder"] is None


def test_sync_with_wait_gives_the_report(make_client: MakeClient) -> None:
    reply = make_client(script=says(PROGRESS, REPORT, code=2)).post("/v1/index/sync?wait=true")
    assert (reply.status_code, reply.json()) == (200, REPORT)


def test_sync_without_wait_gives_a_job_that_ends_with_the_report(make_client: MakeClient) -> None:
    client = make_client(script=says(PROGRESS, REPORT))
    reply = client.post("/v1/index/sync")
    assert reply.status_code == 202
    job = ended(client, reply.json()["job_id"])
    assert (job["state"], job["report"], job["error"]) == ("done", REPORT, None)
    assert job["progress"] == PROGRESS
    assert job["ended_at"] >= job["started_at"]


def test_sync_hands_the_tenant_to_the_child_as_one_word(make_stack: MakeStack, make_client: MakeClient) -> None:
    script = f"import json, sys; print(json.dumps({REPORT!r} | {{'failed': [{{'source': word, 'reason': ''}} for word in sys.argv[1:]]}}))"
    stack = make_stack(script=script)
    key = create_key(stack.engine, "acme", ["admin"]).key
    reply = make_client(stack).post("/v1/index/sync?wait=true", headers={"Authorization": f"Bearer {key}"})
    words = [failure["source"] for failure in reply.json()["failed"]]
    assert words == ["sync", "--json", "--progress-lines", "--tenant=acme"]


def test_second_sync_is_409_while_one_runs(make_client: MakeClient) -> None:
    client = make_client(script=says(PROGRESS, REPORT, seconds=1.0))
    first = client.post("/v1/index/sync")
    second = client.post("/v1/index/sync")
    assert (first.status_code, second.status_code) == (202, 409)
    assert second.json()["type"] == "urn:understudy:problem:sync-running"
    assert client.get("/v1/index").json()["sync_running"]
    assert ended(client, first.json()["job_id"])["state"] == "done"
    assert client.post("/v1/index/sync?wait=true").status_code == 200


def test_sync_that_another_process_forestalled_is_409(make_client: MakeClient) -> None:
    reply = make_client(script=says(problem_of(SyncRunning()), code=1)).post("/v1/index/sync?wait=true")
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:understudy:problem:sync-running")


def test_sync_is_409_while_another_process_writes(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(script=says(REPORT))
    client = make_client(stack)
    with only_writer(stack.settings.data_dir):
        assert client.get("/v1/index").json()["sync_running"]
        assert client.post("/v1/index/sync?wait=true").status_code == 409
        assert client.put("/v1/documents/a", json={"text": "Hello."}).status_code == 409
    assert client.post("/v1/index/sync?wait=true").status_code == 200


def test_index_says_how_far_the_sync_of_any_process_is_to_its_tenant_alone(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    note = noted(stack.settings.data_dir, local_scope(), lambda _: None)
    with only_writer(stack.settings.data_dir):
        assert client.get("/v1/index").json()["sync_progress"] is None
        note(SyncProgress(step="embedding", documents=2, documents_total=2, chunks=3, chunks_total=9))
        shown = client.get("/v1/index").json()["sync_progress"]
        assert shown == {"step": "embedding", "documents": 2, "documents_total": 2, "chunks": 3, "chunks_total": 9}
        key = create_key(stack.engine, "acme", ["ask"]).key
        theirs = client.get("/v1/index", headers={"Authorization": f"Bearer {key}"}).json()
        assert (theirs["sync_running"], theirs["sync_progress"]) == (True, None)
    with only_writer(stack.settings.data_dir):  # the next one begins with nothing said
        ours = client.get("/v1/index", headers={"Authorization": f"Bearer {create_key(stack.engine, 'default', ['ask']).key}"}).json()
        assert (ours["sync_running"], ours["sync_progress"]) == (True, None)


def test_sync_on_a_full_disk_is_507_and_the_job_says_why(make_client: MakeClient) -> None:
    client = make_client(script=says(PROGRESS, problem_of(StorageFull()), code=1))
    assert client.post("/v1/index/sync?wait=true").status_code == 507
    job = ended(client, client.post("/v1/index/sync").json()["job_id"])
    assert (job["state"], job["report"]) == ("failed", None)
    assert "free some space" in job["error"]


def test_sync_that_dies_is_503_and_says_that_nothing_is_lost(make_client: MakeClient) -> None:
    client = make_client(script="import os; os.kill(os.getpid(), 9)")
    reply = client.post("/v1/index/sync?wait=true")
    assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
    assert "code -9" in reply.json()["detail"]
    assert client.get("/healthz").status_code == 200


def test_job_of_another_tenant_or_none_is_404(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    job_id = open_job(stack.engine, local_scope("acme"))
    client = make_client(stack)
    assert [client.get(f"/v1/jobs/{name}").status_code for name in (job_id, "nothing", "%00")] == [404, 404, 404]


def test_job_of_a_dead_server_is_failed_by_the_next(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    job_id = open_job(stack.engine, local_scope())
    job = make_client(stack).get(f"/v1/jobs/{job_id}").json()
    assert job["state"] == "failed"
    assert "the server ended" in job["error"]


def test_running_sync_ends_with_the_server(make_stack: MakeStack) -> None:
    stack = make_stack(script=says(PROGRESS, seconds=60))
    job = stack.start_writing(local_scope(), ("sync",))
    began = time.monotonic()
    while stack.worker._process is None:
        time.sleep(0.01)
    stack.worker.stop()
    assert time.monotonic() - began < 10
    assert "code -15" in str(job.report.exception())


PREVIEW: Json = {
    "version": 8, "added": ["a.md"], "changed": [], "renamed": [{"before": "b.md", "after": "c.md"}], "removed": [], "unchanged": 3,
    "failed": [], "notes": [], "chunks_to_embed": 4, "characters_to_embed": 812, "expected_seconds": None,
}  # fmt: skip


def test_dry_run_gives_the_preview_and_makes_no_job(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(script=f"import json, sys; assert sys.argv[1:3] == ['sync', '--dry-run']; print(json.dumps({PREVIEW!r}))")
    with only_writer(stack.settings.data_dir):  # beside a sync
        reply = make_client(stack).post("/v1/index/sync?dry_run=true")
    assert (reply.status_code, reply.json()) == (200, PREVIEW)
    with stack.engine.connect() as connection:
        assert connection.execute(select(jobs)).all() == []


def test_dry_run_that_fails_says_why(make_client: MakeClient) -> None:
    reply = make_client(script=says(problem_of(StorageFull()), code=1)).post("/v1/index/sync?dry_run=true")
    assert (reply.status_code, reply.json()["type"]) == (507, "urn:understudy:problem:storage-full")

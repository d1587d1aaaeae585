"""Liveness, readiness, metrics."""

from dataclasses import replace

from sqlalchemy import text

from api.auth import local_scope
from retrieval.search import HybridRetriever
from tests.api.conftest import MakeClient, MakeStack
from tests.api.library import publish
from tests.doubles import FirstWordTier, MemoryIndex, WordEmbedder

ASK = {"question": "How many days?"}


def test_health_needs_nothing(make_client: MakeClient) -> None:
    reply = make_client(version=None, tiers=()).get("/healthz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_checks_may_ask_without_the_body(make_client: MakeClient) -> None:
    """As load balancers and uptime checks do."""
    client = make_client()
    assert [client.head(path).status_code for path in ("/healthz", "/readyz", "/")] == [200, 200, 200]
    assert make_client(version=None).head("/readyz").status_code == 503


def test_ready_once_something_is_published_and_a_tier_is_ready(make_client: MakeClient) -> None:
    assert make_client().get("/readyz").json() == {"status": "ok"}


def test_not_ready_before_anything_is_published(make_client: MakeClient) -> None:
    reply = make_client(version=None).get("/readyz")
    assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
    assert "Nothing is indexed yet" in reply.json()["detail"]


def test_not_ready_without_a_ready_tier(make_client: MakeClient) -> None:
    reply = make_client(tiers=(FirstWordTier(ready=False),)).get("/readyz")
    assert reply.status_code == 503
    assert "reader: the test wants it so" in reply.json()["detail"]


def test_metrics_count_requests_answers_and_the_index(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(tiers=(FirstWordTier(confidence=0.2),))
    publish(stack.engine, version=3, texts={"a" * 32: "One. Two.", "b" * 32: "Three."})
    client = make_client(stack)
    client.post("/v1/answers", json=ASK)
    client.post("/v1/answers", json=ASK | {"mode": "hybrid"})
    client.post("/v1/answers", json=ASK | {"mode": "frontier"})
    client.get("/v1/documents/" + "a" * 32)
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    for line in (
        'understudy_answers_total{mode="tuned",outcome="answered",tier="reader"} 1.0',
        'understudy_answers_total{mode="hybrid",outcome="abstained",tier="reader"} 1.0',
        'understudy_answers_total{mode="frontier",outcome="failed",tier="none"} 1.0',
        'understudy_requests_total{method="POST",route="/v1/answers",status="200"} 2.0',
        'understudy_requests_total{method="GET",route="/v1/documents/{document_id}",status="200"} 1.0',
        'understudy_answer_seconds_count{mode="tuned",tier="reader"} 1.0',
        'understudy_cost_micro_usd_total{mode="tuned"} 3.0',
        'understudy_untold_attempts_total{mode="tuned"} 0.0',
        "understudy_index_version 3.0",
        "understudy_documents 2.0",
        "understudy_chunks 2.0",
    ):
        assert line in reply.text.splitlines()
    assert ASK["question"] not in reply.text


def test_not_ready_where_what_is_published_cannot_be_searched(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    publish(stack.engine, version=3, texts={"a" * 32: "One."})
    index = MemoryIndex()

    def readiness(embedder: str) -> tuple[int, str]:
        retriever = HybridRetriever(stack.engine, index, WordEmbedder(embedder), dense_weight=0.5, candidates=10)
        reply = make_client(replace(stack, retriever=retriever)).get("/readyz")
        return reply.status_code, reply.json().get("detail", "")

    status, detail = readiness("fixed")
    assert (status, "index is damaged or gone" in detail) == (503, True)
    status, detail = readiness("another")
    assert (status, "built by an embedder that cannot be opened" in detail) == (503, True)
    index.build(local_scope(), 3, base=None, embedder="fixed", dimensions=64, added=[], removed=[])
    assert readiness("fixed") == (200, "")


def test_not_ready_without_a_database(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    with stack.engine.begin() as connection:
        connection.execute(text("DROP TABLE state"))
    reply = client.get("/readyz")
    assert (reply.status_code, "the database cannot be read" in reply.json()["detail"]) == (503, True)

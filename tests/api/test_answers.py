"""POST /v1/answers."""

import json
import time

import pytest
from sqlalchemy import select

from core.schema import answers, attempts
from core.types import Filters, Snapshot
from tests.api.conftest import MakeClient, MakeStack
from tests.doubles import FirstWordTier, FixedRetriever

ASK = {"question": "How many days of leave do I have?"}


def test_answer_has_every_field_and_an_exact_citation(make_client: MakeClient) -> None:
    reply = make_client().post("/v1/answers", json=ASK)
    body = reply.json()
    assert reply.status_code == 200
    assert set(body) == {
        "id", "answer", "abstained", "citations", "mode", "tier", "model", "confidence", "confidence_source", "route", "index_version",
        "usage", "cost_micro_usd", "untold_micro_usd", "timings_ms", "below_threshold",
    }  # fmt: skip
    assert set(body["citations"][0]) == {"chunk_id", "document_id", "source", "title", "heading", "quote", "start", "end"}
    assert set(body["route"][0]) == {"tier", "outcome", "reason", "confidence", "latency_ms", "cost_micro_usd", "untold_micro_usd", "fault"}
    assert (body["answer"], body["mode"], body["tier"], body["index_version"]) == ("Twenty-seven", "tuned", "reader", 7)


def test_answer_and_its_attempts_are_recorded(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    body = make_client(stack).post("/v1/answers", json=ASK).json()
    with stack.engine.connect() as connection:
        answer = connection.execute(select(answers)).one()
        attempt = connection.execute(select(attempts)).one()
    assert (answer.id, answer.tenant, answer.question, answer.cost_micro_usd) == (body["id"], "default", ASK["question"], 3)
    assert (attempt.answer_id, attempt.tier, attempt.outcome, attempt.cost_micro_usd) == (body["id"], "reader", "accepted", 3)


def test_answer_below_the_threshold_is_abstained_in_hybrid_mode(make_client: MakeClient) -> None:
    body = make_client(tiers=(FirstWordTier(confidence=0.2),)).post("/v1/answers", json=ASK | {"mode": "hybrid"}).json()
    assert (body["abstained"], body["answer"]) == (True, None)
    assert body["citations"][0]["quote"] == "Twenty-seven days of leave a year."
    assert body["route"][0]["outcome"] == "below_threshold"


def test_mode_of_the_request_goes_before_the_stored_one(make_client: MakeClient) -> None:
    client = make_client(tiers=(FirstWordTier("reader"), FirstWordTier("frontier")))
    assert client.post("/v1/answers", json=ASK | {"mode": "frontier"}).json()["tier"] == "frontier"
    assert client.post("/v1/answers", json=ASK).json()["tier"] == "reader"


def test_top_k_and_filters_reach_the_retriever(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    filters = {"source": "handbook/", "media_type": ["text/html", "text/plain"]}
    make_client(stack).post("/v1/answers", json=ASK | {"top_k": 3, "filters": filters})
    assert isinstance(stack.retriever, FixedRetriever)
    assert stack.retriever.asked == [(ASK["question"], 3, Filters(source=("handbook/",), media_type=("text/html", "text/plain")))]


def test_frontier_without_a_tier_is_409_with_the_reason(make_client: MakeClient) -> None:
    reply = make_client().post("/v1/answers", json=ASK | {"mode": "frontier"})
    assert (reply.status_code, reply.headers["content-type"]) == (409, "application/problem+json")
    assert "no ready tier" in reply.json()["detail"]


def test_nothing_published_is_409_with_the_next_step(make_client: MakeClient) -> None:
    reply = make_client(version=None).post("/v1/answers", json=ASK)
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:understudy:problem:nothing-published")
    assert "understudy ingest" in reply.json()["detail"]


def test_failing_tiers_are_503_with_the_reason(make_client: MakeClient) -> None:
    reply = make_client(tiers=(FirstWordTier(fails="out of memory"),)).post("/v1/answers", json=ASK)
    assert (reply.status_code, reply.json()["detail"]) == (503, "every tier failed: reader: out of memory")


def test_answer_that_takes_too_long_is_503(make_client: MakeClient) -> None:
    began = time.monotonic()
    client = make_client(tiers=(FirstWordTier(seconds=30),), server={"request_seconds": 0.2})
    reply = client.post("/v1/answers", json=ASK)
    assert (reply.status_code, time.monotonic() - began < 5) == (503, True)
    assert "no answer within 0.2 s" in reply.json()["detail"]


@pytest.mark.parametrize("question", ["休暇は何日ありますか", "كم يوم إجازة؟", "Сколько дней отпуска?", "😀"])
def test_question_in_any_language_is_taken(make_client: MakeClient, question: str) -> None:
    assert make_client().post("/v1/answers", json={"question": question}).status_code == 200


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"question": ""}, "the question is empty"),
        ({"question": " \n\t"}, "the question is empty"),
        ({"question": "a" * 100_000}, "100000 characters: shorten it to 2000"),
        ({"question": "a\0b"}, "U+0000 at position 1"),
        ({"question": "a\x1b[31m"}, "U+001B"),
        ({}, "question: Field required"),
        ({"question": None}, "question: Input should be a valid string"),
        ({"question": ["a"]}, "question: Input should be a valid string"),
        (ASK | {"mode": "best"}, "mode: Input should be 'tuned', 'frontier' or 'hybrid'"),
        (ASK | {"colour": "red"}, "unknown field 'colour': allowed are as_of, filters, mode, question, stream, top_k"),
        (ASK | {"filters": {"colour": "red"}}, "unknown field 'colour': allowed are document_id, media_type, source"),
        (ASK | {"filters": {"source": 7}}, "filters.source: Input should be a valid list"),
        (ASK | {"filters": {"source": ["a"] * 101}}, "at most 100 items"),
        (ASK | {"filters": {"source": "a" * 1001}}, "at most 1000 characters"),
        (ASK | {"filters": {"document_id": ["a", "b\0"]}}, "U+0000 at position 1"),
        (ASK | {"top_k": 0}, "top_k: Input should be greater than or equal to 1"),
        (ASK | {"top_k": 51}, "top_k: Input should be less than or equal to 50"),
        (ASK | {"top_k": 1e300}, "top_k"),
        (ASK | {"top_k": "many"}, "top_k: Input should be a valid integer"),
        ([], "Input should be a valid dictionary"),
        ("text", "Input should be a valid dictionary"),
    ],
)
def test_wrong_input_is_422_and_says_what_is_allowed(make_client: MakeClient, sent: object, told: str) -> None:
    reply = make_client().post("/v1/answers", json=sent)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    assert told in reply.json()["detail"]
    assert len(reply.content) < 2000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"question": ', "not valid JSON at character 13"),
        (b"", "required"),
        (b'{"question": "\\ud800"}', "U+D800"),
        (b'{"question": "a", "filters": {"media_type": ["\\ud800"]}}', "filters.media_type.0"),
        (b'{"question": "\xff\xfe"}', "not JSON in UTF-8"),
        (b"[" * 100_000, "body"),
        (b'{"question": "a", "top_k": ' + b"9" * 5000 + b"}", "body"),
    ],
)
def test_broken_json_is_422(make_client: MakeClient, content: bytes, told: str) -> None:
    reply = make_client().post("/v1/answers", content=content, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")
    assert told in reply.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_json_without_its_content_type_says_how_to_send_it(make_client: MakeClient, headers: dict[str, str]) -> None:
    reply = make_client().post("/v1/answers", content=json.dumps(ASK), headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (415, "application/problem+json")
    assert "`Content-Type: application/json`" in reply.json()["detail"]


def test_answer_as_of_a_version_comes_from_it(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(version=7)
    client = make_client(stack)
    assert client.post("/v1/answers", json=ASK | {"as_of": 3}).json()["index_version"] == 3
    with stack.engine.connect() as connection:
        assert connection.execute(select(answers.c.index_version)).scalars().all() == [3]
    for stream in (False, True):
        refused = client.post("/v1/answers", json=ASK | {"as_of": 9, "stream": stream})
        assert (refused.status_code, refused.json()["type"]) == (404, "urn:understudy:problem:version-not-kept")


def test_unexpected_error_is_a_problem_without_its_words(make_stack: MakeStack, make_client: MakeClient) -> None:
    class Broken(FixedRetriever):
        def published(self, as_of: int | None = None) -> Snapshot:
            raise RuntimeError("secret words")

    stack = make_stack()
    stack.answerer._retriever = Broken()
    reply = make_client(stack).post("/v1/answers", json=ASK, headers={"X-Request-ID": "mine"})
    assert (reply.status_code, reply.headers["content-type"]) == (500, "application/problem+json")
    assert "secret words" not in reply.text
    assert "mine" in reply.json()["detail"]

"""POST /v1/search."""

import pytest

from core.types import Filters
from tests.api.conftest import MakeClient, MakeStack
from tests.doubles import FixedRetriever, make_hit


def test_search_gives_the_hits_alone(make_client: MakeClient) -> None:
    reply = make_client().post("/v1/search", json={"question": "leave"})
    (hit,) = reply.json()["hits"]
    assert set(hit) == {
        "chunk_id", "document_id", "source", "title", "heading", "text", "start", "end", "score", "dense_score", "sparse_score",
    }  # fmt: skip
    assert (hit["text"], hit["sparse_score"], reply.json()["index_version"]) == ("Twenty-seven days of leave a year.", None, 7)


def test_search_without_hits_is_empty(make_client: MakeClient) -> None:
    assert make_client(hits=()).post("/v1/search", json={"question": "leave"}).json()["hits"] == []


def test_top_k_and_filters_reach_the_retriever(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(hits=(make_hit("One."), make_hit("Two.")), retrieval={"top_k": 9})
    client = make_client(stack)
    assert len(client.post("/v1/search", json={"question": "a", "top_k": 1, "filters": {"document_id": "d"}}).json()["hits"]) == 1
    client.post("/v1/search", json={"question": "a"})
    assert isinstance(stack.retriever, FixedRetriever)
    assert stack.retriever.asked == [("a", 1, Filters(document_id=("d",))), ("a", 9, Filters())]


@pytest.mark.parametrize(
    "sent",
    [{}, {"question": ""}, {"question": "a\0"}, {"question": "a", "mode": "tuned"}, {"question": "a", "filters": {"tenant": "acme"}}],
)
def test_wrong_input_is_422(make_client: MakeClient, sent: dict[str, object]) -> None:
    reply = make_client().post("/v1/search", json=sent)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "application/problem+json")


def test_nothing_published_is_409(make_client: MakeClient) -> None:
    assert make_client(version=None).post("/v1/search", json={"question": "a"}).status_code == 409


def test_search_as_of_a_version_reads_it(make_client: MakeClient) -> None:
    client = make_client(version=7)
    assert client.post("/v1/search", json={"question": "leave", "as_of": 3}).json()["index_version"] == 3
    refused = client.post("/v1/search", json={"question": "leave", "as_of": 9})
    assert (refused.status_code, refused.json()["type"]) == (404, "urn:understudy:problem:version-not-kept")


@pytest.mark.parametrize("version", [0, -1, 2**53, 1e300, "3.5", "newest"])
def test_version_that_can_be_none_is_422(make_client: MakeClient, version: object) -> None:
    client = make_client()
    for path in ("/v1/search", "/v1/answers"):
        reply = client.post(path, json={"question": "leave", "as_of": version})
        assert (reply.status_code, "as_of" in reply.json()["detail"]) == (422, True)

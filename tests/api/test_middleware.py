"""Around every request: ids, limits, problems."""

import pytest

from tests.api.conftest import MakeClient


def test_request_id_is_echoed(make_client: MakeClient) -> None:
    assert make_client().get("/healthz", headers={"X-Request-ID": "trace-1.a_b"}).headers["x-request-id"] == "trace-1.a_b"


@pytest.mark.parametrize("given", [None, "", "a" * 65, "a b", 'a"}', "é"])
def test_request_id_is_made_where_none_usable_is_given(make_client: MakeClient, given: str | None) -> None:
    headers = [] if given is None else [(b"X-Request-ID", given.encode())]
    client = make_client()
    one, other = (client.get("/healthz", headers=headers).headers["x-request-id"] for _ in range(2))
    assert len(one) == 32
    assert one != other


def test_problem_has_a_request_id_too(make_client: MakeClient) -> None:
    reply = make_client().get("/nothing")
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert "'/nothing'" in reply.json()["detail"]
    assert reply.headers["x-request-id"]


def test_method_that_is_not_there_is_a_problem_that_names_the_others(make_client: MakeClient) -> None:
    reply = make_client().delete("/healthz")
    assert (reply.status_code, reply.headers["content-type"], reply.headers["allow"]) == (405, "application/problem+json", "GET")


def test_small_bodies_have_a_small_limit(make_client: MakeClient) -> None:
    client = make_client()
    declared = client.post("/v1/answers", json={"question": "a" * 2_000_000})
    streamed = client.post("/v1/answers", content=iter([b"a" * 600_000] * 3), headers={"Content-Type": "application/json"})
    for reply in (declared, streamed):
        assert (reply.status_code, reply.json()["type"]) == (413, "urn:understudy:problem:too-large")


def test_names_that_clients_choose_make_no_series_of_metrics(make_client: MakeClient) -> None:
    client = make_client()
    for name in ("BREW", "WHEN"):
        client.request(name, "/healthz")
        client.get(f"/{name}")
    text = client.get("/metrics").text
    assert "BREW" not in text and "WHEN" not in text
    assert 'understudy_requests_total{method="other",route="/healthz",status="405"} 2.0' in text.splitlines()
    assert 'understudy_requests_total{method="GET",route="unmatched",status="404"} 2.0' in text.splitlines()

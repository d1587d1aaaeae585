"""The OpenAPI description is complete: every operation is described, with examples and its errors."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import MakeClient

Spec = dict[str, Any]


@pytest.fixture
def spec(make_client: MakeClient) -> Spec:
    found: Spec = make_client().get("/openapi.json").json()
    return found


def operations(spec: Spec) -> Iterator[tuple[str, Spec]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(spec: Spec, schema: Spec) -> Spec:
    if "$ref" in schema:
        found: Spec = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def has_example(spec: Spec, content: Spec) -> bool:
    schema = resolved(spec, content.get("schema", {}))
    properties = [resolved(spec, each) for each in schema.get("properties", {}).values()]
    shown = "example" in content or "examples" in content or "examples" in schema
    return shown or (bool(properties) and all("examples" in each for each in properties))


def test_operations_are_those_of_the_design(spec: Spec) -> None:
    assert {name for name, _ in operations(spec)} == {
        "POST /v1/answers", "GET /v1/generator", "PUT /v1/generator", "GET /v1/index", "POST /v1/index/sync", "GET /v1/jobs/{job_id}",
        "GET /v1/index/versions", "GET /v1/index/diff", "POST /v1/index/rollback",
        "POST /v1/search", "GET /v1/documents", "GET /v1/documents/{document_id}", "PUT /v1/documents/{document_id}",
        "DELETE /v1/documents/{document_id}", "POST /v1/documents/{document_id}/forget",
        "GET /v1/index/verify", "POST /v1/index/rebuild",
        "POST /v1/feedback", "GET /v1/ledger", "GET /healthz", "GET /readyz", "GET /metrics",
    }  # fmt: skip


def test_every_operation_has_a_summary_and_a_description(spec: Spec) -> None:
    for name, operation in operations(spec):
        assert len(operation.get("summary", "")) > 3, name
        assert len(operation.get("description", "")) > 20, name


def test_every_reply_has_an_example(spec: Spec) -> None:
    for name, operation in operations(spec):
        for status, reply in operation["responses"].items():
            for content in reply.get("content", {}).values():
                assert has_example(spec, content), (name, status)


def test_every_body_has_an_example(spec: Spec) -> None:
    bodies = [(name, operation["requestBody"]) for name, operation in operations(spec) if "requestBody" in operation]
    assert len(bodies) == 6
    for name, body in bodies:
        assert has_example(spec, body["content"]["application/json"]), name


def test_every_parameter_of_a_query_is_described(spec: Spec) -> None:
    for name, operation in operations(spec):
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or "description" in parameter, (name, parameter["name"])


def test_errors_are_described_as_problems(spec: Spec) -> None:
    for name, operation in operations(spec):
        for status, reply in operation["responses"].items():
            if int(status) >= 400:
                assert "application/problem+json" in reply["content"], (name, status)


def test_keys_are_described(spec: Spec) -> None:
    assert [scheme["scheme"] for scheme in spec["components"]["securitySchemes"].values()] == ["bearer"]


def test_described_page_loads_nothing_from_elsewhere(make_client: MakeClient) -> None:
    client = make_client()
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", client.get("/docs").text)
    assert len(addresses) >= 3 and all(address.startswith("/") and not address.startswith("//") for address in addresses)
    assert {client.get(address).status_code for address in addresses} == {200}

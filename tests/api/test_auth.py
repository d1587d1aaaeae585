"""Keys, and the scopes that they make."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from api.auth import authenticate, create_key, keys_exist, list_keys, local_scope, revoke_key
from core.database import open_database, sqlite_url
from core.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from core.schema import api_keys
from tests.api.conftest import MakeClient, MakeStack

ALL = ["ask", "admin"]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(sqlite_url(tmp_path))


def test_request_from_this_machine_may_do_everything_without_keys(engine: Engine) -> None:
    caller = authenticate(engine, None, local=True)
    assert caller.scope == local_scope("default")
    assert caller.permissions == {"ask", "admin"}


def test_request_from_elsewhere_may_do_nothing_without_keys(engine: Engine) -> None:
    with pytest.raises(Unauthorized, match="only requests from this machine"):
        authenticate(engine, None, local=False)


def test_key_gives_the_scope_of_its_tenant(engine: Engine) -> None:
    made = create_key(engine, "acme", ["ask"])
    caller = authenticate(engine, f"Bearer {made.key}", local=False)
    assert caller.scope == local_scope("acme")
    assert caller.allowed("ask") == local_scope("acme")
    with pytest.raises(Forbidden, match="--scope admin"):
        caller.allowed("admin")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dXM6cGFzcw==", "Bearer us_000000000000_" + "a" * 43, "Bearer us_\0_é"],
)
def test_missing_or_wrong_key_is_refused_even_locally(engine: Engine, header: str | None) -> None:
    create_key(engine, "default", ALL)
    with pytest.raises(Unauthorized):
        authenticate(engine, header, local=True)


def test_key_with_another_secret_is_refused(engine: Engine) -> None:
    made, other = create_key(engine, "a", ALL), create_key(engine, "b", ALL)
    forged = f"us_{made.key_id}_{other.key.split('_', 2)[2]}"
    with pytest.raises(Unauthorized, match="wrong or revoked"):
        authenticate(engine, f"Bearer {forged}", local=True)


def test_revoking_the_last_key_opens_nothing(engine: Engine) -> None:
    made = create_key(engine, "default", ALL)
    revoke_key(engine, made.key_id)
    for header in (None, f"Bearer {made.key}"):
        with pytest.raises(Unauthorized):
            authenticate(engine, header, local=True)
    assert keys_exist(engine)


def test_key_itself_is_not_stored(engine: Engine) -> None:
    made = create_key(engine, "default", ALL)
    secret = made.key.split("_", 2)[2]
    with engine.connect() as connection:
        row = connection.execute(select(api_keys)).one()
    assert not any(secret in str(value) for value in row)
    assert len(row.key_hash) == 64


def test_keys_are_listed_without_secrets(engine: Engine) -> None:
    made = create_key(engine, "acme", ["admin"])
    (listed,) = list_keys(engine)
    assert (listed.key_id, listed.tenant, listed.scopes, listed.revoked_at) == (made.key_id, "acme", ("admin",), None)
    assert revoke_key(engine, made.key_id).revoked_at is not None


def test_unknown_scope_tenant_and_key_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="'root': use ask or admin"):
        create_key(engine, "default", ["root"])
    with pytest.raises(InvalidInput, match="a key needs a scope"):
        create_key(engine, "default", [])
    with pytest.raises(NotFound, match="keys list"):
        revoke_key(engine, "nothing")
    for tenant in ("", " ", "--json", "a/b", "a" * 65, "é\n"):
        with pytest.raises(InvalidInput, match="tenant"):
            local_scope(tenant)


def test_http_without_a_key_is_401_once_one_exists(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    key = create_key(stack.engine, "default", ["ask"]).key
    client = make_client(stack)
    missing = client.post("/v1/answers", json={"question": "How many days?"})
    wrong = client.post("/v1/answers", json={"question": "How many days?"}, headers={"Authorization": "Bearer us_x_y"})
    right = client.post("/v1/answers", json={"question": "How many days?"}, headers={"Authorization": f"Bearer {key}"})
    assert [reply.status_code for reply in (missing, wrong, right)] == [401, 401, 200]
    assert missing.headers["www-authenticate"] == "Bearer"
    assert missing.headers["content-type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200


def test_http_without_the_scope_is_403(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    headers = {"Authorization": f"Bearer {create_key(stack.engine, 'default', ['ask']).key}"}
    client = make_client(stack)
    refused = [
        client.put("/v1/generator", json={"mode": "hybrid"}, headers=headers),
        client.post("/v1/index/sync", headers=headers),
        client.delete("/v1/documents/faq", headers=headers),
        client.get("/metrics", headers=headers),
    ]
    assert [reply.status_code for reply in refused] == [403] * 4
    assert "--scope admin" in refused[0].json()["detail"]


def test_http_key_sees_its_own_tenant_alone(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack(tenants=("acme",))
    client = make_client(stack)

    def hits(tenant: str) -> int:
        key = create_key(stack.engine, tenant, ["ask"]).key
        reply = client.post("/v1/search", json={"question": "leave"}, headers={"Authorization": f"Bearer {key}"})
        return len(reply.json()["hits"])

    assert (hits("acme"), hits("other")) == (1, 0)


def test_http_without_keys_answers_local_requests_only(make_client: MakeClient) -> None:
    client = make_client()
    assert client.get("/v1/generator").status_code == 200
    rebound = client.get("/v1/generator", headers={"Host": "attacker.example"})
    assert rebound.status_code == 401
    assert "only requests from this machine" in rebound.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9"), ("X-Real-IP", "203.0.113.9"),
        ("Origin", "https://attacker.example"), ("Origin", "null"), ("Origin", ""), ("Origin", "http://localhost.attacker.example"),
        ("Origin", "http://["),
    ],
)  # fmt: skip
def test_http_without_keys_trusts_no_proxy_and_no_page_of_another_site(make_client: MakeClient, header: tuple[str, str]) -> None:
    client = make_client(script="")
    assert client.post("/v1/index/sync", headers=dict([header])).status_code == 401


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:8377", "http://127.0.0.1:8377", "http://[::1]:8377"])
def test_http_without_keys_answers_a_page_of_this_machine(make_client: MakeClient, origin: str) -> None:
    reply = make_client().post("/v1/search", json={"question": "leave"}, headers={"Origin": origin})
    assert reply.status_code == 200


def test_http_key_works_behind_a_proxy(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    key = create_key(stack.engine, "default", ["ask"]).key
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "203.0.113.9", "Origin": "https://intranet.example"}
    assert make_client(stack).get("/v1/generator", headers=headers).status_code == 200


def test_http_what_acts_over_all_tenants_needs_an_admin_of_the_default_one(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)

    def statuses(tenant: str) -> list[int]:
        headers = {"Authorization": f"Bearer {create_key(stack.engine, tenant, ALL).key}"}
        put = client.put("/v1/generator", json={"mode": "hybrid"}, headers=headers)
        return [
            put.status_code,
            client.get("/metrics", headers=headers).status_code,
            client.get("/v1/generator", headers=headers).status_code,
        ]

    assert statuses("acme") == [403, 403, 200]
    assert statuses("default") == [200, 200, 200]

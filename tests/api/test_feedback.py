"""POST /v1/feedback."""

import pytest
from sqlalchemy import select

from api.auth import create_key
from core.schema import feedback
from tests.api.conftest import MakeClient, MakeStack


def test_label_is_kept_and_the_latest_counts(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    answer_id = client.post("/v1/answers", json={"question": "How many days?"}).json()["id"]
    assert client.post("/v1/feedback", json={"answer_id": answer_id, "correct": True}).status_code == 204
    assert client.post("/v1/feedback", json={"answer_id": answer_id, "correct": False, "better_answer": "27\n days"}).status_code == 204
    with stack.engine.connect() as connection:
        label = connection.execute(select(feedback)).one()
    assert (label.answer_id, label.correct, label.better_answer) == (answer_id, False, "27\n days")


def test_answer_of_another_tenant_or_none_is_404(make_stack: MakeStack, make_client: MakeClient) -> None:
    stack = make_stack()
    client = make_client(stack)
    answer_id = client.post("/v1/answers", json={"question": "How many days?"}).json()["id"]
    headers = {"Authorization": f"Bearer {create_key(stack.engine, 'acme', ['ask']).key}"}
    for unknown in (answer_id, "nothing"):
        assert client.post("/v1/feedback", json={"answer_id": unknown, "correct": True}, headers=headers).status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"answer_id": "a"},
        {"answer_id": "", "correct": True},
        {"answer_id": "a\0", "correct": True},
        {"answer_id": "a", "correct": "perhaps"},
        {"answer_id": "a", "correct": True, "better_answer": "a\0"},
        {"answer_id": "a", "correct": True, "better_answer": "a" * 20_001},
        {"answer_id": "a", "correct": True, "stars": 5},
    ],
)
def test_wrong_input_is_422(make_client: MakeClient, sent: dict[str, object]) -> None:
    assert make_client().post("/v1/feedback", json=sent).status_code == 422

"""Each fault, streamed or not, as the SDK shows it. What it lets through in silence stands here too: that is what a client must catch."""

import json
import time
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from tests.messages_api.calls import HAIKU, OPUS, ask, request, streamed, with_client
from tests.messages_api.faults import HEADER, KINDS, Always, ByModel, Fault, Kind, Script, Share, every_fault
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import never_accepts, refuses

Call = Callable[..., Message]
BY_STATUS: dict[Kind, tuple[type[anthropic.APIStatusError], str]] = {
    "400": (anthropic.BadRequestError, "invalid_request_error"),
    "401": (anthropic.AuthenticationError, "authentication_error"),
    "402": (anthropic.PaymentRequiredError, "billing_error"),
    "403": (anthropic.PermissionDeniedError, "permission_error"),
    "404": (anthropic.NotFoundError, "not_found_error"),
    "413": (anthropic.ContentTooLargeError, "request_too_large"),
    "429": (anthropic.RateLimitError, "rate_limit_error"),
    "500": (anthropic.InternalServerError, "api_error"),
    "503": (anthropic.ServiceUnavailableError, "api_error"),
    "504": (anthropic.GatewayTimeoutError, "timeout_error"),
    "529": (anthropic.OverloadedError, "overloaded_error"),
}
RAISED: dict[Kind, tuple[type[Exception], type[Exception]]] = {
    "reset": (anthropic.APIConnectionError, anthropic.APIConnectionError),
    "hang": (anthropic.APITimeoutError, anthropic.APITimeoutError),
    "slow": (anthropic.APITimeoutError, anthropic.APITimeoutError),
    "cut_before_start": (anthropic.APIConnectionError, httpx2.RemoteProtocolError),
    "cut_before_text": (anthropic.APIConnectionError, httpx2.RemoteProtocolError),
    "cut_after_text": (anthropic.APIConnectionError, httpx2.RemoteProtocolError),
    "end_before_start": (json.JSONDecodeError, AssertionError),
    "error_before_text": (anthropic.OverloadedError, anthropic.APIStatusError),
    "error_after_text": (anthropic.OverloadedError, anthropic.APIStatusError),
    "malformed": (json.JSONDecodeError, json.JSONDecodeError),
}
"""Without streaming, and streamed."""
STOPPED: dict[Kind, str] = {
    "refusal": "refusal",
    "max_tokens": "max_tokens",
    "pause_turn": "pause_turn",
    "empty": "end_turn",
    "bad_citation": "end_turn",
}
ODD: tuple[Kind, ...] = ("end_before_text", "end_after_text", "stall_before_text", "stall_after_text", "misordered")
each_way = pytest.mark.parametrize("call", [ask, streamed])


@each_way
@pytest.mark.parametrize("kind", BY_STATUS)
def test_status_becomes_its_exception(messages_api: MessagesApi, call: Call, kind: Kind) -> None:
    messages_api.plan = Always(Fault(kind=kind))
    error, name = BY_STATUS[kind]
    with pytest.raises(error) as caught:
        call(messages_api)
    [entry] = messages_api.books.entries
    assert (caught.value.type, caught.value.request_id) == (name, entry.request_id)
    assert (entry.outcome, entry.status, entry.billed, entry.fault) == ("error", int(kind), False, kind)


@pytest.mark.parametrize("seconds", [1, 3600])
def test_rate_limit_says_how_long_to_wait(messages_api: MessagesApi, seconds: int) -> None:
    messages_api.plan = Always(Fault(kind="429", retry_after=seconds))
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask(messages_api)
    assert caught.value.response.headers["retry-after"] == str(seconds)


@pytest.mark.parametrize("kind", RAISED)
def test_broken_answer_raises(messages_api: MessagesApi, kind: Kind) -> None:
    messages_api.plan = Always(Fault(kind=kind, seconds=30))
    for call, error in zip((ask, streamed), RAISED[kind], strict=True):
        with pytest.raises(error):
            with_timeout(messages_api, call)
    assert {entry.outcome for entry in messages_api.books.settled()} <= {"broken", "client_gone", "error"}


@each_way
@pytest.mark.parametrize("kind", STOPPED)
def test_model_fault_is_a_message_with_its_stop_reason(messages_api: MessagesApi, call: Call, kind: Kind) -> None:
    messages_api.plan = Always(Fault(kind=kind))
    message = call(messages_api)
    [entry] = messages_api.books.entries
    assert message.stop_reason == entry.stop_reason == STOPPED[kind]
    assert (entry.outcome, entry.message_id, entry.told) == ("answered", message.id, entry.tokens)
    assert entry.billed == (kind != "refusal")


@each_way
def test_refusal_in_the_middle_is_paid_for(messages_api: MessagesApi, call: Call) -> None:
    messages_api.plan = Always(Fault(kind="refusal", partial=True, category="bio"))
    message = call(messages_api)
    assert message.stop_details and message.stop_details.category == "bio"
    assert message.content and messages_api.books.entries[0].billed


@pytest.mark.parametrize("kind", ["end_before_text", "end_after_text", "stall_before_text", "stall_after_text"])
def test_stream_that_ends_early_looks_whole_to_the_sdk(messages_api: MessagesApi, kind: Kind) -> None:
    messages_api.plan = Always(Fault(kind=kind, seconds=0.1))
    message = streamed(messages_api)
    [entry] = messages_api.books.settled()
    assert message.stop_reason is None
    assert (entry.outcome, entry.billed, entry.stop_reason) == ("broken", True, None)


def test_misordered_events_raise_an_index_error(messages_api: MessagesApi) -> None:
    messages_api.plan = Always(Fault(kind="misordered"))
    with pytest.raises(IndexError):
        streamed(messages_api)


def test_pings_keep_a_stalled_stream_from_timing_out(messages_api: MessagesApi) -> None:
    messages_api.plan = Always(Fault(kind="stall_before_text", seconds=1.0))
    begun = time.perf_counter()
    with_timeout(messages_api, streamed)
    assert time.perf_counter() - begun > 0.9


def test_bad_citation_quotes_what_stands_nowhere(messages_api: MessagesApi) -> None:
    messages_api.plan = Always(Fault(kind="bad_citation"))
    quotes = [citation.cited_text for block in ask(messages_api).content if block.type == "text" for citation in block.citations or ()]
    assert quotes == ["This stands nowhere."]


def test_address_that_never_accepts_times_out() -> None:
    with never_accepts() as url, pytest.raises(anthropic.APITimeoutError):
        with_client(url, create, timeout=0.3)


def test_address_that_refuses_is_a_connection_error() -> None:
    with pytest.raises(anthropic.APIConnectionError) as caught:
        with_client(refuses(), create)
    assert not isinstance(caught.value, anthropic.APITimeoutError)


def test_script_goes_by_order(messages_api: MessagesApi) -> None:
    messages_api.plan = Script([None, Fault(kind="500")])
    ask(messages_api)
    with pytest.raises(anthropic.InternalServerError):
        ask(messages_api)
    ask(messages_api)


def test_plan_by_model_leaves_others_well(messages_api: MessagesApi) -> None:
    messages_api.plan = ByModel({HAIKU: Always(Fault(kind="529"))})
    assert ask(messages_api, model=OPUS).content
    with pytest.raises(anthropic.OverloadedError):
        ask(messages_api, model=HAIKU)


def test_header_overrules_the_plan(messages_api: MessagesApi) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        ask(messages_api, extra_headers={HEADER: "429; retry_after=7"})
    assert caught.value.response.headers["retry-after"] == "7"


def test_share_is_the_same_for_the_same_seed(messages_api: MessagesApi) -> None:
    def faults(seed: int) -> list[Any]:
        messages_api.plan = Share(share=0.5, seed=seed, faults=[Fault(kind="500"), Fault(kind="529")])
        messages_api.received = 0
        return [outcome(messages_api) for _ in range(12)]

    first = faults(1)
    assert set(first) == {None, 500, 529}
    assert faults(1) == first != faults(2)


def test_every_kind_is_among_every_fault_but_slow() -> None:
    assert {fault.kind for fault in every_fault()} == set(KINDS) - {"slow"}
    assert set(KINDS) == {*BY_STATUS, *RAISED, *STOPPED, *ODD}


def with_timeout(double: MessagesApi, call: Call) -> Message:
    return call(double, timeout=0.4)


def outcome(double: MessagesApi) -> int | None:
    try:
        ask(double)
    except anthropic.APIStatusError as error:
        return error.status_code
    return None


async def create(client: AsyncAnthropic) -> Message:
    message: Message = await client.messages.create(**request())
    return message

"""What a server makes of odd surroundings at its start: it starts, says what it found, and shows nobody the key."""

import math
from collections.abc import Iterator

import pytest

from core.errors import TierFailed
from core.types import Attempt
from generation.capabilities import read_capabilities
from generation.exemplars import Exemplar
from generation.prompt import build_prefix
from tests.generation.claude import GOLD, ask, claude, guarded, point_at
from tests.messages_api.calls import HAIKU, SONNET
from tests.messages_api.faults import Always, Fault
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import refuses, says

OLD_HAIKU = "claude-haiku-4-5"


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    with MessagesApi(gold=GOLD) as double:
        point_at(double.url, monkeypatch)
        yield double


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("<html>Please log in</html>", "text/html"),
        ("[]", "application/json"),
        ("{}", "application/json"),
        (f'{{"id": "{HAIKU}", "object": "model", "owned_by": "a gateway"}}', "application/json"),
        (
            f'{{"id": "{HAIKU}", "type": "model", "lifecycle": "active", "capabilities": {{"batch": {{"supported": true}}}}}}',
            "application/json",
        ),
    ],
    ids=["page", "list", "nothing", "another's entry", "half an entry"],
)
def test_models_api_that_is_none_leaves_what_the_table_says(monkeypatch: pytest.MonkeyPatch, body: str, media_type: str) -> None:
    told: list[Attempt] = []
    tier = claude(known=read_capabilities()[HAIKU], on_prewarm=told.append)
    with says(body, media_type) as url:
        point_at(url, monkeypatch)
        tier.warm_up()
        with pytest.raises(TierFailed) as caught:
            ask(tier)
    assert (tier.readiness().ready, "from a table" in tier.readiness().reason) == (True, True)
    assert (told[0].outcome, caught.value.fault) == ("failed", "cut_before_text")


@pytest.mark.parametrize(
    ("name", "told"), [("ANTHROPIC_PROFILE", "profile 'of-nobody'"), ("ANTHROPIC_IDENTITY_TOKEN", "the SDK finds no key")]
)
def test_key_that_the_sdk_cannot_find_is_said(monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    monkeypatch.setenv(name, "of-nobody")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", refuses())
    tier = claude()
    tier.warm_up()
    with pytest.raises(TierFailed) as caught:
        ask(tier)
    assert (tier.readiness().ready, told in tier.readiness().reason) == (False, True)
    assert (caught.value.fault, told in str(caught.value), caught.value.spending.untold_micro_usd) == ("unauthorized", True, None)


def test_header_that_cannot_be_sent_is_not_shown(double: MessagesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-gateway-key: hush\rhush")
    tier = claude()
    tier.warm_up()
    with pytest.raises(TierFailed) as caught:
        ask(tier)
    for told in (tier.readiness().reason, str(caught.value)):
        assert ("LocalProtocolError" in told, "hush" in told) == (True, False)


def test_password_in_the_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(refuses().replace("http://", "http://user:hush@"), monkeypatch)
    tier = claude()
    tier.warm_up()
    assert ("http://127.0.0.1" in tier.readiness().reason, "hush" in tier.readiness().reason) == (True, False)


def test_port_that_cannot_be_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:99999", monkeypatch)
    with pytest.raises(TierFailed, match="port must be"):
        ask(claude())


@pytest.mark.parametrize("seconds", [math.inf, math.nan])
def test_retry_after_that_is_no_time_is_none(double: MessagesApi, seconds: float) -> None:
    double.plan = Always(Fault(kind="429", retry_after=seconds))
    with pytest.raises(TierFailed) as caught:
        ask(guarded(claude()))
    assert (caught.value.fault, caught.value.retry_after) == ("rate_limited", None)


def test_prefix_that_the_table_knows_to_be_too_short_is_said(double: MessagesApi) -> None:
    assert "caches none under 4,096" in claude(OLD_HAIKU, known=read_capabilities()[OLD_HAIKU]).readiness().reason
    assert "caches none" not in claude(known=read_capabilities()[HAIKU]).readiness().reason


def test_answer_that_cached_nothing_shows_that_the_prefix_is_too_short(double: MessagesApi) -> None:
    tier = claude(SONNET)
    assert "cached nothing" not in tier.readiness().reason
    ask(tier)
    assert "cached nothing of it" in tier.readiness().reason
    short = claude(known=read_capabilities()[OLD_HAIKU])
    ask(short)
    assert "caches none" not in short.readiness().reason  # what was estimated gives way to what was seen


def test_prewarm_that_wrote_nothing_says_so_and_the_server_too(double: MessagesApi) -> None:
    """The minimum of Sonnet 5.5 is in no table: that nothing was cached is how it is found out."""
    told: list[Attempt] = []
    tier = claude(SONNET, on_prewarm=told.append)
    tier.warm_up()
    assert (told[0].outcome, told[0].spending.usage.cached_tokens) == ("accepted", 0)
    assert "cached nothing of it" in told[0].reason
    assert "so that every question pays for it in full" in tier.readiness().reason
    examples = [Exemplar(question=f"How many days of leave in year {year}?", answer="27") for year in range(99)]
    long = claude(SONNET, prefix=build_prefix(examples), on_prewarm=told.append)
    long.warm_up()
    assert (told[1].reason, "pays" in long.readiness().reason) == ("the prompt cache is written", False)

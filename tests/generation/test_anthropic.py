"""Claude's tier, with the real SDK before the double: answers, citations, costs, readiness, and what is cancelled."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import move_on_after

from core.errors import InvalidSettings, TierCancelled, TierFailed
from core.types import Attempt, Delta, Draft, Json, Quoted
from generation.policy import NOT_IN_DOCUMENTS
from generation.tiers.credentials import missing
from tests.doubles import make_hit
from tests.generation.claude import GOLD, HIT, QUESTION, TEXT, ask, claude, guarded, point_at, run
from tests.messages_api.calls import HAIKU, OPUS, SONNET
from tests.messages_api.faults import Always, Fault, Kind, Received, Script
from tests.messages_api.models import CATALOGUE, Model
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import never_accepts, refuses

ROOT = Path(__file__).parents[2]


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    with MessagesApi(gold=GOLD) as double:
        point_at(double.url, monkeypatch)
        yield double


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    """Cites one sentence, with words before and after it that rest on nothing."""
    with MessagesApi(gold=GOLD, preface="The handbook says: ", closing=" That holds for the whole of every year.") as double:
        point_at(double.url, monkeypatch)
        yield double


def streamed(question: str = QUESTION) -> list[Delta | Quoted | Draft]:
    tier = claude()

    async def call() -> list[Delta | Quoted | Draft]:
        return [part async for part in tier.stream(question, (HIT,), deadline=time.monotonic() + 5)]

    return run(tier, call)


def test_answer_cites_its_sentence_in_the_documents_own_characters(double: MessagesApi) -> None:
    draft = ask(claude())
    [citation] = draft.citations
    assert draft.text == "twenty-seven days of leave"
    assert citation.quote == TEXT[citation.start : citation.end] == "Everyone has twenty-seven days of leave a year."
    assert (draft.model, draft.dropped_quotes, draft.confidence) == (HAIKU, 0, None)


@pytest.mark.parametrize("model", [HAIKU, SONNET, OPUS])
def test_cost_of_an_answer_is_that_of_the_doubles_books(double: MessagesApi, model: str) -> None:
    draft = ask(claude(model))
    [entry] = double.books.settled()
    assert draft.spending.usage.prompt_tokens == entry.tokens.prompt
    assert draft.spending.usage.output_tokens == entry.tokens.output
    assert draft.spending.cost_micro_usd == round(entry.micro_usd)


def test_second_question_reads_what_the_first_wrote_into_the_cache(double: MessagesApi) -> None:
    first, second = ask(claude()), ask(claude(), "Who was the first king?")
    assert first.spending.usage.cache_write_5m_tokens == second.spending.usage.cache_read_tokens > 512


def test_not_in_the_documents_is_a_draft_without_text(double: MessagesApi) -> None:
    draft = ask(claude(), "Who was the first king?")
    assert (draft.text, draft.citations) == (None, ())
    assert draft.spending.cost_micro_usd > 0


def test_no_evidence_is_no_call(double: MessagesApi) -> None:
    tier = claude()

    async def call() -> list[Draft]:
        return [await tier.generate(QUESTION, evidence, deadline=time.monotonic() + 5) for evidence in ((), (make_hit(" "),))]

    assert [draft.text for draft in run(tier, call)] == [None, None]
    assert double.books.entries == []


def test_quote_that_stands_nowhere_is_dropped_and_counted(double: MessagesApi) -> None:
    double.plan = Always(Fault(kind="bad_citation"))
    draft = ask(claude())
    assert (draft.text, draft.citations, draft.dropped_quotes) == ("twenty-seven days of leave", (), 1)


def test_stream_is_the_draft_in_pieces(talkative: MessagesApi) -> None:
    """The first is held until a citation stands, the others come as they are said."""
    *parts, draft = streamed()
    assert isinstance(draft, Draft)
    deltas = [part.text for part in parts if isinstance(part, Delta)]
    assert (len(deltas) > 3, "".join(deltas)) == (True, draft.text)
    assert (deltas[0], parts[1]) == ("The handbook says: twenty-seven days of leave", Quoted(citation=draft.citations[0]))
    assert tuple(part.citation for part in parts if isinstance(part, Quoted)) == draft.citations


def test_stream_of_an_answer_that_nothing_proves_shows_nothing(talkative: MessagesApi) -> None:
    talkative.plan = Always(Fault(kind="bad_citation"))
    [draft] = streamed()
    assert isinstance(draft, Draft)
    assert (draft.citations, draft.dropped_quotes, "twenty-seven" in (draft.text or "")) == ((), 1, True)


def test_stream_of_no_answer_shows_nothing(double: MessagesApi) -> None:
    [draft] = streamed("Who was the first king?")
    assert isinstance(draft, Draft) and draft.text is None


@pytest.mark.parametrize("said", [f"*{NOT_IN_DOCUMENTS}*", "Not in the documents"])
def test_phrase_is_known_in_other_dress(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    with MessagesApi(gold=GOLD, not_found=said) as double:
        point_at(double.url, monkeypatch)
        assert [part for part in streamed("Who was the first king?") if not isinstance(part, Draft)] == []


def test_answer_that_only_begins_like_the_phrase_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with MessagesApi(gold=GOLD, preface="Not in the list: ") as double:
        point_at(double.url, monkeypatch)
        first, _, draft = streamed()
    said = "Not in the list: twenty-seven days of leave"
    assert (first, isinstance(draft, Draft) and draft.text) == (Delta(text=said), said)


def test_effort_and_limit_are_sent(double: MessagesApi) -> None:
    with pytest.raises(TierFailed) as caught:
        ask(claude(effort="low", max_tokens=3))
    assert caught.value.fault == "max_tokens"
    assert caught.value.spending.usage.output_tokens == 3
    assert double.books.settled()[0].stop_reason == "max_tokens"


class Seen:
    """Lets every call pass, and keeps what was sent."""

    def __init__(self) -> None:
        self.bodies: list[Json] = []

    def fault(self, request: Received) -> None:
        self.bodies.append(dict(request.body))


def test_only_what_the_price_list_has_is_asked_for(double: MessagesApi) -> None:
    double.plan = seen = Seen()
    ask(claude())
    assert [body["service_tier"] for body in seen.bodies] == ["standard_only"]


def test_cancelled_call_is_hung_up_and_tells_what_it_had_cost(double: MessagesApi) -> None:
    double.pace = 5.0
    tier, told = claude(patience=None), []

    async def call() -> None:
        with move_on_after(0.7):
            try:
                await tier.generate(QUESTION, (HIT,), deadline=time.monotonic() + 30)
            except TierCancelled as error:
                told.append(error.spending)
                raise

    run(tier, call)
    [entry] = double.books.settled()
    assert entry.outcome == "client_gone"
    assert told[0].cost_micro_usd == round(entry.told_micro_usd) > 0


def test_reader_of_a_stream_who_leaves_hangs_up(double: MessagesApi) -> None:
    double.pace = 0.3
    tier = claude(patience=None)

    async def call() -> None:
        parts = tier.stream(QUESTION, (HIT,), deadline=time.monotonic() + 30)
        await anext(parts)
        await parts.aclose()

    began = time.monotonic()
    run(tier, call)
    assert double.books.settled()[0].outcome == "client_gone"
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_question_without_time_is_not_asked(double: MessagesApi, seconds: float) -> None:
    with pytest.raises(TierFailed) as caught:
        ask(claude(), seconds=seconds)
    assert (caught.value.fault, double.books.entries) == ("deadline", [])


def test_address_that_refuses_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(refuses(), monkeypatch)
    with pytest.raises(TierFailed) as caught:
        ask(claude())
    assert caught.value.fault == "unreachable"


def test_address_that_never_accepts_is_a_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with never_accepts() as url:
        point_at(url, monkeypatch)
        with pytest.raises(TierFailed) as caught:
            ask(claude())
    assert caught.value.fault == "connect_timeout"


@pytest.mark.parametrize(("kind", "tries"), [("500", 3), ("529", 3), ("400", 1), ("refusal", 1), ("hang", 1)])
def test_faults_that_pass_are_tried_again_and_each_try_is_told(double: MessagesApi, kind: Kind, tries: int) -> None:
    double.plan = Always(Fault(kind=kind))
    with pytest.raises(TierFailed) as caught:
        ask(guarded(claude()))
    assert len(caught.value.earlier) + 1 == tries == len(double.books.settled())
    assert {attempt.fault for attempt in caught.value.earlier} <= {caught.value.fault}


def test_answer_after_a_cut_stream_keeps_what_the_cut_one_cost(double: MessagesApi) -> None:
    double.plan = Script([Fault(kind="cut_after_text")])
    draft = ask(guarded(claude()))
    cut, whole = double.books.settled()
    assert (draft.text, [attempt.fault for attempt in draft.earlier]) == ("twenty-seven days of leave", ["cut_after_text"])
    assert draft.earlier[0].cost_micro_usd == round(cut.told_micro_usd) > 0
    assert draft.spending.cost_micro_usd == round(whole.micro_usd)


def test_retry_after_of_a_second_is_waited_for(double: MessagesApi) -> None:
    double.plan = Script([Fault(kind="429", retry_after=1)])
    began = time.monotonic()
    assert ask(guarded(claude())).text
    assert time.monotonic() - began >= 1.0


def test_retry_after_of_an_hour_is_told_and_not_waited_for(double: MessagesApi) -> None:
    double.plan = Always(Fault(kind="429", retry_after=3600))
    began = time.monotonic()
    with pytest.raises(TierFailed) as caught:
        ask(guarded(claude()))
    assert (caught.value.retry_after, len(double.books.entries)) == (3600, 1)
    assert time.monotonic() - began < 3


def test_key_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tier = claude()
    assert tier.readiness().reason == missing() == "no key: set ANTHROPIC_API_KEY"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    assert (missing(), tier.readiness().ready) == (None, True)


def test_model_without_a_price_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="no price for the model 'claude-novel-9'"):
        claude("claude-novel-9")


@pytest.mark.parametrize(
    ("changed", "ready", "reason"),
    [
        ({}, True, "Models API knows it: active"),
        ({"effort": "max"}, True, "active"),
        ({"max_tokens": 200_000}, False, "200000 tokens an answer are more than its 128000"),
    ],
    ids=["well", "effort", "too many tokens"],
)
def test_readiness_is_what_the_models_api_says(double: MessagesApi, changed: dict[str, Any], ready: bool, reason: str) -> None:
    tier = claude(**changed)
    tier.warm_up()
    assert tier.readiness().ready is ready
    assert reason in tier.readiness().reason


def with_models(**changed: Any) -> tuple[Model, ...]:
    return tuple(replace(model, **changed) if model.id == HAIKU else model for model in CATALOGUE)


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        (with_models(citations=False), "cannot cite"),
        (with_models(lifecycle="retired"), "is retired"),
        (with_models(efforts=()), "takes no effort 'low'"),
        (CATALOGUE[1:], "unknown model 'claude-haiku-5-5'"),
    ],
    ids=["no citations", "retired", "no effort", "unknown"],
)
def test_model_that_will_not_do_is_not_ready(monkeypatch: pytest.MonkeyPatch, models: tuple[Model, ...], reason: str) -> None:
    with MessagesApi(gold=GOLD, models=models) as double:
        point_at(double.url, monkeypatch)
        tier = claude(effort="low")
        tier.warm_up()
    assert not tier.readiness().ready
    assert reason in tier.readiness().reason


def test_key_that_is_refused_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with MessagesApi(gold=GOLD, api_key="another") as double:
        point_at(double.url, monkeypatch)
        tier = claude()
        tier.warm_up()
    assert not tier.readiness().ready
    assert "refuses the key (401" in tier.readiness().reason


def test_service_without_a_models_api_is_taken_by_the_table(double: MessagesApi) -> None:
    double.models_api = False
    tier = claude()
    tier.warm_up()
    assert tier.readiness().ready


def test_network_that_is_down_at_the_start_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(refuses(), monkeypatch)
    tier = claude()
    tier.warm_up()
    assert tier.readiness().ready
    assert "could not be reached at the start" in tier.readiness().reason


def test_prewarmed_cache_is_read_by_the_first_question_and_paid_for(double: MessagesApi) -> None:
    told: list[Attempt] = []
    tier = claude(on_prewarm=told.append)
    tier.warm_up()
    draft = ask(tier)
    warmed, asked = double.books.settled()
    assert (told[0].outcome, told[0].cost_micro_usd) == ("accepted", round(warmed.micro_usd))
    assert draft.spending.usage.cache_read_tokens == told[0].spending.usage.cache_write_5m_tokens == asked.tokens.cache_read > 512


def test_prewarm_that_fails_is_told_and_stops_nothing(double: MessagesApi) -> None:
    told: list[Attempt] = []
    double.plan = Script([Fault(kind="529")])
    claude(on_prewarm=told.append).warm_up()
    assert (told[0].outcome, told[0].fault, told[0].cost_micro_usd) == ("failed", "overloaded", 0)


def test_connections_are_kept_from_question_to_question(double: MessagesApi) -> None:
    tier = claude()

    async def call() -> None:
        for _ in range(5):
            await tier.generate(QUESTION, (HIT,), deadline=time.monotonic() + 5)

    run(tier, call)
    assert len(double._connections) == 1


def test_sdk_is_not_loaded_before_it_is_asked() -> None:
    code = (
        "import sys, api.stack; from generation.tiers.credentials import missing; missing();"
        "print([name for name in sys.modules if name.split('.')[0] in ('anthropic', 'httpx2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_many_at_once_share_one_client(double: MessagesApi) -> None:
    tier = guarded(claude())

    async def call() -> list[str | None]:
        texts: list[str | None] = []

        async def one() -> None:
            texts.append((await tier.generate(QUESTION, (HIT,), deadline=time.monotonic() + 20)).text)

        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(one)
        return texts

    assert set(run(tier, call)) == {"twenty-seven days of leave"}

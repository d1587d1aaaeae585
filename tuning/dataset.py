"""Question sets on disk -> examples, split by document."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from core.errors import InvalidInput
from core.types import Json

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    passage_id: str
    document: str
    """The unit of every split: an article, a site, a review, a paper."""
    title: str
    text: str
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    question_id: str
    text: str
    passage: Passage
    """The gold passage; of an unanswerable question the passage it was asked about."""
    spans: tuple[tuple[int, int], ...]
    """Gold spans as character offsets into the passage, one per annotator; empty when the passage holds no answer."""

    @property
    def answers(self) -> tuple[str, ...]:
        return tuple(self.passage.text[start:end] for start, end in self.spans)

    def answered_by(self, passage: Passage) -> bool:
        """Whether it is the gold passage, or one of its answers stands in the text as whole words."""
        text = _words(passage.text)
        return passage == self.passage or any(_words(answer) in text for answer in self.answers)


def _words(text: str) -> str:
    """With a space on both sides, so that `art` is not found in `part`."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def read_folder(folder: Path) -> list[Question]:
    """Read every `questions*.jsonl` of a folder with the `paragraphs*.jsonl` (or `documents.jsonl`) beside it.

    Rows: `{pid, title?, text}` and `{id, question, pid, answers: [{text, answer_start}], is_impossible?}`.
    An answer that does not stand at its offset is looked up by its text; a question none of whose answers is there is left out.
    Raises InvalidInput naming the folder, and the line or field that is wrong.
    """
    try:
        return _read(folder)
    except KeyError as error:
        raise InvalidInput(f"{folder.name!r}: {error} is missing in a row, or is the pid of no paragraph") from error
    except (OSError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{folder.name!r} cannot be read: {error}") from error


def _read(folder: Path) -> list[Question]:
    files = sorted(folder.glob("questions*.jsonl"))
    if not files and (clapnq := sorted(folder.glob("dev_*answerable.jsonl"))):
        return [question for file in clapnq for row in _rows(file) if (question := _clapnq_question(row, folder.name))]
    if not files:
        raise InvalidInput(f"no questions*.jsonl in {str(folder)!r}: give a folder with questions and paragraphs")
    merged: dict[str, Question] = {}
    by_text: dict[str, Passage] = {}
    for file in files:
        passages = _read_passages(folder, file.name.removeprefix("questions"), by_text)
        for row in _rows(file):
            if question := _question(row, passages, folder.name):
                merged.setdefault(str(row["id"]), question)
    return [short for question in merged.values() if (short := _on_a_short_passage(question))]


def _read_passages(folder: Path, suffix: str, by_text: dict[str, Passage]) -> dict[str, Passage]:
    """By the id that the rows use; equal texts are one passage, whatever they are called in each file."""
    file = folder / f"paragraphs{suffix}"
    if not file.exists():
        file = folder / f"documents{suffix}"
    passages = {}
    for row in _rows(file):
        key = str(row.get("pid", row.get("doc_id")))
        title = str(row.get("title", ""))
        passage = Passage(
            passage_id=f"{folder.name}:{key}",
            document=f"{folder.name}:{title or key}",
            title=title.replace("_", " "),
            text=row["text"],
            origin=folder.name,
        )
        passages[key] = by_text.setdefault(passage.text, passage)
    return passages


def _question(row: Json, passages: dict[str, Passage], origin: str) -> Question | None:
    """None where answers are given and none of them stands in the passage: that is no unanswerable question."""
    passage = passages[str(row.get("pid", row.get("doc_id")))]
    spans = tuple(span for answer in row["answers"] if (span := _locate(passage.text, answer["text"], answer.get("answer_start", 0))))
    if row["answers"] and not spans:
        return None
    return Question(question_id=f"{origin}:{row['id']}", text=" ".join(row["question"].split()), passage=passage, spans=spans)


def _clapnq_question(row: Json, origin: str) -> Question | None:
    """A CLAPNQ row; an answerable one only when a single sentence was marked, since a span is one run of text."""
    given = row["passages"][0]
    passage = Passage(
        passage_id=f"{origin}:{row['id']}", document=f"{origin}:{given['title']}", title=given["title"], text=given["text"], origin=origin
    )
    marked = row["output"][0].get("selected_sentences") or []
    spans = [span for sentence in marked if (span := _locate(given["text"], sentence, 0))]
    if len(marked) > 1 or len(spans) != len(marked):
        return None
    return Question(question_id=f"{origin}:{row['id']}", text=row["input"], passage=passage, spans=tuple(spans))


LONG = 2400
"""Characters; about twice the window of the reader. Longer passages (whole papers) are cut."""


def _on_a_short_passage(question: Question) -> Question | None:
    """The same question on the piece of a long passage that holds its first answer, as retrieval would give it."""
    passage = question.passage
    if len(passage.text) <= LONG:
        return question
    for start, end in pieces(passage.text):
        spans = tuple((s - start, e - start) for s, e in question.spans if start <= s and e <= end)
        if spans:
            piece = replace(passage, passage_id=f"{passage.passage_id}@{start}", text=passage.text[start:end])
            return replace(question, passage=piece, spans=spans)
    return None


def pieces(text: str, size: int = LONG // 2) -> Iterator[tuple[int, int]]:
    """Cut a long text at the last sentence end before `size` characters."""
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            stop = max(text.rfind(". ", start, end), text.rfind("\n", start, end))
            end = stop + 1 if stop > start + size // 3 else end
        yield start, end
        start = end


def _locate(text: str, answer: str, start: int) -> tuple[int, int] | None:
    answer = answer.strip()
    if not answer:
        return None
    if text[start : start + len(answer)] != answer:
        start = text.find(answer)
    return (start, start + len(answer)) if start >= 0 else None


def _rows(file: Path) -> Iterator[Json]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidInput(f"{file.name}, line {number} is not JSON: {error.msg}") from error


def split_by_document(questions: Iterable[Question], held_out: Mapping[str, float], seed: int) -> tuple[list[Question], list[Question]]:
    """Split into (train, held out): a document's questions all fall on one side; `held_out` is the share by origin, `*` any other."""
    kept: list[Question] = []
    out: list[Question] = []
    by_origin: dict[str, list[Question]] = {}
    for question in questions:
        by_origin.setdefault(question.passage.origin, []).append(question)
    for origin, group in sorted(by_origin.items()):
        documents = sorted({q.passage.document for q in group}, key=lambda d: sha256(f"{seed}:{d}".encode()).digest())
        share = held_out.get(origin, held_out.get("*", 0.0))
        held = set(documents[: round(len(documents) * share)])
        for question in group:
            (out if question.passage.document in held else kept).append(question)
    return kept, out


def sample(questions: list[Question], at_most: int, seed: int) -> list[Question]:
    """A seeded subset, in its original order."""
    if len(questions) <= at_most:
        return questions
    chosen = set(random.Random(seed).sample(range(len(questions)), at_most))
    return [question for i, question in enumerate(questions) if i in chosen]

"""Answers from the gold: the sentence of the request that holds the gold answer is cited, and nothing else is ever known."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.messages_api.prompt import Json

LONGEST_RUN = 6
"""Sentences that one answer may stretch over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gold:
    answers: tuple[str, ...]
    document: str | None = None
    """Its file name must stand in the source or title of the search result; None takes any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    text: str
    citation: Json | None


def read_gold(path: Path) -> dict[str, Gold]:
    """From rows like those of examples/questions.jsonl."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["question"]: Gold(answers=tuple(row["answers"]), document=row["document"]) for row in rows}


def gold_of(pairs: Mapping[str, tuple[str, str | None]]) -> dict[str, Gold]:
    """From {question: (answer, document)}."""
    return {question: Gold(answers=(answer,), document=document) for question, (answer, document) in pairs.items()}


def find_gold(text: str, gold: Mapping[str, Gold]) -> tuple[str, Gold] | None:
    """The longest gold question that stands in the text."""
    asked = _plain(text)
    known = [question for question in gold if _plain(question) in asked]
    return max(((question, gold[question]) for question in known), key=lambda pair: len(pair[0]), default=None)


def find_answer(question: str, gold: Gold, search_results: list[Json], *, cite: bool) -> Found | None:
    """Of all places that hold the answer, the shortest, and among these the one that shares most words with the question."""
    for answer in gold.answers:
        places = [place for i, result in enumerate(search_results) if _is_of(gold.document, result) for place in _places(answer, i, result)]
        if places:
            best = min(places, key=lambda place: _rank(place, question))
            return Found(text=answer, citation=best if cite else None)
    return None


def _rank(place: Json, question: str) -> tuple[int, int]:
    shared = set(_words(question)) & set(_words(place["cited_text"]))
    return place["end_block_index"] - place["start_block_index"], -len(shared)


def _places(answer: str, index: int, result: Json) -> Iterator[Json]:
    texts = [_plain(part["text"]) for part in result["content"]]
    answer = _plain(answer)
    if answer not in " ".join(texts):
        return
    for start in range(len(texts)):
        for end in range(start + 1, min(start + LONGEST_RUN, len(texts)) + 1):
            if _holds(" ".join(texts[start:end]), answer):
                yield _citation(index, result, start, end)
                break


def _citation(index: int, result: Json, start: int, end: int) -> Json:
    return {
        "type": "search_result_location",
        "cited_text": "".join(part["text"] for part in result["content"][start:end]),
        "source": result["source"],
        "title": result["title"],
        "search_result_index": index,
        "start_block_index": start,
        "end_block_index": end,
    }


def _is_of(document: str | None, result: Json) -> bool:
    if document is None:
        return True
    name = PurePosixPath(document).name
    return name in result["source"] or name in result["title"]


def _holds(text: str, answer: str) -> bool:
    """As whole words: `25` does not stand in `1250`."""
    return answer in text and re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())

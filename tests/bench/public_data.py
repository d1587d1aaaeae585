"""The public sets in ../shared/data, where a machine has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PASSAGE_SETS = (
    "scifact/corpus.jsonl",
    "squad_train_titles/paragraphs.v1.1.jsonl",
    "squadshifts_new_wiki/paragraphs.jsonl",
    "squadshifts_amazon/paragraphs.jsonl",
    "docs_handbook18f/head.jsonl",
)


def read_rows(name: str) -> Iterator[dict[str, Any]]:
    path = DATA / name
    if not path.is_file():
        raise FileNotFoundError(f"this bench needs the public set {name!r} in ../shared/data")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def passages(words: int) -> Iterator[str]:
    """Running pieces of so many words, set after set; nothing where the sets are missing."""
    for name in PASSAGE_SETS:
        if not (DATA / name).is_file():
            continue
        for row in read_rows(name):
            found = str(row["text"]).split()
            for start in range(0, len(found), words):
                yield " ".join(found[start : start + words])

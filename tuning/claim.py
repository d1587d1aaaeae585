"""A run's folder belongs to one recipe, base and data: resuming it with others would mix two runs."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from core.errors import InvalidInput
from tuning.dataset import Question
from tuning.recipe import Recipe


def claim(
    out: Path, recipe: Recipe, questions: Sequence[Question], *, base: str, embedder: str, limits: Mapping[str, object], start: str = ""
) -> None:
    """Write `run.json`, the resolved settings and the hash of the data; raises InvalidInput when the folder holds another run.

    `start` is the digest of the reader that training starts from.
    """
    told = {
        "recipe": recipe.model_dump(mode="json"), "base": base, "from": start, "embedder": embedder, "limits": limits,
        "data": _data_hash(questions),
    }  # fmt: skip
    settings = json.dumps(told, indent=1, sort_keys=True)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "run.json"
    if file.exists() and file.read_text(encoding="utf-8") != settings:
        raise InvalidInput(f"{out.name!r} holds a run with another recipe or other data: give another folder, or remove this one")
    write_whole(file, settings)


def write_whole(file: Path, text: str) -> None:
    """All of it or nothing, whenever the process is killed."""
    scratch = file.with_suffix(".tmp")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(file)


def _data_hash(questions: Sequence[Question]) -> str:
    digest = sha256()
    for question in sorted(questions, key=lambda q: q.question_id):
        digest.update(repr((question.question_id, question.text, question.spans, question.passage)).encode())
    return digest.hexdigest()

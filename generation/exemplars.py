"""Worked examples for the frontier model: JSONL in, one byte-stable text out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InvalidSettings
from generation.policy import NOT_IN_DOCUMENTS

LIMIT = 200
_SETTING = "UNDERSTUDY_FRONTIER__EXEMPLARS"


class Passage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Exemplar(BaseModel):
    """A line of the file; `answer` null means that the passages do not answer the question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1)
    passages: tuple[Passage, ...] = ()
    answer: str | None = Field(min_length=1)


def read_exemplars(file: Path | None) -> tuple[Exemplar, ...]:
    """In the order of the file, no file being no examples; raises InvalidSettings naming the line."""
    if file is None:
        return ()
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InvalidSettings(f"{_SETTING}: {str(file)!r} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{_SETTING}: {str(file)!r} is not UTF-8: save it as UTF-8") from error
    found = tuple(_read(line, f"{file.name}:{number}") for number, line in enumerate(lines, start=1) if line.strip())
    if len(found) > LIMIT:
        raise InvalidSettings(f"{_SETTING}: {file.name} holds {len(found)} examples: keep the {LIMIT} that teach most")
    return found


def render(exemplars: Sequence[Exemplar]) -> str:
    """The same examples give the same text, byte for byte, on every machine."""
    return "\n".join(line for exemplar in exemplars for line in _lines(exemplar))


def _read(line: str, place: str) -> Exemplar:
    try:
        return Exemplar.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidSettings(f"{_SETTING}: {place}: {f'{where}: ' if where else ''}{first['msg']}") from error


def _lines(exemplar: Exemplar) -> Iterator[str]:
    yield "<example>"
    for passage in exemplar.passages:
        yield f"<passage>{passage.source}: {passage.text}</passage>"
    yield f"<question>{exemplar.question}</question>"
    yield f"<answer>{exemplar.answer or NOT_IN_DOCUMENTS}</answer>"
    yield "</example>"

"""How a reader is trained: stages over question sets, read from TOML, or from the JSON that a run leaves beside its weights."""

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import InvalidInput

DEFAULT = Path(__file__).parent / "recipes" / "reader.toml"

Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Section):
    name: str
    only: tuple[str, ...] = ()
    """Names of question sets (their folders); empty means every set."""
    without: tuple[str, ...] = ()
    at_most: dict[str, int] = Field(default_factory=dict)
    """Questions taken of a set."""
    epochs: float = Field(gt=0)
    learning_rate: float = Field(gt=0)
    lengths: tuple[int, ...] = (80, 128, 224)
    """Tokens of context a window may have, drawn with `weights`."""
    weights: tuple[float, ...] = (0.35, 0.35, 0.3)
    negative_rate: Share = 0.35
    """How often a question brings a second window, from a passage that does not answer it."""
    near_miss_rate: Share = 0.0
    """How often an answerable question of a set that is not ambiguous brings a near miss of itself, which its passage does not answer."""
    leaves_after: dict[str, int] = Field(default_factory=dict)
    """Epochs after which a set is left out; the others stay for all of them."""
    title_rate: Share = 0.5
    shared_weight: float = Field(default=0.5, ge=0)

    @model_validator(mode="after")
    def _drawn_with_weights(self) -> Self:
        if len(self.lengths) != len(self.weights) or not self.lengths or min(self.lengths) < 8 or max(self.lengths) > 400:
            raise ValueError("lengths must be 8 to 400 tokens, with one weight each")
        return self

    def sets_of(self, known: Iterable[str]) -> list[str]:
        """Of the known sets those that this stage trains on."""
        return sorted(name for name in known if (not self.only or name in self.only) and name not in self.without)

    def left_by(self, name: str, epoch: int) -> bool:
        return epoch >= self.leaves_after.get(name, epoch + 1)


class Teaching(_Section):
    """A larger reader, trained first on the same windows; the small one then learns what that one sees as well as the gold spans."""

    model: str = Field(min_length=1)
    """Of the Llama architecture: a folder, a .gguf file, or the name of an installed package that carries one."""
    epochs: float = Field(default=3, gt=0)
    """Over the questions of each stage."""
    learning_rate: float = Field(default=1e-4, gt=0)
    tokens_per_batch: int = Field(default=12288, ge=64)
    hard_weight: Share = 0.3
    """The gold spans' part of the loss."""
    variants: int = Field(default=2, ge=1)
    """Epochs whose windows the teacher labels; after them the same windows come again."""


class Recipe(_Section):
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    teacher: Teaching | None = None
    seed: int = 17
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """On `cuda` one process trains, whatever `workers` says; `auto` takes it where there is one."""
    dropout: Share = 0.0
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    tokens_per_batch: int = Field(default=3072, ge=64)
    average_every: int = Field(default=8, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)
    warmup: Share = 0.06
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    held_out: dict[str, float] = Field(default_factory=lambda: {"*": 0.2})
    """Share of each set's documents that training never sees; `*` is every other set."""
    ambiguous: tuple[str, ...] = ()
    """Sets whose questions other passages answer as well ("is it good?", asked about one review): no hard negatives for them, and
    nothing is calibrated or measured over retrieval with them."""
    unanswerable_weight: float = Field(default=0.1, gt=0, le=1)
    """What a held-out question that its set calls unanswerable counts in the calibration, against 1 for any other: those of SQuAD 2.0
    were written to deceive, and are two of five."""
    licences: dict[str, str] = Field(default_factory=dict)
    """For the model card."""

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("every stage needs a name of its own")
        return self


def read_recipe(path: Path = DEFAULT) -> Recipe:
    """Raises InvalidInput naming the entry that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        return Recipe.model_validate(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise InvalidInput(f"recipe {path.name!r}, {where}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"recipe {path.name!r} cannot be read: {error}") from error

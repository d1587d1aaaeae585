"""How a reader is trained: stages over question sets, read from TOML."""

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
    title_rate: Share = 0.5
    shared_weight: float = Field(default=0.5, ge=0)

    def sets_of(self, known: Iterable[str]) -> list[str]:
        """Of the known sets those that this stage trains on."""
        return sorted(name for name in known if (not self.only or name in self.only) and name not in self.without)


class Recipe(_Section):
    stages: tuple[Stage, ...]
    seed: int = 17
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
    licences: dict[str, str] = Field(default_factory=dict)
    """For the model card."""


def read_recipe(path: Path = DEFAULT) -> Recipe:
    """Raises InvalidInput naming the entry that is wrong."""
    try:
        return Recipe(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"recipe {path.name!r} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"recipe {path.name!r}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error

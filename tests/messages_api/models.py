"""The models that the double knows, with what each takes and refuses."""

from dataclasses import dataclass
from typing import Any, Literal

ThinkingType = Literal["adaptive", "between_tools", "disabled", "enabled"]
Lifecycle = Literal["active", "deprecated", "retired"]
EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    id: str
    line: str
    name: str
    created_at: str
    minimum_cacheable: int
    context: int = 1_000_000
    max_output: int = 128_000
    thinking: tuple[ThinkingType, ...] = ("adaptive",)
    thinks_by_default: bool = True
    efforts: tuple[str, ...] = EFFORTS
    efforts_without_thinking: tuple[str, ...] = ("low", "medium", "high")
    forced_tools: bool = False
    prefill: bool = False
    late_system: bool = True
    citations: bool = True
    structured_outputs: bool = True
    tokens_per_kilobyte: int = 325
    """The tokenizer of the 5.5 models makes about 30 % more tokens of a text than the older one, at 250."""
    lifecycle: Lifecycle = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None


# Assumed, because nobody has seen them: the minimum of Sonnet 5.5, Opus 5.5 (1,024) and Fable 5.2 (512); that Haiku 5.5 refuses forced
# tools too (its own page is silent), and takes `disabled` up to its default effort only; that all of them cite; that of the 5.5 models
# only Opus takes late system turns; the tokenizer of the models other than Haiku 5.5.
CATALOGUE = (
    Model(
        id="claude-haiku-5-5",
        line="haiku",
        name="Claude Haiku 5.5",
        created_at="2026-10-07T00:00:00Z",
        minimum_cacheable=512,
        thinking=("adaptive", "disabled"),
        efforts_without_thinking=("low", "medium"),
        late_system=False,
    ),
    Model(
        id="claude-sonnet-5-5",
        line="sonnet",
        name="Claude Sonnet 5.5",
        created_at="2026-09-01T00:00:00Z",
        minimum_cacheable=1024,
        thinking=("adaptive", "between_tools"),
        late_system=False,
    ),
    Model(id="claude-opus-5-5", line="opus", name="Claude Opus 5.5", created_at="2026-09-01T00:00:00Z", minimum_cacheable=1024),
    Model(id="claude-fable-5-2", line="fable", name="Claude Fable 5.2", created_at="2026-11-09T00:00:00Z", minimum_cacheable=512),
    Model(id="claude-fable-5-1", line="fable", name="Claude Fable 5.1", created_at="2026-08-01T00:00:00Z", minimum_cacheable=512),
    Model(
        id="claude-haiku-4-5-20251001",
        line="haiku",
        name="Claude Haiku 4.5",
        created_at="2025-10-01T00:00:00Z",
        minimum_cacheable=4096,
        context=200_000,
        max_output=64_000,
        thinking=("disabled", "enabled"),
        thinks_by_default=False,
        efforts=(),
        forced_tools=True,
        prefill=True,
        late_system=False,
        tokens_per_kilobyte=250,
    ),
    Model(
        id="claude-sonnet-4-5-20250929",
        line="sonnet",
        name="Claude Sonnet 4.5",
        created_at="2025-09-29T00:00:00Z",
        minimum_cacheable=1024,
        context=200_000,
        max_output=64_000,
        thinking=("disabled", "enabled"),
        thinks_by_default=False,
        efforts=(),
        forced_tools=True,
        prefill=True,
        late_system=False,
        tokens_per_kilobyte=250,
        lifecycle="deprecated",
        deprecated_at="2026-09-30T00:00:00Z",
        retires_at="2026-11-30T00:00:00Z",
    ),
)
ALIASES = {"claude-haiku-4-5": "claude-haiku-4-5-20251001", "claude-sonnet-4-5": "claude-sonnet-4-5-20250929"}


def card(model: Model) -> dict[str, Any]:
    """What `GET /v1/models/{id}` says of it."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "line": model.line,
        "created_at": model.created_at,
        "lifecycle": model.lifecycle,
        "deprecated_at": model.deprecated_at,
        "retires_at": model.retires_at,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": capabilities(model),
    }


def capabilities(model: Model) -> dict[str, Any]:
    kinds: tuple[ThinkingType, ...] = ("adaptive", "between_tools", "disabled", "enabled")
    thinking = {kind: _supported(kind in model.thinking) for kind in kinds}
    return {
        "batch": _supported(True),
        "citations": _supported(model.citations),
        "code_execution": _supported(True),
        "context_management": {"supported": False},
        "effort": {"supported": bool(model.efforts), **{effort: _supported(effort in model.efforts) for effort in EFFORTS}},
        "image_input": _supported(True),
        "pdf_input": _supported(True),
        "server_tools": {"supported": True, "code_execution": _supported(True), "web_search": _supported(True)},
        "structured_outputs": _supported(model.structured_outputs),
        "thinking": {"supported": True, "types": thinking},
    }


def _supported(supported: bool) -> dict[str, bool]:
    return {"supported": supported}

"""What the API refuses with 400 or 404: the form of a request first, then what this model and this version do not take."""

import re
from collections.abc import Iterator
from typing import Any

from tests.messages_api.blocks import check_messages, check_system, cite_switches
from tests.messages_api.errors import ApiError, invalid
from tests.messages_api.models import EFFORTS, Model
from tests.messages_api.prompt import Json
from tests.messages_api.schemas import check_schema

VERSION = "2026-10-21"
VERSIONS = (VERSION, "2023-06-01")
COUNTED = frozenset("cache_control messages model output_config system thinking tool_choice tools speed".split())
CREATED = COUNTED | frozenset("container diagnostics inference_geo max_tokens metadata service_tier stop_sequences stream".split())
SAMPLING = ("temperature", "top_p", "top_k")
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
MAX_BREAKPOINTS = 4


def check_request(body: Json, model: Model, version: str) -> None:
    check_counted(body, model, version, allowed=CREATED)
    _check_max_tokens(body, model)
    _check_stop_sequences(body)
    if body["max_tokens"] == 0:
        _check_warm_up(body)


def check_counted(body: Json, model: Model, version: str, *, allowed: frozenset[str] = COUNTED) -> None:
    """The rules that hold for counting, too."""
    _check_fields(body, version, allowed)
    check_messages(body, model, strict=version == VERSION)
    check_system(body)
    _check_tools(body, model)
    _check_thinking(body, model)
    _check_output(body, model)
    _check_citations(body, model)
    _check_breakpoints(body)


def _check_fields(body: Json, version: str, allowed: frozenset[str]) -> None:
    for name in body:
        if name in SAMPLING:
            if version == VERSION:
                raise invalid(f"{name}: this parameter is not supported in API version {VERSION}")
        elif name not in allowed:
            raise invalid(f"{name}: Extra inputs are not permitted")


def _check_max_tokens(body: Json, model: Model) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        raise invalid("max_tokens: Field required")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if limit < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    if limit > model.max_output:
        raise invalid(f"max_tokens: {limit} > {model.max_output}, which is the maximum allowed number of output tokens for {model.id}")


def _check_stop_sequences(body: Json) -> None:
    for sequence in body.get("stop_sequences") or ():
        if not isinstance(sequence, str) or not sequence.strip():
            raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_warm_up(body: Json) -> None:
    refused = {
        "stream": body.get("stream"),
        "output_config.format": (body.get("output_config") or {}).get("format"),
        "tool_choice": _forces_tool(body),
        "thinking": (body.get("thinking") or {}).get("type") == "enabled",
    }
    for name, present in refused.items():
        if present:
            raise invalid(f"{name}: not supported with max_tokens 0")


def _check_tools(body: Json, model: Model) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        if "input_schema" in tool and not TOOL_NAME.fullmatch(str(tool.get("name"))):
            raise invalid(f"tools.{i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool.get("strict"):
            check_schema(tool["input_schema"], f"tools.{i}.custom.input_schema")
    choice = body.get("tool_choice")
    if choice and choice.get("type") not in ("auto", "any", "tool", "none"):
        raise invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice and not body.get("tools"):
        raise invalid("tool_choice: may only be specified while providing tools")
    if _forces_tool(body) and not model.forced_tools:
        raise invalid(f"tool_choice: forced tool use is not supported on {model.id}")


def _forces_tool(body: Json) -> bool:
    return (body.get("tool_choice") or {}).get("type") in ("any", "tool")


def _check_thinking(body: Json, model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in model.thinking:
        raise invalid(f"thinking.type: {kind!r} is not supported on {model.id}")
    effort = (body.get("output_config") or {}).get("effort")
    if kind in ("disabled", "between_tools") and effort is not None and effort not in model.efforts_without_thinking:
        raise invalid(f"thinking.type: {kind!r} is not supported at effort {effort!r}")
    if kind == "enabled":
        _check_budget(thinking.get("budget_tokens"), body.get("max_tokens"))


def _check_budget(budget: Any, limit: Any) -> None:
    if not isinstance(budget, int) or budget < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if isinstance(limit, int) and 0 < limit <= budget:
        raise invalid("max_tokens: must be greater than thinking.budget_tokens")


def _check_output(body: Json, model: Model) -> None:
    config = body.get("output_config") or {}
    for name in config:
        if name not in ("effort", "format"):
            raise invalid(f"output_config.{name}: Extra inputs are not permitted")
    effort, wanted = config.get("effort"), config.get("format")
    if effort is not None and effort not in EFFORTS:
        raise invalid(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")
    if effort is not None and effort not in model.efforts:
        raise invalid(f"output_config.effort: {effort!r} is not supported on {model.id}")
    if wanted is not None:
        _check_format(wanted, model)


def _check_format(wanted: Json, model: Model) -> None:
    if not model.structured_outputs:
        raise invalid(f"output_config.format: not supported on {model.id}")
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise invalid("output_config.format: Input should be a json_schema with its schema")
    check_schema(wanted["schema"], "output_config.format.schema")


def _check_citations(body: Json, model: Model) -> None:
    switches = set(cite_switches(body))
    if len(switches) > 1:
        raise invalid("citations: must be enabled for all document and search_result blocks of a request, or for none")
    if True not in switches:
        return
    if not model.citations:
        raise invalid(f"citations: not supported on {model.id}")
    if (body.get("output_config") or {}).get("format"):
        raise invalid("output_config.format: structured output cannot be used together with citations")


def _check_breakpoints(body: Json) -> None:
    controls = list(_controls(body))
    total = len(controls) + bool(body.get("cache_control"))
    if total > MAX_BREAKPOINTS:
        raise invalid(f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {total}.")
    for control in [*controls, *([body["cache_control"]] if body.get("cache_control") else [])]:
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") not in ("5m", "1h"):
            raise invalid("cache_control: Input should be of type 'ephemeral' with ttl '5m' or '1h'")
    lives = [control.get("ttl", "5m") for control in controls]
    if lives != sorted(lives):  # "1h" comes before "5m" in the alphabet, too
        raise invalid("cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")


def _controls(body: Json) -> Iterator[Json]:
    system = body.get("system")
    contents = (message["content"] for message in body["messages"])
    for parts in (body.get("tools"), system, *contents):
        if isinstance(parts, list):
            yield from (part["cache_control"] for part in parts if part.get("cache_control"))


def known_model(name: Any, models: dict[str, Model]) -> Model:
    if name is None:
        raise invalid("model: Field required")
    model = models.get(str(name))
    if model is None or model.lifecycle == "retired":
        raise ApiError(404, f"model: {name}")
    return model

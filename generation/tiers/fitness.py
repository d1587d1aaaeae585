"""Whether a model will do: it must cite, be in service, and take the effort and the length that are set."""

from typing import Any

from core.types import Effort, Readiness
from generation.capabilities import Capabilities


def judge(name: str, info: Any, *, effort: Effort | None, max_tokens: int) -> Readiness:
    """From a model's entry in the Models API, which says what it can do."""
    able = info.capabilities
    level = effort and getattr(able.effort, effort, None)
    if info.lifecycle == "retired":
        return Readiness(ready=False, reason=f"{name} is retired: name another in UNDERSTUDY_FRONTIER__MODELS")
    if not able.citations.supported:
        return Readiness(ready=False, reason=f"{name} cannot cite: name another in UNDERSTUDY_FRONTIER__MODELS")
    if level and not level.supported:
        return Readiness(ready=False, reason=f"{name} takes no effort {effort!r}: see UNDERSTUDY_FRONTIER__MODELS")
    if info.max_tokens is not None and max_tokens > info.max_tokens:
        return Readiness(ready=False, reason=_too_many(max_tokens, info.max_tokens))
    leaves = f", retires on {info.retires_at:%d %B %Y}" if info.retires_at else ""
    return Readiness(ready=True, reason=f"the Models API knows it: {info.lifecycle}{leaves}, cites")


def judge_by_table(known: Capabilities | None, max_tokens: int) -> Readiness:
    if known is None:
        return Readiness(ready=True, reason="there is a key; what the model can do is not known before it is asked")
    if known.citations is False:
        return Readiness(ready=False, reason=f"it cannot cite, says {known.source} of {known.seen}")
    if known.max_output_tokens is not None and max_tokens > known.max_output_tokens:
        return Readiness(ready=False, reason=_too_many(max_tokens, known.max_output_tokens))
    return Readiness(ready=True, reason=f"there is a key; what the model can do is from a table of {known.seen}")


def _too_many(wanted: int, most: int) -> str:
    return f"{wanted} tokens an answer are more than its {most}: see UNDERSTUDY_FRONTIER__MODELS"

"""The generator as HTTP and the command line show and set it."""

from sqlalchemy import Engine

from api.mode import read_mode, write_mode
from api.schemas import GeneratorReply, TierBody
from core.errors import NoReadyTier
from core.types import MODES, Mode, Readiness
from generation.answer import Answerer


def show_generator(engine: Engine, answerer: Answerer, *, default: Mode) -> GeneratorReply:
    mode = read_mode(engine, default=default)
    states: dict[str, Readiness] = {}
    modes: dict[Mode, bool] = {}
    for each in MODES:
        asked = answerer.readiness(each)
        states |= asked
        modes[each] = any(state.ready for state in asked.values())
    tiers = [TierBody(name=name, ready=state.ready, reason=state.reason) for name, state in states.items()]
    return GeneratorReply(mode=mode, ready=modes[mode], tiers=tiers, modes=modes)


def set_generator(engine: Engine, answerer: Answerer, mode: Mode) -> GeneratorReply:
    """Raises NoReadyTier, and keeps the old mode, when nothing could answer in the new one."""
    require_ready(answerer, mode)
    write_mode(engine, mode)
    return show_generator(engine, answerer, default=mode)


def require_ready(answerer: Answerer, mode: Mode) -> None:
    states = answerer.readiness(mode)
    if any(state.ready for state in states.values()):
        return
    reasons = "; ".join(f"{name}: {state.reason}" for name, state in states.items()) or "none is configured"
    ready = [other for other in MODES if any(state.ready for state in answerer.readiness(other).values())]
    advice = f"modes that could be used now: {', '.join(ready)}" if ready else "no mode has one"
    raise NoReadyTier(f"mode {mode!r} has no ready tier ({reasons}); {advice}")

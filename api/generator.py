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
    """Raises NoReadyTier, which names the modes that could answer instead."""
    try:
        return answerer.require_ready(mode)
    except NoReadyTier as error:
        raise NoReadyTier(f"{error}; {_advice(answerer)}") from error


def _advice(answerer: Answerer) -> str:
    ready = [other for other in MODES if any(state.ready for state in answerer.readiness(other).values())]
    return f"modes that could be used now: {', '.join(ready)}" if ready else "no mode has one"

"""Bugs of indexers that were reported in public: where LlamaIndex fails today, and where we do."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.figure import Figure
from tests.replays.llama import LlamaIndex
from tests.replays.ours import Ours
from tests.replays.scenarios import SCENARIOS, Fault, Scenario
from tests.replays.system import System


def main() -> list[Figure]:
    played = [(scenario, _play(scenario, Ours), _play(scenario, _llama(scenario))) for scenario in SCENARIOS]
    for scenario, ours, theirs in played:
        print(f"{scenario.threads}: {scenario.name}\n    Understudy: {ours or 'passes'}")
        print(f"    LlamaIndex, {scenario.strategy}: {theirs or 'passes'}")
    n = len(played)
    passed = sum(not ours for _, ours, _ in played)
    theirs_passed = sum(not theirs for _, _, theirs in played)
    note = "scenarios of tests/replays, each with the strategy of its thread; SentenceSplitter, Qdrant local mode"
    return [
        Figure(name="reported bugs that are none of ours", value=passed, unit="", target=n, n=n),
        Figure(name="the same, LlamaIndex 0.14.25", value=theirs_passed, unit="", n=n, note=note),
    ]


def _llama(scenario: Scenario) -> Callable[[Path], System]:
    return partial(LlamaIndex, strategy=scenario.strategy, bare=scenario.bare)


def _play(scenario: Scenario, open_system: Callable[[Path], System]) -> str:
    """What goes wrong; nothing for what passes."""
    with tempfile.TemporaryDirectory() as name:
        system = open_system(Path(name))
        try:
            scenario.play(system)
        except Fault as fault:
            return str(fault)
        finally:
            system.close()
    return ""

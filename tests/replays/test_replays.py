"""Bugs that other indexers were reported for are none of ours; `make bench ONLY=replays` puts LlamaIndex through the same."""

from pathlib import Path

import pytest

from tests.replays.ours import Ours
from tests.replays.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.threads}: {scenario.name}")
def test_reported_bug_is_none_of_ours(scenario: Scenario, tmp_path: Path) -> None:
    system = Ours(tmp_path)
    try:
        scenario.play(system)
    finally:
        system.close()

""".env.example names every setting, with the default that the code has."""

import re
from pathlib import Path

import pytest

from core.settings import PREFIX, read_settings, setting_names

EXAMPLE = Path(__file__).parents[1] / ".env.example"
ASSIGNMENT = re.compile(rf"^#({PREFIX}\w+)=(.*)$", re.MULTILINE)


def test_env_example_names_every_setting_once_and_in_order() -> None:
    assert [name for name, _ in ASSIGNMENT.findall(EXAMPLE.read_text())] == setting_names()


def test_env_example_when_uncommented_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = read_settings()
    for name, value in ASSIGNMENT.findall(EXAMPLE.read_text()):
        monkeypatch.setenv(name, value)
    assert read_settings() == defaults

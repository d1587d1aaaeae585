"""The table of capabilities covers the models that are priced, and guesses nothing."""

import tomllib
from pathlib import Path

from generation.capabilities import read_capabilities

PRICES = Path(__file__).parents[2] / "generation" / "prices.toml"


def test_every_priced_model_was_looked_up() -> None:
    priced = {name for row in tomllib.loads(PRICES.read_text())["price"] for name in row["models"]}
    assert set(read_capabilities()) == priced


def test_what_nobody_saw_is_not_known() -> None:
    known = read_capabilities()
    assert (known["claude-haiku-5-5"].min_cacheable_tokens, known["claude-haiku-4-5"].min_cacheable_tokens) == (512, 4096)
    assert known["claude-sonnet-5-5"].min_cacheable_tokens is None
    assert known["claude-haiku-5-5"].forced_tools is None
    assert known["claude-opus-5-5"].forced_tools is False
    assert known.get("claude-haiku-6") is None

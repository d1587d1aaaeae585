"""The table of figures says ok or miss by each figure's own direction."""

import pytest

from tests.bench.__main__ import COLUMNS, aligned, row
from tests.bench.figure import Better, Figure


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (3.1, 3.0, "higher", True),
        (2.9, 3.0, "higher", False),
        (9.9, 10.0, "lower", True),
        (10.1, 10.0, "lower", False),
        (1.0, None, "higher", None),
    ],
)
def test_figure_is_met_on_the_right_side_of_its_target(value: float, target: float | None, better: Better, met: bool | None) -> None:
    assert Figure(name="speed", value=value, unit="x", target=target, better=better, n=10).met is met


def test_row_shows_number_target_and_verdict() -> None:
    shown = row(Figure(name="hybrid search p50", value=10.126, unit="ms", target=10, better="lower", n=20_000, seed=7, note="idle"))
    assert shown[:6] == ("hybrid search p50", "10.13 ms", "≤ 10 ms", "miss", "20,000", "7")
    assert shown[7] == "idle"


def test_table_is_aligned() -> None:
    figures = [Figure(name=name, value=12345.6, unit="", n=1) for name in ("a", "a longer name")]
    lines = aligned([COLUMNS, *map(row, figures)]).splitlines()
    assert {line.index("12,346") for line in lines[1:]} == {lines[0].index("value")}

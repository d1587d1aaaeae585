"""Prices are exact, dated and complete; what is not in the list is an error."""

import re
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSettings
from core.types import Usage
from generation.prices import SHIPPED, read_prices

SEEN = date(2026, 11, 20)
tokens = st.integers(min_value=0, max_value=2_000_000)


def cost(model: str, usage: Usage, *, service_tier: str = "standard", day: date = SEEN) -> int:
    return read_prices().spending(model, usage, service_tier=service_tier, day=day).cost_micro_usd


@pytest.mark.parametrize(
    ("model", "usage", "micro_usd"),
    [
        ("claude-haiku-5-5", Usage(input_tokens=3_000, output_tokens=150), 375),
        ("claude-sonnet-5-5", Usage(input_tokens=3_000, output_tokens=150), 7_500),
        ("claude-opus-5-5", Usage(input_tokens=3_000, output_tokens=150), 15_000),
        ("claude-fable-5-1", Usage(input_tokens=3_000, output_tokens=150), 37_500),
        ("claude-haiku-5-5", Usage(cache_write_5m_tokens=8_000), 1_000),
        ("claude-haiku-5-5", Usage(cache_write_1h_tokens=8_000), 1_600),
        ("claude-haiku-5-5", Usage(cache_read_tokens=8_000), 80),
        ("claude-haiku-4-5-20251001", Usage(cache_write_1h_tokens=1_000), 2_000),
        ("claude-haiku-5-5", Usage(), 0),
    ],
)
def test_cost_is_that_of_the_price_list(model: str, usage: Usage, micro_usd: int) -> None:
    assert cost(model, usage) == micro_usd


@pytest.mark.parametrize(
    ("usage", "micro_usd"),
    [
        (Usage(input_tokens=100_000), 10_000),
        (Usage(input_tokens=100_001), 50_001),
        (Usage(input_tokens=1, cache_read_tokens=100_000), 5_001),
        (Usage(input_tokens=1, cache_write_5m_tokens=100_000), 62_501),
        (Usage(input_tokens=100_000, output_tokens=1_000), 10_500),
    ],
)
def test_band_counts_the_whole_prompt_and_no_output(usage: Usage, micro_usd: int) -> None:
    assert cost("claude-haiku-5-5", usage) == micro_usd


@pytest.mark.parametrize(("day", "micro_usd"), [(date(2026, 10, 6), 200), (date(2026, 10, 7), 100), (SEEN, 100)])
def test_price_is_that_of_the_day(day: date, micro_usd: int) -> None:
    assert cost("claude-sonnet-5-5", Usage(cache_read_tokens=1_000), day=day) == micro_usd


@pytest.mark.parametrize(("reads", "micro_usd"), [(49, 0), (50, 1), (51, 1), (149, 1), (150, 2)])
def test_sum_is_rounded_once_to_the_nearest_a_half_upwards(reads: int, micro_usd: int) -> None:
    assert cost("claude-haiku-5-5", Usage(cache_read_tokens=reads)) == micro_usd


def test_parts_below_half_a_millionth_are_not_lost_one_by_one() -> None:
    assert cost("claude-haiku-5-5", Usage(input_tokens=4, cache_read_tokens=40, cache_write_5m_tokens=3)) == 1  # .4 + .4 + .375


@given(tokens, tokens, tokens, tokens)
def test_cost_is_the_exact_sum_rounded(plain: int, written: int, read: int, output: int) -> None:
    usage = Usage(input_tokens=plain, cache_write_1h_tokens=written, cache_read_tokens=read, output_tokens=output)
    exact = plain * 4 + written * 8 + read * Fraction("0.20") + output * 20
    assert abs(cost("claude-opus-5-5", usage) - exact) <= Fraction(1, 2)


def test_uncached_bill_is_of_the_same_tokens_as_input() -> None:
    spent = read_prices().spending("claude-haiku-5-5", Usage(input_tokens=10, cache_read_tokens=990, output_tokens=2), day=SEEN)
    assert (spent.cost_micro_usd, spent.uncached_micro_usd) == (12, 101)


def test_applied_price_is_kept_word_for_word() -> None:
    kept = read_prices().spending("claude-sonnet-5-5", Usage(input_tokens=1), day=SEEN).price
    assert kept == {
        "service_tier": "standard", "since": "2026-10-07", "up_to_prompt_tokens": None, "input": "2", "cache_write_5m": "2.50",
        "cache_write_1h": "4", "cache_read": "0.10", "output": "10",
    }  # fmt: skip


def test_batch_costs_half_of_every_standard_price() -> None:
    batch = read_prices().rates("claude-haiku-5-5", prompt_tokens=1, service_tier="batch", day=SEEN).model_dump()
    standard = read_prices().rates("claude-haiku-5-5", prompt_tokens=1, day=SEEN).model_dump()
    assert batch == {name: price / 2 for name, price in standard.items()}
    assert cost("claude-haiku-5-5", Usage(input_tokens=1_000, output_tokens=1_000), service_tier="batch") == 300


@pytest.mark.parametrize(
    ("model", "usage", "service_tier", "told"),
    [
        ("claude-haiku-6", Usage(input_tokens=1), "standard", "'claude-haiku-6'"),
        ("claude-haiku-6", Usage(), "standard", "'claude-haiku-6'"),
        ("", Usage(), "standard", "''"),
        ("claude-haiku-5-5", Usage(input_tokens=1), "priority", "'priority'"),
        ("claude-fable-5-2", Usage(cache_write_1h_tokens=1), "standard", "no cache_write_1h price"),
        ("claude-haiku-5-5", Usage(input_tokens=100_000, cache_write_1h_tokens=1), "standard", "no cache_write_1h price"),
    ],
)
def test_what_is_not_in_the_list_is_an_error_that_says_what_to_add(model: str, usage: Usage, service_tier: str, told: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"{told}.*add it.*\[\[price\]\] of prices\.toml"):
        cost(model, usage, service_tier=service_tier)


def test_model_before_its_first_price_is_an_error() -> None:
    assert cost("claude-fable-5-2", Usage(input_tokens=1), day=date(2026, 11, 9)) == 8
    with pytest.raises(InvalidSettings, match="2026-11-08"):
        cost("claude-fable-5-2", Usage(input_tokens=1), day=date(2026, 11, 8))


def test_require_passes_every_model_that_is_priced() -> None:
    read_prices().require("claude-haiku-5-5")
    with pytest.raises(InvalidSettings, match="'gpt'"):
        read_prices().require("gpt")


def test_require_refuses_a_time_to_live_without_a_price() -> None:
    read_prices().require("claude-haiku-5-5", "1h")
    read_prices().require("claude-fable-5-2", "auto")
    with pytest.raises(InvalidSettings, match=r"'claude-fable-5-2', which UNDERSTUDY_FRONTIER__TTL=1h needs: add it"):
        read_prices().require("claude-fable-5-2", "1h")


@pytest.mark.parametrize("name", ["cache_write_5m", "cache_read"])
def test_require_refuses_a_model_whose_cached_prompt_has_no_price(tmp_path: Path, name: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(re.sub(rf"{name} = [\d.]+, ", "", SHIPPED.read_text(), count=1))
    with pytest.raises(InvalidSettings, match=rf"no {name} price for the model 'claude-haiku-5-5', whose prompt is cached: add it"):
        read_prices(own).require("claude-haiku-5-5")


def test_most_that_tokens_without_a_price_can_cost_is_the_models_dearest_price() -> None:
    assert read_prices().at_most("claude-haiku-5-5", Usage(input_tokens=3, cache_write_1h_tokens=2, output_tokens=2)) == 18  # 7 * 2.50
    assert read_prices().at_most("claude-opus-5-5", Usage(cache_write_1h_tokens=10)) == 200


def test_list_of_the_users_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodels = ["mine"]\nstandard = { input = 0.3, output = 1 }\nsource = "contract"\nseen = 2026-11-01\n')
    assert read_prices(own).spending("mine", Usage(input_tokens=10)).cost_micro_usd == 3
    with pytest.raises(InvalidSettings, match=r"own\.toml"):
        read_prices(own).require("claude-haiku-5-5")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[price", "is not TOML"),
        ("price = 3", "price: Input should be a valid list"),
        (SHIPPED.read_text().replace("input = 0.10", "input = nan", 1), r"price\.0\.standard\.input: Input should be a finite number"),
        ('[[price]]\nmodels = ["a"]\n', "standard: Field required"),
        (SHIPPED.read_text().replace("input = 0.10", "input = -0.10", 1), "greater than or equal to 0"),
        (SHIPPED.read_text().replace("cache_read", "cache_raed", 1), "cache_raed"),
    ],
)
def test_broken_list_names_file_and_place(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InvalidSettings, match=rf"own\.toml.*{told}"):
        read_prices(tmp_path / "own.toml")


def test_mark_that_windows_puts_before_a_text_is_no_part_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes())
    read_prices(tmp_path / "own.toml").require("claude-haiku-5-5")


def test_missing_list_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="UNDERSTUDY_FRONTIER__PRICES"):
        read_prices(tmp_path / "none.toml")

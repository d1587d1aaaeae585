"""What a prompt would cost, cold and warm."""

import pytest

from core.errors import InvalidSettings
from generation.estimate import estimate, estimate_tokens, too_short
from generation.exemplars import Exemplar
from generation.prices import read_prices
from generation.prompt import Prompt, build_prefix, build_prompt
from generation.ttl import Ttl
from tests.doubles import make_hit

MANY = [Exemplar(question="How many days of leave does everyone have in a year?", answer="27 days") for _ in range(100)]


def a_prompt(ttl: Ttl = "5m", question: str = "How many?") -> Prompt:
    return build_prompt(build_prefix(MANY), question, (make_hit("Everyone has 27 days."),), ttl=ttl)


def test_cold_writes_the_prefix_and_warm_reads_it() -> None:
    found = estimate(a_prompt(), read_prices(), "claude-opus-5-5", minimum=None)
    assert found.cold_micro_usd == found.prefix_tokens * 5 + found.fresh_tokens * 4
    assert found.warm_micro_usd == round(found.prefix_tokens * 0.2 + found.fresh_tokens * 4)
    assert found.uncached_micro_usd == (found.prefix_tokens + found.fresh_tokens) * 4


def test_hour_costs_more_to_write_and_the_same_to_read() -> None:
    short, long = (estimate(a_prompt(ttl), read_prices(), "claude-opus-5-5", minimum=None) for ttl in ("5m", "1h"))
    assert long.cold_micro_usd - short.cold_micro_usd == long.prefix_tokens * 3
    assert long.warm_micro_usd == short.warm_micro_usd


def test_prefix_under_the_minimum_is_never_cached() -> None:
    tokens = estimate(a_prompt(), read_prices(), "claude-opus-5-5", minimum=1).prefix_tokens
    short = estimate(a_prompt(), read_prices(), "claude-opus-5-5", minimum=tokens + 1)
    assert (short.cacheable, estimate(a_prompt(), read_prices(), "claude-opus-5-5", minimum=tokens).cacheable) == (False, True)
    assert short.cold_micro_usd == short.warm_micro_usd == short.uncached_micro_usd


def test_prefix_without_examples_is_long_enough_for_haiku_even_if_a_quarter_shorter_than_estimated() -> None:
    bare = build_prompt(build_prefix(), "Q?", (), ttl="5m")
    found = estimate(bare, read_prices(), "claude-haiku-5-5", minimum=512)
    assert found.cacheable
    assert found.prefix_tokens * 3 // 4 >= 512


def test_prefix_that_is_known_to_be_too_short_is_said() -> None:
    assert too_short(build_prefix(), "claude-haiku-5-5", 512) is too_short(build_prefix(), "claude-opus-5-5", None) is None
    assert "caches none under 4,096, so that every question pays" in (too_short(build_prefix(), "claude-haiku-4-5", 4096) or "")


def test_question_changes_the_fresh_tokens_alone() -> None:
    one, other = (estimate(a_prompt(question=text), read_prices(), "claude-opus-5-5", minimum=None) for text in ("A?", "A" * 300))
    assert (one.prefix_tokens, one.fresh_tokens < other.fresh_tokens) == (other.prefix_tokens, True)


def test_tokens_are_counted_in_bytes_upwards() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abc", "abcd", "多谢")] == [0, 1, 1, 2, 2]


def test_model_without_a_price_is_an_error() -> None:
    with pytest.raises(InvalidSettings, match="'nobody'"):
        estimate(a_prompt(), read_prices(), "nobody", minimum=None)

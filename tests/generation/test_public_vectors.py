"""Usage that other tools are publicly known to have priced wrongly, as the API tells it, and what it costs in truth.

Each row names the mistake that it is proof against. Prices are those of the day of the report, in a list of the test's own.
"""

from pathlib import Path
from typing import Any

import pytest
from anthropic.types import MessageDeltaUsage
from anthropic.types import Usage as ToldUsage

from core.types import Usage
from generation.charges import charges_of
from generation.prices import Prices, read_prices
from generation.prompt import build_prefix, build_prompt
from generation.reply import Reply
from generation.tiers.messages import read_event, usage_of
from tests.generation.claude import HIT, QUESTION, Event

MODEL = "claude-3-7-sonnet-20250219"
LIST = f"""
[[price]]
models = ["{MODEL}"]
standard = {{ input = 3, cache_write_5m = 3.75, cache_write_1h = 6, cache_read = 0.30, output = 15 }}
source = "the prices of Sonnet 3.7"
seen = 2025-04-08
"""
NOTHING = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
WRITTEN = {"input_tokens": 3, "cache_creation_input_tokens": 12_304, "cache_read_input_tokens": 0, "output_tokens": 550}
READ = {"input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 30_000, "output_tokens": 100}
BOTH = {"input_tokens": 10, "cache_creation_input_tokens": 2_000, "cache_read_input_tokens": 30_000, "output_tokens": 100}
VECTORS = {
    "written tokens charged as input once more (LiteLLM #9812: $0.0913)": (WRITTEN, {}, 54_399),
    "read tokens charged as input once more (Langfuse #12306)": (READ, {}, 10_512),
    "read tokens taken off the input, which falls below zero": (BOTH, {}, 18_030),
    "an hour's write charged as five minutes'": (
        BOTH | {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 2_000}}, {}, 22_530,
    ),
    "the end of a stream added to its start (LiteLLM #11789)": (WRITTEN | {"output_tokens": 1}, WRITTEN, 54_399),
    "the prompt forgotten where the end of a stream leaves it out": (WRITTEN | {"output_tokens": 1}, {"output_tokens": 550}, 54_399),
    "the prompt forgotten where the end of a stream tells of none": (BOTH | {"output_tokens": 1}, NOTHING | {"output_tokens": 100}, 18_030),
    "the prompt forgotten where only the end of a stream tells of it": (NOTHING, BOTH, 18_030),
}  # fmt: skip


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    (tmp_path / "prices.toml").write_text(LIST, encoding="utf-8")
    return read_prices(tmp_path / "prices.toml")


def streamed(start: dict[str, Any], end: dict[str, Any]) -> Reply:
    reply = Reply(prompt=build_prompt(build_prefix(), QUESTION, (HIT,), ttl="5m"), model=MODEL, sent=True)
    read_event(Event("message_start", message=Event("message", usage=ToldUsage.construct(**start))), reply)
    stopped = Event("delta", stop_reason="end_turn", stop_details=None)
    read_event(Event("message_delta", delta=stopped, usage=MessageDeltaUsage.construct(**end)), reply)
    return reply


@pytest.mark.parametrize(("start", "end", "micro_usd"), VECTORS.values(), ids=VECTORS)
def test_usage_costs_what_it_costs(prices: Prices, start: dict[str, Any], end: dict[str, Any], micro_usd: int) -> None:
    spent = charges_of(streamed(start, end or start), prices, max_tokens=4096)
    assert (spent.cost_micro_usd, spent.untold_micro_usd) == (micro_usd, None)
    told = max(start, end, key=lambda usage: usage.get("input_tokens", 0))
    assert spent.usage.prompt_tokens == sum(count for name, count in told.items() if name.endswith("input_tokens"))


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("tokens", [-1, 2.5])
def test_tokens_that_cannot_be_are_refused(name: str, tokens: float) -> None:
    told: dict[str, Any] = WRITTEN | {name: tokens}
    with pytest.raises(ValueError):
        usage_of(ToldUsage.construct(**told), "5m")


def test_negative_tokens_are_no_usage_and_make_no_refund() -> None:
    with pytest.raises(ValueError, match="-8000 input_tokens cannot be"):
        Usage(input_tokens=-8_000)

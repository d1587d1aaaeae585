"""What tokens cost: a dated price list, and exact arithmetic in millionths of a US dollar."""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.errors import InvalidSettings
from core.types import Json, Spending, Usage

ServiceTier = Literal["standard", "batch"]
SERVICE_TIERS: tuple[ServiceTier, ...] = get_args(ServiceTier)
SHIPPED = Path(__file__).with_name("prices.toml")

_Price = Annotated[Decimal, Field(ge=0)]


class Rates(BaseModel):
    """US dollars per million tokens, which are millionths of a dollar per token. None: nobody has seen that price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: _Price
    cache_write_5m: _Price | None = None
    cache_write_1h: _Price | None = None
    cache_read: _Price | None = None
    output: _Price


class PriceRow(BaseModel):
    """One model's prices from a day on, in one band of prompt lengths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = Field(min_length=1)
    since: date = date.min
    up_to_prompt_tokens: int | None = Field(default=None, ge=1)
    standard: Rates
    batch: Rates | None = None
    source: str = Field(min_length=1)
    seen: date

    def holds(self, model: str, prompt_tokens: int, day: date) -> bool:
        reaches = self.up_to_prompt_tokens is None or prompt_tokens <= self.up_to_prompt_tokens
        return model in self.models and self.since <= day and reaches


_ROWS = TypeAdapter(list[PriceRow])


class Prices:
    """A price list. What it does not know is an error that says what to add, never a price of nothing."""

    def __init__(self, rows: Sequence[PriceRow], file: Path) -> None:
        self._rows = tuple(rows)
        self._file = file

    def require(self, model: str, ttl: str = "auto") -> None:
        """Ask before the first call; raises InvalidSettings for a model without prices today, or without one of the prompt cache's."""
        rates = self.rates(model, prompt_tokens=0)
        lacks = next((name for name in ("cache_write_5m", "cache_read") if getattr(rates, name) is None), None)
        if lacks:
            raise self._unknown(f"no {lacks} price for the model {model!r}, whose prompt is cached")
        if ttl == "1h" and rates.cache_write_1h is None:
            raise self._unknown(f"no cache_write_1h price for the model {model!r}, which UNDERSTUDY_FRONTIER__TTL=1h needs")

    def rates(self, model: str, *, prompt_tokens: int, service_tier: str = "standard", day: date | None = None) -> Rates:
        """For a prompt of that length, the cached part counted; raises InvalidSettings."""
        _, rates = self._find(model, prompt_tokens, service_tier, day)
        return rates

    def spending(self, model: str, usage: Usage, *, service_tier: str = "standard", day: date | None = None) -> Spending:
        """What these tokens cost on that day (today, UTC); raises InvalidSettings.

        The exact sum is rounded once, to the nearest millionth of a dollar, a half upwards.
        """
        row, rates = self._find(model, usage.prompt_tokens, service_tier, day)
        uncached = Usage(input_tokens=usage.prompt_tokens, output_tokens=usage.output_tokens)
        return Spending(
            usage=usage,
            cost_micro_usd=self._cost(model, rates, usage),
            uncached_micro_usd=self._cost(model, rates, uncached),
            price=_price(row, rates, service_tier),
        )

    def at_most(self, model: str, usage: Usage) -> int:
        """Where a class or band of these tokens has no price: all of them at the dearest that the list has for the model."""
        listed = [row.standard for row in self._rows if model in row.models]
        dearest = max((price for rates in listed for price in rates.model_dump().values() if price is not None), default=Decimal(0))
        return int((dearest * sum(asdict(usage).values())).quantize(Decimal(1), rounding=ROUND_CEILING))

    def _find(self, model: str, prompt_tokens: int, service_tier: str, day: date | None) -> tuple[PriceRow, Rates]:
        when = day or datetime.now(UTC).date()
        held = [row for row in self._rows if row.holds(model, prompt_tokens, when)]
        if not held:
            listed = any(model in row.models for row in self._rows)
            raise self._unknown(f"no price for the model {model!r}" + (f" on {when} for {prompt_tokens:,} prompt tokens" if listed else ""))
        row = min(held, key=_newest_then_narrowest)
        rates = getattr(row, service_tier) if service_tier in SERVICE_TIERS else None
        if not isinstance(rates, Rates):
            raise self._unknown(f"no price for the service tier {service_tier!r} of the model {model!r}")
        return row, rates

    def _cost(self, model: str, rates: Rates, usage: Usage) -> int:
        total = Decimal(0)
        for name, tokens in asdict(usage).items():
            price: Decimal | None = getattr(rates, name.removesuffix("_tokens"))
            if tokens and price is None:
                raise self._unknown(f"no {name.removesuffix('_tokens')} price for the model {model!r} at this prompt length")
            total += tokens * (price or Decimal(0))
        return int(total.quantize(Decimal(1), rounding=ROUND_HALF_UP))

    def _unknown(self, what: str) -> InvalidSettings:
        return InvalidSettings(
            f"{what}: add it, with its source and date, to a [[price]] of {self._file.name}"
            " (a file of your own goes by UNDERSTUDY_FRONTIER__PRICES)"
        )


def read_prices(file: Path | None = None) -> Prices:
    """The list that ships, or one of the user's own in its place; raises InvalidSettings."""
    chosen = file or SHIPPED
    try:
        table = tomllib.loads(chosen.read_text(encoding="utf-8-sig"), parse_float=Decimal)
        return Prices(_ROWS.validate_python(table.get("price", [])), chosen)
    except OSError as error:
        raise InvalidSettings(f"UNDERSTUDY_FRONTIER__PRICES: {str(chosen)!r} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{chosen.name} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSettings(f"{chosen.name}: {'.'.join(map(str, ('price', *first['loc'])))}: {first['msg']}") from error


def _newest_then_narrowest(row: PriceRow) -> tuple[int, float]:
    return -row.since.toordinal(), row.up_to_prompt_tokens or float("inf")


def _price(row: PriceRow, rates: Rates, service_tier: str) -> Json:
    """As it is kept with the attempt: enough to reckon the bill again after the list has changed."""
    since = None if row.since == date.min else row.since.isoformat()
    written = {name: None if price is None else str(price) for name, price in rates.model_dump().items()}
    return {"service_tier": service_tier, "since": since, "up_to_prompt_tokens": row.up_to_prompt_tokens, **written}

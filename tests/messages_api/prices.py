"""The double's own price list, so that a ledger is not compared with itself. $ a million tokens is micro-dollars a token."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """The five classes that are paid for."""

    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            input=self.input + other.input,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            cache_read=self.cache_read + other.cache_read,
            output=self.output + other.output,
        )

    @property
    def prompt(self) -> int:
        return self.input + self.cache_write_5m + self.cache_write_1h + self.cache_read


LONG_PROMPT = 100_000
# Input, write of 5 minutes, write of 1 hour, read, output.
# Assumed: the 1-hour writes of Haiku's long band and of Fable 5.2, at twice the input.
PRICES = {
    "claude-haiku-5-5": ("0.10", "0.125", "0.20", "0.01", "0.50"),
    "claude-haiku-5-5 long": ("0.50", "0.625", "1.00", "0.05", "2.50"),
    "claude-sonnet-5-5": ("2", "2.50", "4", "0.10", "10"),
    "claude-opus-5-5": ("4", "5", "8", "0.20", "20"),
    "claude-fable-5-2": ("8", "10", "16", "0.20", "40"),
    "claude-fable-5-1": ("10", "12.50", "20", "0.25", "50"),
    "claude-haiku-4-5-20251001": ("1", "1.25", "2", "0.10", "5"),
    "claude-sonnet-4-5-20250929": ("3", "3.75", "6", "0.30", "15"),
}


def micro_usd(model: str, tokens: Tokens) -> Fraction:
    """Exact: who rounds, and when, is for the reader of the books."""
    band = f"{model} long" if tokens.prompt > LONG_PROMPT and f"{model} long" in PRICES else model
    paid = (tokens.input, tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_read, tokens.output)
    return sum((Fraction(price) * count for price, count in zip(PRICES[band], paid, strict=True)), Fraction(0))

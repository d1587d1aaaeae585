"""What a prompt would cost, before it is sent."""

from dataclasses import dataclass, replace

from core.types import Usage
from generation.prices import Prices
from generation.prompt import Prefix, Prompt
from generation.ttl import Arrivals, Ttl, TtlChoice

_BYTES_PER_TOKEN = 3
_BLOCK_TOKENS = 4
_IN_FULL = "so that every question pays for it in full: add worked examples (UNDERSTUDY_FRONTIER__EXEMPLARS)"


def estimate_tokens(text: str) -> int:
    """Within a third or so: Claude's tokenizer is not public. Three bytes of UTF-8 a token, which rather counts too many."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Tokens of a prompt, and what it costs before the answer, in millionths of a US dollar."""

    prefix_tokens: int
    fresh_tokens: int
    cacheable: bool
    """False where the prefix is shorter than the model caches: cold and warm then cost the same."""
    cold_micro_usd: int
    warm_micro_usd: int
    uncached_micro_usd: int


def estimate(prompt: Prompt, prices: Prices, model: str, *, minimum: int | None) -> Estimate:
    """`minimum` tokens are what the model caches at least, None where that is not known. Raises InvalidSettings without a price."""
    prefix, fresh = _prefix_tokens(prompt.prefix), _fresh_tokens(prompt)
    cacheable = minimum is None or prefix >= minimum
    plain = Usage(input_tokens=prefix + fresh)
    cold, warm = (_written(prefix, fresh, prompt.ttl), Usage(input_tokens=fresh, cache_read_tokens=prefix)) if cacheable else (plain, plain)
    return Estimate(
        prefix_tokens=prefix,
        fresh_tokens=fresh,
        cacheable=cacheable,
        cold_micro_usd=prices.spending(model, cold).cost_micro_usd,
        warm_micro_usd=prices.spending(model, warm).cost_micro_usd,
        uncached_micro_usd=prices.spending(model, plain).cost_micro_usd,
    )


def too_short(prefix: Prefix, model: str, minimum: int | None) -> str | None:
    """What to say of a prefix that the model does not cache, where that is known beforehand."""
    tokens = _prefix_tokens(prefix)
    if minimum is None or tokens >= minimum:
        return None
    return f"the prefix has about {tokens:,} tokens, and {model} caches none under {minimum:,}, {_IN_FULL}"


def not_cached(model: str) -> str:
    """The same where the model itself has shown it."""
    return f"{model} was sent the prefix and cached nothing of it, as it is too short for it, {_IN_FULL}"


def fit_ttl(prompt: Prompt, arrivals: Arrivals, choice: TtlChoice, prices: Prices, model: str) -> Prompt:
    """With the time to live that is wanted, as far as it has a price at this length; raises InvalidSettings without any price."""
    rates = prices.rates(model, prompt_tokens=longest_call(prompt).prompt_tokens)
    return replace(prompt, ttl=arrivals.ttl(choice, rates))


def longest_call(prompt: Prompt) -> Usage:
    """What the prompt uses at most: nothing is read from the cache, and it has a third more tokens than are estimated."""
    prefix, fresh = _prefix_tokens(prompt.prefix), _fresh_tokens(prompt)
    return _written(prefix + -(-prefix // 3), fresh + -(-fresh // 3), prompt.ttl)


def _prefix_tokens(prefix: Prefix) -> int:
    return sum(estimate_tokens(text) + _BLOCK_TOKENS for text in prefix.texts)


def _fresh_tokens(prompt: Prompt) -> int:
    blocks = [text for result in prompt.results for text in (result.hit.source, result.hit.chunk.heading, *result.texts())]
    return sum(estimate_tokens(text) + _BLOCK_TOKENS for text in (*blocks, prompt.question))


def _written(prefix: int, fresh: int, ttl: Ttl) -> Usage:
    if ttl == "1h":
        return Usage(input_tokens=fresh, cache_write_1h_tokens=prefix)
    return Usage(input_tokens=fresh, cache_write_5m_tokens=prefix)

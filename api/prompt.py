"""`understudy prompt`: what the first frontier model would be sent, and what that would cost. Sends nothing."""

from pydantic import BaseModel

from api.auth import local_scope
from api.question import checked_question
from api.stack import open_engine, open_retriever
from core.protocols import Retriever
from core.settings import FrontierModel, read_settings
from core.types import Evidence, Filters, Json, Scope
from generation.capabilities import read_capabilities
from generation.estimate import estimate, fit_ttl, too_short
from generation.exemplars import read_exemplars
from generation.journal import recent_arrivals
from generation.prices import Prices, read_prices
from generation.prompt import Prompt, build_prefix, build_prompt
from generation.ttl import Arrivals, Ttl

_HUNDRED = 100


class PromptReply(BaseModel):
    """Tokens are estimated; costs are of the prompt alone, in millionths of a US dollar."""

    model: str
    effort: str | None
    max_tokens: int
    ttl: Ttl
    breakpoints: list[str]
    """As paths into this object."""
    prefix_fingerprint: str
    prefix_tokens: int
    fresh_tokens: int
    tokens_estimated: bool
    cold_micro_usd: int
    warm_micro_usd: int
    uncached_micro_usd: int
    output_micro_usd_per_100_tokens: int
    warnings: list[str]
    system: list[Json]
    messages: list[Json]


def would_send(question: str, *, top_k: int | None, tenant: str) -> PromptReply:
    settings = read_settings()
    asked = checked_question(question, limit=settings.server.max_question_characters)
    scope = local_scope(tenant)
    chosen, model = settings.frontier, settings.frontier.models[0]
    prices, prefix = read_prices(chosen.prices), build_prefix(read_exemplars(chosen.exemplars))
    prices.require(model.name, chosen.ttl)
    engine = open_engine(settings)
    arrivals = Arrivals(recent_arrivals(engine, model.name))
    evidence = _evidence(open_retriever(settings, engine), asked, scope, top_k or settings.retrieval.top_k)
    prompt = build_prompt(prefix, asked, evidence, ttl="5m")
    return describe(fit_ttl(prompt, arrivals, chosen.ttl, prices, model.name), model, prices)


def describe(prompt: Prompt, model: FrontierModel, prices: Prices) -> PromptReply:
    known = read_capabilities().get(model.name)
    minimum = known.min_cacheable_tokens if known else None
    expected = estimate(prompt, prices, model.name, minimum=minimum)
    system = prompt.system()
    rates = prices.rates(model.name, prompt_tokens=expected.prefix_tokens + expected.fresh_tokens)
    return PromptReply(
        model=model.name, effort=model.effort, max_tokens=model.max_tokens, ttl=prompt.ttl,
        breakpoints=[f"system[{place}]" for place, block in enumerate(system) if "cache_control" in block],
        prefix_fingerprint=prompt.prefix.fingerprint, prefix_tokens=expected.prefix_tokens, fresh_tokens=expected.fresh_tokens,
        tokens_estimated=True, cold_micro_usd=expected.cold_micro_usd, warm_micro_usd=expected.warm_micro_usd,
        uncached_micro_usd=expected.uncached_micro_usd, output_micro_usd_per_100_tokens=round(_HUNDRED * rates.output),
        warnings=_warnings(prompt, model.name, minimum), system=system, messages=prompt.messages(),
    )  # fmt: skip


def _evidence(retriever: Retriever, question: str, scope: Scope, top_k: int) -> Evidence:
    return retriever.retrieve(question, scope, retriever.published(), top_k=top_k, filters=Filters())


def _warnings(prompt: Prompt, model: str, minimum: int | None) -> list[str]:
    found: list[str] = []
    if minimum is None:
        found.append(
            f"the shortest prefix that {model} caches is not known: see the cache hits in `understudy ledger` after some questions"
        )
    elif short := too_short(prompt.prefix, model, minimum):
        found.append(short)
    if not prompt.results:
        found.append("nothing in the documents comes near the question, so no model would be asked")
    return found

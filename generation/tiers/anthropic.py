"""Claude: the cached prompt in, text with checked citations out, every token accounted for.

Every call is streamed, also where nobody watches: what a call has used is then known from its first event on, so that one that is cut or
given up is still charged for in the ledger. Retries are not here: `generation/guard.py` has them for every tier, and the SDK's are off.
"""

import time
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import current_token

from core.errors import InvalidSettings, TierCancelled, TierFailed
from core.types import Attempt, Delta, Draft, Effort, Evidence, Fault, Json, Quoted, Readiness, Spending
from generation.capabilities import Capabilities
from generation.charges import charges_of, require_price
from generation.estimate import fit_ttl, not_cached, too_short
from generation.prices import Prices
from generation.prompt import Prefix, Prompt, build_prompt, prewarm_messages
from generation.reply import Reply
from generation.tiers.credentials import missing
from generation.tiers.faults import fault_of, innermost, is_unconnected, never_left, seconds_of
from generation.tiers.fitness import judge, judge_by_table
from generation.tiers.messages import read_event, usage_of
from generation.ttl import Arrivals, TtlChoice

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic, AsyncStream
    from anthropic.types import RawMessageStreamEvent

_CHECK_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Seconds."""

    connect: float = 5.0
    silence: float = 20.0
    """Between two bytes."""


class AnthropicTier:
    """One model. Its client is made at the first question: the SDK takes seconds to load."""

    def __init__(
        self,
        model: str,
        *,
        effort: Effort | None,
        max_tokens: int,
        prefix: Prefix,
        prices: Prices,
        ttl: TtlChoice,
        arrivals: Arrivals,
        known: Capabilities | None = None,
        on_prewarm: Callable[[Attempt], None] | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Raises InvalidSettings for a model without a price. `on_prewarm`: write the prompt cache at the start, and tell what it cost."""
        prices.require(model, ttl)
        self.name = model
        self._effort: Effort | None = effort
        self._max_tokens = max_tokens
        self._prefix = prefix
        self._prices = prices
        self._choice: TtlChoice = ttl
        self._arrivals = arrivals
        self._on_prewarm = on_prewarm
        self._patience = patience or Patience()
        self._readiness = judge_by_table(known, max_tokens)
        self._uncached = too_short(prefix, model, known.min_cacheable_tokens if known else None)
        self._client: AsyncAnthropic | None = None
        self._loop: object = None

    def readiness(self) -> Readiness:
        lacks, known = missing(), self._readiness
        if lacks:
            return Readiness(ready=False, reason=lacks)
        return replace(known, reason=f"{known.reason}; {self._uncached}") if known.ready and self._uncached else known

    def warm_up(self) -> None:
        """Loads the SDK, asks the Models API what the model can do, and writes the prompt cache where that is wanted."""
        if missing() is None:
            anyio.run(self._prepare)

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        draft: Draft | None = None
        async for part in self.stream(question, evidence, deadline=deadline):
            draft = part if isinstance(part, Draft) else None
        assert draft is not None, "a stream ends with a draft or an error"
        return draft

    async def stream(self, question: str, evidence: Evidence, *, deadline: float) -> AsyncGenerator[Delta | Quoted | Draft, None]:
        prompt = build_prompt(self._prefix, question, evidence, ttl="5m")
        if not prompt.results:
            yield Draft(text=None, citations=(), model=self.name, confidence=None, confidence_source="none")
            return
        reply = Reply(prompt=self._fitted(prompt), model=self.name)
        self._arrivals.note(time.time())
        with self._named(reply):
            async with aclosing(self._events(reply, deadline)) as events:
                async for event in events:
                    read_event(event, reply)
                    for part in reply.news():
                        yield part
        spent = self._spending(reply)
        self._learn(reply)
        draft = reply.draft(spent)
        require_price(reply, self._prices, spent)
        for part in reply.rest():
            yield part
        yield draft

    async def close(self) -> None:
        """Of the loop that it was last used in."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _fitted(self, prompt: Prompt) -> Prompt:
        """Raises TierFailed before anything is spent that has no price."""
        try:
            return fit_ttl(prompt, self._arrivals, self._choice, self._prices, self.name)
        except InvalidSettings as error:
            raise TierFailed(str(error), fault="unpriced", model=self.name) from error

    def _learn(self, reply: Reply) -> None:
        """Whether the model caches a prefix of this length, which no table may know."""
        if reply.usage is not None and reply.told:
            self._uncached = None if reply.usage.cached_tokens else not_cached(self.name)

    def _request(self, prompt: Prompt) -> Json:
        effort: Json = {"output_config": {"effort": self._effort}} if self._effort else {}
        return {
            "model": self.name, "max_tokens": self._max_tokens, "system": prompt.system(), "messages": prompt.messages(),
            "service_tier": "standard_only",  # the price list knows no other
            **effort,
        }  # fmt: skip

    def _connection(self) -> "AsyncAnthropic":
        """Connections belong to an event loop; a server has one, a command one each time."""
        if self._client is None or self._loop != current_token():
            self._client, self._loop = self._new_client(), current_token()
        return self._client

    def _new_client(self) -> "AsyncAnthropic":
        """Raises CredentialsError."""
        import httpx2
        from anthropic import AsyncAnthropic, CredentialsError

        client = AsyncAnthropic(max_retries=0, timeout=httpx2.Timeout(self._patience.silence, connect=self._patience.connect))
        if not (client.api_key or client.auth_token or client.credentials):
            raise CredentialsError("the SDK finds no key in what is set: set ANTHROPIC_API_KEY")
        return client

    async def _events(self, reply: Reply, deadline: float) -> AsyncGenerator["RawMessageStreamEvent", None]:
        """Until the last one; each is waited for no longer than to the deadline. No scope is open while the caller has an event."""
        stream: AsyncStream[RawMessageStreamEvent] | None = None
        request, client = self._request(reply.prompt), self._connection()
        if deadline <= time.monotonic():
            raise TimeoutError
        reply.sent = True
        try:
            with anyio.fail_after(deadline - time.monotonic()):
                stream = await client.messages.create(**request, stream=True)
            events = aiter(stream)
            while True:
                with anyio.fail_after(deadline - time.monotonic()):
                    event = await anext(events, None)
                if event is None:
                    return
                yield event
        finally:
            if stream is not None:
                with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                    await stream.close()

    @contextmanager
    def _named(self, reply: Reply) -> Iterator[None]:
        """Whatever goes wrong gets its name, and what it cost."""
        import anthropic
        import httpx2

        try:
            yield
        except CancelledError as error:
            raise TierCancelled(*error.args, model=self.name, spending=self._spending(reply)) from error
        except TimeoutError as error:
            raise self._failed(reply, "deadline", "it did not answer within the time that the question had") from error
        except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
            raise self._timed_out(reply, error) from error
        except anthropic.APIStatusError as error:
            raise self._refused(reply, error) from error
        except anthropic.CredentialsError as error:
            reply.sent = False
            raise self._failed(reply, "unauthorized", str(error)) from error
        except (anthropic.APIConnectionError, httpx2.TransportError) as error:
            reply.sent = reply.sent and not never_left(error)
            begun: Fault = "unreachable" if reply.usage is None and is_unconnected(error) else reply.cut
            raise self._failed(reply, begun, f"the connection failed ({innermost(error)})") from error
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise self._failed(reply, "malformed", f"it sent what cannot be read ({innermost(error)})") from error

    def _timed_out(self, reply: Reply, error: Exception) -> TierFailed:
        import httpx2

        if isinstance(error.__cause__ or error, httpx2.ConnectTimeout):
            reply.sent = False
            return self._failed(reply, "connect_timeout", f"no connection within {self._patience.connect:g} s")
        return self._failed(reply, "read_timeout", f"it was silent for {self._patience.silence:g} s")

    def _refused(self, reply: Reply, error: "APIStatusError") -> TierFailed:
        """Another status than 200 is not charged."""
        reply.sent = reply.sent and error.status_code == 200
        kind, wait = error.type or "", seconds_of(error.response.headers.get("retry-after"))
        said = f"the API answered {error.status_code} {kind}: {error.api_message or 'no reason given'} (request {error.request_id})"
        told = said if wait is None else f"{said}; it asks to wait {wait:g} s"
        return self._failed(reply, fault_of(error.status_code, kind), told, retry_after=wait)

    def _failed(self, reply: Reply, fault: Fault, message: str, *, retry_after: float | None = None) -> TierFailed:
        return TierFailed(message, fault=fault, retry_after=retry_after, model=self.name, spending=self._spending(reply))

    def _spending(self, reply: Reply) -> Spending:
        return charges_of(reply, self._prices, max_tokens=self._max_tokens)

    async def _prepare(self) -> None:
        import anthropic

        try:
            async with self._new_client() as client:
                self._readiness = await self._checked(client)
                if self._readiness.ready and self._on_prewarm is not None:
                    self._on_prewarm(await self._prewarm(client))
        except anthropic.CredentialsError as error:
            self._readiness = Readiness(ready=False, reason=str(error))

    async def _checked(self, client: "AsyncAnthropic") -> Readiness:
        import anthropic

        try:
            with anyio.fail_after(_CHECK_SECONDS):
                info = await client.models.retrieve(self.name)
            if getattr(info, "capabilities", None) is None:
                return self._readiness  # a gateway's own list, or a page of somebody else's
            return judge(self.name, info, effort=self._effort, max_tokens=self._max_tokens)
        except (anthropic.AuthenticationError, anthropic.PermissionDeniedError, anthropic.PaymentRequiredError) as error:
            return Readiness(ready=False, reason=f"the API refuses the key ({error.status_code} {error.type}): {error.api_message}")
        except anthropic.NotFoundError:
            return await self._not_found(client)
        except (anthropic.APIConnectionError, TimeoutError) as error:
            said = f"{_address(client)} could not be reached at the start ({innermost(error)}); it is asked all the same"
            return Readiness(ready=self._readiness.ready, reason=said if self._readiness.ready else self._readiness.reason)
        except (anthropic.AnthropicError, ValueError, AttributeError):
            return self._readiness

    async def _not_found(self, client: "AsyncAnthropic") -> Readiness:
        """Either the model is unknown, or there is no Models API there."""
        import anthropic

        try:
            with anyio.fail_after(_CHECK_SECONDS):
                known = [model.id for model in (await client.models.list(limit=100)).data]
        except (anthropic.AnthropicError, TimeoutError, ValueError, TypeError, AttributeError):
            return self._readiness
        return Readiness(ready=False, reason=f"unknown model {self.name!r}: the API knows {', '.join(known)}")

    async def _prewarm(self, client: "AsyncAnthropic") -> Attempt:
        """Not streamed: the API refuses that for an answer of no tokens."""
        reply = Reply(prompt=Prompt(prefix=self._prefix, ttl="5m", results=(), question=""), model=self.name)
        began = time.monotonic()
        outcome: Json = {"outcome": "accepted", "reason": "the prompt cache is written"}
        try:
            with self._named(reply):
                reply.prompt, reply.sent = self._fitted(reply.prompt), True
                request = {**self._request(reply.prompt), "max_tokens": 0, "messages": prewarm_messages()}
                message = await client.messages.create(**request)
                reply.usage, reply.stop_reason = usage_of(message.usage, reply.prompt.ttl), message.stop_reason
            self._learn(reply)
            outcome["reason"] = self._uncached or outcome["reason"]
        except TierFailed as error:
            outcome = {"outcome": "failed", "reason": error.reason, "fault": error.fault}
        latency = round((time.monotonic() - began) * 1000, 2)
        spent = charges_of(reply, self._prices, max_tokens=0)
        return Attempt(tier=self.name, confidence=None, latency_ms=latency, model=self.name, spending=spent, **outcome)


def _address(client: "AsyncAnthropic") -> str:
    """Less the user and the password that may stand in it."""
    return str(client.base_url.copy_with(userinfo=b"")) or "ANTHROPIC_BASE_URL, which is empty,"

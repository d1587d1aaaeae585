"""Calls as a client makes them, with the real SDK."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from anthropic.types import Message

from tests.messages_api.server import MessagesApi

T = TypeVar("T")
HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
QUESTION = "When was Fennwheel founded?"
SENTENCES = ("Fennwheel makes docks for rental bikes. ", "It was founded in September 2016. ", "Its office is in Utrecht.")


def search_result(*sentences: str, source: str = "corpus/company/about-fennwheel.md", cite: bool = True) -> dict[str, Any]:
    content = [{"type": "text", "text": sentence} for sentence in sentences or SENTENCES]
    return {"type": "search_result", "source": source, "title": source, "content": content, "citations": {"enabled": cite}}


def turn(*blocks: dict[str, Any], question: str = QUESTION) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": question}]}]


def request(**changes: Any) -> dict[str, Any]:
    return {"model": HAIKU, "max_tokens": 300, "messages": turn(search_result()), **changes}


def system(tokens: int, ttl: str | None = "5m", text: str = "x") -> list[dict[str, Any]]:
    """A system prompt of about so many tokens, with a breakpoint behind it."""
    block: dict[str, Any] = {"type": "text", "text": (text * (tokens * 1000))[: tokens * 1000 // 325]}
    return [{**block, "cache_control": {"type": "ephemeral", "ttl": ttl}} if ttl else block]


def with_client(double: MessagesApi | str, call: Callable[[AsyncAnthropic], Awaitable[T]], **options: Any) -> T:
    url = double if isinstance(double, str) else double.url

    async def run() -> T:
        # Loading certificates that plain HTTP never looks at takes 0.1 s a client.
        http = DefaultAsyncHttpxClient(verify=False)
        async with AsyncAnthropic(
            base_url=url, api_key="sk-test", max_retries=0, http_client=http, **{"timeout": 5.0, **options}
        ) as client:
            return await call(client)

    return anyio.run(run)


def ask(double: MessagesApi, **changes: Any) -> Message:
    async def call(client: AsyncAnthropic) -> Message:
        message: Message = await client.messages.create(**request(**changes))
        return message

    return with_client(double, call)


def streamed(double: MessagesApi, **changes: Any) -> Message:
    async def call(client: AsyncAnthropic) -> Message:
        async with client.messages.stream(**request(**changes)) as stream:
            return await stream.get_final_message()

    return with_client(double, call)

"""The Models API, by which a client asks what a model can do."""

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import ModelInfo

from tests.messages_api.calls import HAIKU, OPUS, SONNET, with_client
from tests.messages_api.server import MessagesApi


def card(double: MessagesApi, name: str) -> ModelInfo:
    async def call(client: AsyncAnthropic) -> ModelInfo:
        return await client.models.retrieve(name)

    return with_client(double, call)


def test_models_come_page_by_page(messages_api: MessagesApi) -> None:
    async def call(client: AsyncAnthropic) -> list[str]:
        return [model.id async for model in client.models.list(limit=2)]

    names = with_client(messages_api, call)
    assert {HAIKU, SONNET, OPUS} < set(names)
    assert len(names) == len(set(names)) == len(messages_api.models)


def test_card_has_limits_and_capabilities(messages_api: MessagesApi) -> None:
    model = card(messages_api, HAIKU)
    assert (model.lifecycle, model.line, model.max_input_tokens, model.max_tokens) == ("active", "haiku", 1_000_000, 128_000)
    assert model.capabilities and model.capabilities.citations.supported and model.capabilities.structured_outputs.supported
    assert (model.capabilities.thinking.types.disabled.supported, model.capabilities.thinking.types.enabled.supported) == (True, False)


def test_alias_gives_the_dated_name(messages_api: MessagesApi) -> None:
    assert card(messages_api, "claude-haiku-4-5").id == "claude-haiku-4-5-20251001"


def test_deprecated_model_says_when_it_goes(messages_api: MessagesApi) -> None:
    model = card(messages_api, "claude-sonnet-4-5")
    assert (model.lifecycle, model.retires_at and model.retires_at.isoformat()) == ("deprecated", "2026-11-30T00:00:00+00:00")


def test_models_api_can_be_away(messages_api: MessagesApi) -> None:
    messages_api.models_api = False
    with pytest.raises(anthropic.NotFoundError):
        card(messages_api, HAIKU)


def test_unknown_model_is_not_found(messages_api: MessagesApi) -> None:
    with pytest.raises(anthropic.NotFoundError):
        card(messages_api, "claude-nova-9")

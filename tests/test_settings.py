"""What the environment may say, and how a mistake in it is named."""

import pytest
from pydantic import ValidationError

from core.errors import InvalidSettings
from core.settings import read_settings


def test_setting_when_nested_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_RETRIEVAL__TOP_K", "7")
    assert read_settings().retrieval.top_k == 7


def test_setting_when_empty_keeps_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_QDRANT__URL", "")
    monkeypatch.setenv("UNDERSTUDY_SERVER__PORT", "")
    settings = read_settings()
    assert (settings.qdrant.url, settings.server.port) == (None, 8377)


@pytest.mark.parametrize("name", ["UNDERSTUDY_MOED", "UNDERSTUDY_RETRIEVAL__TOPK", "UNDERSTUDY_RETRIEVAL_TOP_K", "UNDERSTUDY_SERVER"])
def test_setting_when_unknown_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "5")
    with pytest.raises(InvalidSettings, match=rf"{name}\b.*\.env\.example"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNDERSTUDY_MODE", "turbo"),
        ("UNDERSTUDY_SERVER__PORT", "99999"),
        ("UNDERSTUDY_SERVER__PORT", "http"),
        ("UNDERSTUDY_RETRIEVAL__DENSE_WEIGHT", "1.5"),
        ("UNDERSTUDY_EMBEDDER__RUNTIME", "abacus"),
    ],
)
def test_setting_when_its_value_does_not_fit_names_variable_and_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=rf"^{name}: .*'{value}'.*\.env\.example"):
        read_settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        read_settings().mode = "hybrid"  # type: ignore[misc]

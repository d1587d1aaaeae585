"""What a key must be before anything is sent with it; a key is never told."""

import pytest

from generation.tiers.credentials import KEYS, missing


def test_no_key_says_what_to_set() -> None:
    assert missing() == "no key: set ANTHROPIC_API_KEY"


@pytest.mark.parametrize("name", [*KEYS, "ANTHROPIC_PROFILE", "ANTHROPIC_IDENTITY_TOKEN_FILE"])
def test_each_place_of_a_key_will_do(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sk-test")
    assert missing() is None


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("key", ["sk-secret\r", "sk-secret\n", "sk- secret", "\ufeffsk-secret", "sk-secret\t"])
def test_key_that_fits_no_header_is_said_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, key: str) -> None:
    monkeypatch.setenv(name, key)
    told = missing() or ""
    assert (told.startswith(f"{name} holds a space or a line break"), "secret" in told) == (True, False)

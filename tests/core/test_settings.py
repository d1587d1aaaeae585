"""What a section of the settings takes."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.settings import FrontierModel, FrontierSettings, IngestSettings


def test_published_version_is_always_kept() -> None:
    assert IngestSettings(keep_versions=1).keep_versions == 1
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        IngestSettings(keep_versions=0)


def models(text: Any) -> tuple[FrontierModel, ...]:
    return FrontierSettings(models=text).models


def test_models_are_read_in_order_with_effort_and_limit() -> None:
    assert models("claude-haiku-5-5:low:900, claude-sonnet-5-5, claude-opus-5-5::50") == (
        FrontierModel(name="claude-haiku-5-5", effort="low", max_tokens=900),
        FrontierModel(name="claude-sonnet-5-5"),
        FrontierModel(name="claude-opus-5-5", max_tokens=50),
    )


def test_models_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValidationError, match="twice"):
        models("claude-haiku-5-5:low,claude-opus-5-5,claude-haiku-5-5:high")
    with pytest.raises(ValidationError, match="'reader' is the small model"):
        models("claude-haiku-5-5,reader")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "name: Field|name: String"),
        ("a,,b", "name: "),
        ("a:hard", "effort: .*'low'.*'max'"),
        ("a:low:many", "max_tokens: .*integer"),
        ("a:low:0", "max_tokens: .*greater"),
        ("a:low:9:x", "too_much: Extra"),
        ('["a"]', "name: "),
    ],
)
def test_models_that_do_not_fit_say_how_to_write_them(text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=f"write NAME:EFFORT:MAX_TOKENS.*({told})"):
        models(text)

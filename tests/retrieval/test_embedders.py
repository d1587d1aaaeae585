"""The embedder of a version: the configured one, or the one that built it, opened once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import CorruptModel, EmbedderMismatch
from core.protocols import Embedder
from core.types import EmbedderName, Snapshot
from retrieval.embedders import Embedders
from tests.doubles import WordEmbedder

OLD = Snapshot(version=1, embedder="old", embedder_name=EmbedderName(model="m", runtime="r"))


class Opening:
    def __init__(self, gives: Embedder | Exception) -> None:
        self.gives = gives
        self.asked: list[EmbedderName] = []

    def __call__(self, name: EmbedderName) -> Embedder:
        self.asked.append(name)
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def test_version_of_the_configured_embedder_opens_nothing() -> None:
    opening = Opening(WordEmbedder("old"))
    configured = WordEmbedder("new")
    assert Embedders(configured, opening).of(Snapshot(version=2, embedder="new")) is configured
    assert opening.asked == []


def test_former_embedder_is_opened_once_by_what_was_kept_of_it() -> None:
    opening = Opening(WordEmbedder("old"))
    embedders = Embedders(WordEmbedder("new"), opening)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(embedders.of, [OLD] * 16))
    assert found == {opening.gives}
    assert opening.asked == [EmbedderName(model="m", runtime="r")]


def test_former_embedder_that_is_gone_is_refused_with_its_name_and_the_command() -> None:
    opening = Opening(CorruptModel("no model in 'm'"))
    embedders = Embedders(WordEmbedder("new"), opening)
    for _ in range(3):
        with pytest.raises(EmbedderMismatch, match=r"version 1 was built by the embedder 'm' \(r\).*no model in 'm'.*understudy rebuild"):
            embedders.of(OLD)
    assert len(opening.asked) == 1  # trying takes seconds


def test_model_that_is_another_by_now_is_refused() -> None:
    with pytest.raises(EmbedderMismatch, match="has changed since"):
        Embedders(WordEmbedder("new"), Opening(WordEmbedder("other"))).of(OLD)


def test_version_of_before_names_were_kept_is_refused() -> None:
    with pytest.raises(EmbedderMismatch, match="understudy rebuild"):
        Embedders(WordEmbedder("new"), Opening(WordEmbedder("old"))).of(Snapshot(version=1, embedder="old"))

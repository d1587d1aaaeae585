"""A kept version is read as it was: hits, texts and offsets, whatever was published since. On every kind of index."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from core.errors import Conflict, EmbedderMismatch, VersionNotKept
from core.schema import documents, index_versions
from core.types import Answer, Filters, Hit, Snapshot
from core.versions import alive
from generation.answer import Answerer
from ingest.documents import delete_document, put_document
from ingest.forget import forget
from ingest.rebuild import rebuild
from retrieval.search import HybridRetriever
from tests.doubles import FirstWordTier, WordEmbedder
from tests.ingest.conftest import House

ALL = Filters()
LEAVE = "# Leave\n\nEverybody has {days} days of leave in a year.\n"


def retriever_of(house: House) -> HybridRetriever:
    return HybridRetriever(house.engine, house.index, WordEmbedder(house.embedder.fingerprint), dense_weight=0.5, candidates=100)


def best(house: House, as_of: int | None = None) -> Hit:
    retriever = retriever_of(house)
    return retriever.retrieve("days of leave in a year", house.scope, retriever.published(as_of), top_k=1, filters=ALL)[0]


def publish_days(house: House, *numbers: int) -> None:
    for days in numbers:
        house.write("leave.md", ("A preface. " * days) + LEAVE.format(days=days))
        house.sync()


def test_kept_version_has_its_own_hits_texts_and_offsets(indexed: House) -> None:
    publish_days(indexed, 25, 26, 27)
    for version, days in ((1, 25), (2, 26), (3, 27), (None, 27)):
        hit = best(indexed, version)
        assert f"has {days} days" in hit.chunk.text
        with indexed.engine.connect() as connection:
            text = connection.execute(select(documents.c.text).where(alive(documents, version or 3))).scalar_one()
        assert text[hit.chunk.start : hit.chunk.end] == hit.chunk.text


def test_document_that_is_gone_is_found_in_the_version_that_had_it(indexed: House) -> None:
    indexed.write("a.md", "Other words stand here.")
    publish_days(indexed, 25)
    (indexed.docs / "leave.md").unlink()
    indexed.sync()
    assert best(indexed, 1).source == "docs/leave.md"
    assert best(indexed).source == "docs/a.md"


def test_version_that_is_not_kept_is_refused_with_those_that_are(indexed: House) -> None:
    indexed.limits = replace(indexed.limits, keep_versions=2, longest_request_seconds=0)
    publish_days(indexed, 25, 26, 27)
    for version in (1, 4, 999):
        with pytest.raises(VersionNotKept, match=rf"version {version} is not kept.*: 3, 2 \("):
            best(indexed, version)


def test_version_of_another_embedder_is_refused_and_says_what_can_be_done(house: House) -> None:
    publish_days(house, 25)
    house.embedder = type(house.embedder)("words-2")
    rebuild(house.target)
    with pytest.raises(EmbedderMismatch, match=r"version 1 was built by another embedder.*rollback"):
        best(house, 1)


def test_another_tenant_sees_nothing_of_a_kept_version(indexed: House) -> None:
    publish_days(indexed, 25, 26)
    retriever = retriever_of(indexed)
    other = indexed.tenant("other").scope
    assert retriever.retrieve("days of leave", other, retriever.published(1), top_k=9, filters=ALL) == ()


class Publishing(HybridRetriever):
    """Somebody publishes, and collects garbage, between the moment when a request chose its version and its search."""

    def __init__(self, house: House, meanwhile: Callable[[], None]) -> None:
        super().__init__(house.engine, house.index, WordEmbedder(), dense_weight=0.5, candidates=100)
        self._meanwhile = meanwhile

    def published(self, as_of: int | None = None) -> Snapshot:
        snapshot = super().published(as_of)
        self._meanwhile()
        return snapshot


def answered(house: House, meanwhile: Callable[[], None]) -> Answer:
    answerer = Answerer(retriever=Publishing(house, meanwhile), tiers={"reader": FirstWordTier()}, hybrid_threshold=0.5)
    deadline = time.monotonic() + 30
    return asyncio.run(answerer.answer("days of leave in a year", house.scope, mode="tuned", top_k=3, filters=ALL, deadline=deadline))


def test_long_request_keeps_its_version_through_two_publications_and_their_garbage(indexed: House) -> None:
    indexed.limits = replace(indexed.limits, keep_versions=1)
    indexed.write("other.md", "A year has twelve months.")
    publish_days(indexed, 25)
    before = {source: document.text for source, document in indexed.documents().items()}

    def meanwhile() -> None:
        publish_days(indexed, 26, 27)
        (indexed.docs / "other.md").unlink()
        indexed.sync()

    answer = answered(indexed, meanwhile)
    assert (answer.index_version, indexed.version) == (1, 4)
    assert {citation.source for citation in answer.citations} == {"docs/leave.md"}
    assert "has 25 days" in answer.citations[0].quote
    for citation in answer.citations:
        assert before[citation.source][citation.start : citation.end] == citation.quote


def test_request_that_outlives_its_version_says_so_instead_of_mixing(indexed: House) -> None:
    indexed.limits = replace(indexed.limits, keep_versions=1, longest_request_seconds=0)
    publish_days(indexed, 25)
    with pytest.raises(Conflict, match="ask again"):
        answered(indexed, lambda: publish_days(indexed, 26, 27))


def test_every_publication_tells_its_cause(house: House) -> None:
    house.write("a.md", "Words.")
    house.sync()
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    delete_document(house.target, "faq")
    rebuild(house.target)
    assert causes_of(house) == ["sync", "put", "delete", "rebuild"]
    forget(house.target, "docs")
    assert causes_of(house) == ["forget"]  # the others held what was forgotten


def causes_of(house: House) -> list[str]:
    with house.engine.connect() as connection:
        return list(connection.execute(select(index_versions.c.cause).order_by(index_versions.c.version)).scalars())

"""The crash suite can fail: what is planted is found, by the audit and by a reader."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from core.database import open_database, sqlite_url
from core.errors import CorruptIndex
from core.schema import chunks, documents, embeddings
from ingest import documents as single
from ingest import survey
from ingest.target import Target
from retrieval.search import HybridRetriever
from tests.crash.audit import Findings, audit
from tests.crash.place import OTHER, SCOPE, ParseHere, Place, sync
from tests.crash.reader import EVERYTHING, QUESTIONS, Mixed, read_whole
from tests.crash.trees import write_tree


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for module in (survey, single):
        monkeypatch.setattr(module, "Sandbox", ParseHere)
    open_database(sqlite_url(tmp_path)).dispose()
    place = Place(root=tmp_path / "place", seed=3)
    write_tree(place.others, 4, 0)
    for generation, scope in enumerate((OTHER, SCOPE, SCOPE)):
        write_tree(place.docs, 3, generation)
        target = place.open(scope)
        sync(place, target)
        target.engine.dispose()
    return place


@pytest.fixture
def target(place: Place) -> Iterator[Target]:
    target = place.open()
    yield target
    target.engine.dispose()


def found(place: Place, target: Target) -> Findings:
    return audit(place, target, {})


def ask(target: Target) -> None:
    retriever = HybridRetriever(target.engine, target.index, target.embedder, dense_weight=0.5, candidates=100)
    try:
        read_whole(target, retriever, retriever.published(), QUESTIONS[0], top_k=EVERYTHING)
    finally:
        retriever.close()


def test_sound_state_has_no_findings(place: Place, target: Target) -> None:
    assert found(place, target) == Findings()
    ask(target)


def test_leftover_folders_are_orphans(place: Place, target: Target) -> None:
    shutil.copytree(place.data / "index" / "3", place.data / "index" / "9")
    (place.data / "index" / ".scrap-7").mkdir()
    (place.data / "half").write_text("x")
    assert len(found(place, target).orphans) == 3


def test_lost_document_is_lost_and_its_chunks_are_noticed_by_a_reader(place: Place, target: Target) -> None:
    with target.engine.begin() as connection:
        one = connection.execute(
            select(documents.c.document_id).where(documents.c.to_version.is_(None), documents.c.tenant == SCOPE.tenant).limit(1)
        ).scalar_one()
        connection.execute(delete(documents).where(documents.c.document_id == one))
    assert found(place, target).lost
    with pytest.raises((Mixed, CorruptIndex)):
        ask(target)


def test_index_without_a_chunk_is_noticed(place: Place, target: Target) -> None:
    with target.engine.connect() as connection:
        one = connection.execute(
            select(chunks.c.chunk_id).where(chunks.c.to_version.is_(None), chunks.c.tenant == SCOPE.tenant).limit(1)
        ).scalar_one()
    target.index.build(SCOPE, 4, base=3, embedder="words-1", dimensions=64, added=[], removed=[one])
    shutil.rmtree(place.data / "index" / "3")
    (place.data / "index" / "4").rename(place.data / "index" / "3")
    assert [finding for finding in found(place, target).lost if finding.startswith("index") and one in finding]
    with pytest.raises(Mixed, match="chunks found"):
        ask(target)


def test_document_of_another_generation_is_a_mixed_read(place: Place, target: Target) -> None:
    with target.engine.begin() as connection:
        one = connection.execute(
            select(documents.c.document_id).where(documents.c.to_version.is_(None), documents.c.tenant == SCOPE.tenant).limit(1)
        ).scalar_one()
        text = func.replace(documents.c.text, "generation 2 of", "generation 1 of")
        connection.execute(update(documents).where(documents.c.document_id == one).values(text=text))
    with pytest.raises(Mixed, match="generations"):
        ask(target)


def test_moved_offset_is_a_mixed_read(place: Place, target: Target) -> None:
    with target.engine.begin() as connection:
        connection.execute(update(chunks).values(start=chunks.c.start + 1))
    with pytest.raises(Mixed, match="not in its place"):
        ask(target)


def test_vector_that_nobody_uses_and_row_that_is_there_twice_are_found(place: Place, target: Target) -> None:
    with target.engine.begin() as connection:
        row = connection.execute(select(embeddings).limit(1)).one()._asdict()
        connection.execute(embeddings.insert().values({**row, "embedded_hash": "0" * 64, "unused_since": None}))
        document = connection.execute(select(documents).where(documents.c.to_version.is_(None)).limit(1)).one()._asdict()
        connection.execute(documents.insert().values({**document, "from_version": 0}))
    findings = found(place, target)
    assert [finding for finding in findings.orphans if "0" * 64 in finding] and findings.duplicates

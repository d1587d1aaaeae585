"""The index is made again from SQL: by command, or by the next sync where it is gone; another embedder or chunker goes the same way."""

import shutil
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from core.errors import Conflict, CorruptIndex, EmbedderMismatch, NothingPublished
from core.schema import documents, index_versions
from core.types import EmbedderName, Filters
from ingest.documents import delete_document, put_document
from ingest.rebuild import rebuild
from ingest.verify import verify
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from retrieval.search import HybridRetriever
from tests.doubles import MemoryIndex, WordEmbedder
from tests.ingest.conftest import CountingEmbedder, House

RULES = "# Rules\n\n" + "\n\n".join(
    f"Rule {number} says that everybody keeps the number {number} in mind at all times." for number in range(12)
)


@pytest.fixture
def filled(indexed: House) -> House:
    indexed.write("rules.md", RULES)
    indexed.sync()
    put_document(indexed.target, "faq", RULES.replace("Rule", "Answer").encode(), "text/markdown")
    indexed.embedder.texts.clear()
    return indexed


def lose(house: House) -> None:
    match house.index:
        case MemoryIndex():
            house.index.versions.clear()
        case ServerIndex():
            house.index.collect(())
        case _:
            shutil.rmtree(house.data_dir / "index")


def is_well(house: House) -> bool:
    return verify(house.target, everything=True).well


def test_rebuild_reads_no_source_and_asks_no_model(filled: House) -> None:
    before = filled.chunk_ids()
    shutil.rmtree(filled.docs)
    report = rebuild(filled.target)
    assert (report.version, report.unchanged, report.chunks_embedded, report.chunks_reused) == (3, 2, 0, len(before))
    assert (filled.chunk_ids(), filled.embedder.texts) == (before, [])
    assert is_well(filled)


def test_rebuild_before_anything_is_published_is_refused(house: House) -> None:
    with pytest.raises(NothingPublished):
        rebuild(house.target)


def test_lost_index_is_brought_back_by_rebuild_with_its_kept_versions(filled: House) -> None:
    before = filled.chunk_ids()
    lose(filled)
    with pytest.raises(CorruptIndex, match="understudy rebuild"):
        filled.index.open(2, embedder=filled.embedder.fingerprint)
    report = rebuild(filled.target)
    assert (report.chunks_embedded, report.chunks_reused, filled.chunk_ids()) == (0, len(before), before)
    assert is_well(filled)
    kept = [each.version for each in verify(filled.target, everything=True).versions]
    assert kept == ([3, 2, 1] if filled.index.stands_apart else [3])  # a server's versions share their points


@pytest.mark.parametrize("edited", [False, True])
def test_lost_index_is_brought_back_by_the_next_sync_unasked(filled: House, edited: bool) -> None:
    lose(filled)
    if edited:
        filled.write("more.md", "One more.")
    report = filled.sync()
    assert (report.version, report.added) == (3 if not edited else report.version, int(edited))
    assert report.notes == ("the index was damaged or gone, and was built again from the database",)
    assert filled.embedder.texts == (["One more."] if edited else [])
    assert is_well(filled)
    assert (filled.sync().notes, filled.sync().version) == ((), report.version)


def test_lost_index_is_brought_back_by_a_single_document_too(filled: House) -> None:
    lose(filled)
    assert delete_document(filled.target, "faq").removed == 1
    assert is_well(filled)


def test_lost_index_that_is_shared_needs_everyone(filled: House) -> None:
    rival = filled.tenant("rival")
    rival.engine, rival.index = filled.engine, filled.index
    rival.write("a.md", "Theirs.")
    rival.sync()
    lose(filled)
    with pytest.raises(Conflict, match="1 other tenants"):
        rebuild(filled.target)
    rebuild(replace(filled.target, everyone=[rival.scope]))
    assert is_well(filled) and is_well(rival)


def test_rebuild_keeps_other_tenants(house: House) -> None:
    house.write("a.md", "Words of the first.")
    house.sync()
    other = house.tenant("other")
    other.write("b.md", "Words of the second.")
    other.sync()
    first, second = house.chunk_ids(), other.chunk_ids()
    with pytest.raises(Conflict, match="1 other tenants"):
        rebuild(house.target)
    rebuild(replace(house.target, everyone=[house.scope, other.scope]))
    assert (house.chunk_ids(), other.chunk_ids()) == (first, second)
    assert set(house.documents()) == {"docs/a.md"} and set(other.documents()) == {"docs/b.md"}


def retriever(house: House, embedder: WordEmbedder, *known: WordEmbedder) -> HybridRetriever:
    by_name = {EmbedderName(model=each.fingerprint, runtime="words"): each for each in known}
    return HybridRetriever(house.engine, house.index, embedder, dense_weight=0.5, candidates=10, open_named=by_name.__getitem__)


def named(house: House, fingerprint: str) -> House:
    """The house with another embedder in its settings."""
    return replace(house, embedder=CountingEmbedder(fingerprint), named=EmbedderName(model=fingerprint, runtime="words"))


def test_old_embedder_answers_until_the_new_version_is_published(indexed: House) -> None:
    old = named(indexed, "words-1")
    old.write("rules.md", RULES)
    old.sync()
    new = named(old, "words-2")
    before = retriever(new, new.embedder, old.embedder)  # a server that was started with the new setting
    running = retriever(old, old.embedder, new.embedder)  # one that still has the old one
    with pytest.raises(
        EmbedderMismatch, match=r"built by 'words-1' \(words\), and goes on answering: `understudy rebuild` embeds \d+ texts"
    ):
        new.sync()
    with pytest.raises(EmbedderMismatch, match="understudy rebuild"):
        put_document(new.target, "faq", b"Words.", "text/plain")
    for server in (before, running):
        snapshot = server.published()
        assert (snapshot.version, snapshot.embedder) == (1, "words-1")
        assert server.retrieve("rule 3", old.scope, snapshot, top_k=1, filters=Filters())
    assert rebuild(new.target).chunks_embedded == len(new.chunk_ids()) > 0
    for server in (before, running):
        snapshot = server.published()
        assert (snapshot.version, snapshot.embedder) == (2, "words-2")
        assert server.retrieve("rule 3", old.scope, snapshot, top_k=1, filters=Filters())
        former = server.published(1)
        assert server.retrieve("rule 3", old.scope, former, top_k=1, filters=Filters())
    assert new.sync().version == 2
    with indexed.engine.connect() as connection:
        names = connection.execute(select(index_versions.c.embedder_model).order_by(index_versions.c.version)).scalars().all()
    assert names == ["words-1", "words-2"]


def test_embedder_that_breaks_on_the_way_leaves_the_old_version(indexed: House) -> None:
    old = named(indexed, "words-1")
    old.write("rules.md", RULES)
    old.sync()
    new = named(old, "words-2")
    new.embedder.fails_after = 0
    with pytest.raises(RuntimeError):
        rebuild(new.target)
    assert (old.version, old.sync().unchanged) == (1, 1)
    assert is_well(old)


def test_document_is_taken_out_whichever_embedder_the_settings_name(filled: House) -> None:
    filled.embedder = CountingEmbedder("words-2")
    assert delete_document(filled.target, "faq").removed == 1
    assert filled.embedder.texts == []
    filled.embedder = CountingEmbedder("words-1")
    assert is_well(filled)


def cut_of(house: House, source: str) -> int:
    return len(house.chunk_ids_of(source))


def test_changed_chunker_cuts_everything_again_by_rebuild_and_documents_of_the_api_too(filled: House) -> None:
    many = {source: cut_of(filled, source) for source in ("docs/rules.md", "api/faq")}
    filled.limits = replace(filled.limits, min_chunk_tokens=8, max_chunk_tokens=120)
    report = rebuild(filled.target)
    assert report.changed == 2
    assert all(cut_of(filled, source) < count for source, count in many.items())
    assert is_well(filled)
    fresh = filled.tenant("fresh")
    fresh.engine, fresh.index = filled.engine, filled.index
    fresh.write("rules.md", RULES)
    fresh.sync()
    assert cut_of(fresh, "docs/rules.md") == cut_of(filled, "docs/rules.md")
    assert rebuild(replace(filled.target, everyone=[fresh.scope])).changed == 0


def test_changed_chunker_cuts_everything_again_by_sync(filled: House) -> None:
    filled.limits = replace(filled.limits, min_chunk_tokens=8, max_chunk_tokens=120)
    assert filled.sync().changed == 2
    assert cut_of(filled, "docs/rules.md") == cut_of(filled, "api/faq")
    again = filled.sync()
    assert (again.version, again.changed) == (filled.version, 0)


def test_document_whose_outline_is_not_known_keeps_its_cuts(filled: House) -> None:
    """As it was put in before outlines were kept."""
    with filled.engine.begin() as connection:
        connection.execute(update(documents).values(outline=None, cut_by=None))
    before = cut_of(filled, "api/faq")
    filled.limits = replace(filled.limits, min_chunk_tokens=8, max_chunk_tokens=120)
    assert filled.sync().changed == 1
    assert cut_of(filled, "api/faq") == before


def test_edge_index_that_is_removed_is_read_to_the_end_by_whoever_has_it_open(house: House) -> None:
    house.index = EdgeIndex(house.data_dir / "index")
    house.write("rules.md", RULES)
    house.sync()
    reading, late = retriever(house, house.embedder), retriever(house, house.embedder)
    snapshot = reading.published()
    assert reading.retrieve("rule 3", house.scope, snapshot, top_k=1, filters=Filters())
    lose(house)
    assert reading.retrieve("rule 3", house.scope, snapshot, top_k=1, filters=Filters())
    with pytest.raises(CorruptIndex, match="understudy rebuild"):
        late.retrieve("rule 3", house.scope, snapshot, top_k=1, filters=Filters())
    house.sync()
    for each in (reading, late):
        assert each.retrieve("rule 3", house.scope, each.published(), top_k=1, filters=Filters())

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from qdrant_client import QdrantClient
from sqlalchemy import Engine

from core.database import open_database, sqlite_url, write_state
from core.errors import Conflict, CorruptIndex, EmbedderMismatch, NothingPublished
from core.protocols import Embedder
from core.schema import chunks, documents, index_versions
from core.types import Filters, Scope, Snapshot
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from retrieval.search import HybridRetriever
from tests.doubles import MemoryIndex, WordEmbedder
from tests.meanwhile import taken_between_reads
from tests.retrieval.corpus import ACME, RIVAL, TEXTS, make_chunk, publish

ALL = Filters()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(sqlite_url(tmp_path))
    yield engine
    engine.dispose()


def make_retriever(engine: Engine, index: MemoryIndex, *, fingerprint: str = "words-1") -> HybridRetriever:
    return HybridRetriever(engine, index, WordEmbedder(fingerprint), dense_weight=0.5, candidates=100)


@pytest.fixture
def retriever(engine: Engine) -> HybridRetriever:
    index = MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    publish(engine, index, WordEmbedder(), RIVAL, 2, {"people/leave.md": "Leave is forbidden here."}, base=1)
    return make_retriever(engine, index)


def test_published_is_the_version_that_the_database_names(retriever: HybridRetriever) -> None:
    assert retriever.published() == Snapshot(version=2, embedder="words-1")


def test_newest_version_is_read_with_its_record_while_forget_takes_both_away(engine: Engine, retriever: HybridRetriever) -> None:
    with taken_between_reads(engine, 2):
        assert retriever.published() == Snapshot(version=2, embedder="words-1")
    with pytest.raises(CorruptIndex, match="has no record"):
        retriever.published()


def test_nothing_published_is_said_with_the_command(engine: Engine) -> None:
    with pytest.raises(NothingPublished, match="understudy ingest"):
        make_retriever(engine, MemoryIndex()).published()


def test_published_version_without_its_record_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        write_state(connection, "published_version", "7")
    with pytest.raises(CorruptIndex):
        make_retriever(engine, MemoryIndex()).published()


def test_best_hit_has_text_place_and_scores(retriever: HybridRetriever) -> None:
    hit = retriever.retrieve("How many days of leave in a year?", ACME, retriever.published(), top_k=2, filters=ALL)[0]
    assert (hit.source, hit.title) == ("people/leave.md", "PEOPLE/LEAVE.MD")
    assert hit.chunk.text == TEXTS["people/leave.md"]
    assert hit.chunk.end - hit.chunk.start == len(hit.chunk.text)
    assert hit.score == pytest.approx(1.0)
    assert hit.dense_score is not None and hit.sparse_score is not None


def test_hits_are_best_first_and_at_most_top_k(retriever: HybridRetriever) -> None:
    for top_k in (1, 3, 50):
        evidence = retriever.retrieve("laptop travel desk", ACME, retriever.published(), top_k=top_k, filters=ALL)
        assert len(evidence) == min(top_k, len(TEXTS))
        assert [hit.score for hit in evidence] == sorted((hit.score for hit in evidence), reverse=True)


def test_tenant_sees_its_own_hits_alone(retriever: HybridRetriever) -> None:
    snapshot = retriever.published()
    assert [hit.chunk.text for hit in retriever.retrieve("leave", RIVAL, snapshot, top_k=9, filters=ALL)] == ["Leave is forbidden here."]
    assert "Leave is forbidden here." not in {hit.chunk.text for hit in retriever.retrieve("leave", ACME, snapshot, top_k=9, filters=ALL)}
    assert retriever.retrieve("leave", Scope(tenant="nobody"), snapshot, top_k=9, filters=ALL) == ()


def test_filters_reach_the_index(retriever: HybridRetriever) -> None:
    evidence = retriever.retrieve("leave", ACME, retriever.published(), top_k=9, filters=Filters(source=("it/",)))
    assert {hit.source for hit in evidence} == {"it/laptops.md", "it/passwords.md"}


def test_snapshot_keeps_its_texts_when_a_newer_version_is_published(engine: Engine) -> None:
    index = MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    retriever = make_retriever(engine, index)
    before = retriever.published()
    publish(engine, index, WordEmbedder(), ACME, 2, TEXTS | {"people/leave.md": "Everyone has 30 days of leave."}, base=1)
    old, new = (retriever.retrieve("days of leave", ACME, snapshot, top_k=1, filters=ALL) for snapshot in (before, retriever.published()))
    assert old[0].chunk.text == TEXTS["people/leave.md"]
    assert new[0].chunk.text == "Everyone has 30 days of leave."


def test_index_of_another_embedder_is_refused_with_the_command(engine: Engine) -> None:
    index = MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    retriever = make_retriever(engine, index, fingerprint="words-2")
    with pytest.raises(EmbedderMismatch, match="understudy rebuild"):
        retriever.retrieve("leave", ACME, retriever.published(), top_k=1, filters=ALL)


def test_many_versions_can_be_read_in_turn(engine: Engine) -> None:
    """More than are kept open, back and forth."""
    index = MemoryIndex()
    for version in range(1, 7):
        publish(engine, index, WordEmbedder(), ACME, version, {"a.md": f"text of version {version}"}, base=version - 1 or None)
    retriever = make_retriever(engine, index)
    for version in (1, 2, 3, 4, 5, 6, 1, 6, 2):
        evidence = retriever.retrieve("text", ACME, Snapshot(version=version, embedder="words-1"), top_k=1, filters=ALL)
        assert [hit.chunk.text for hit in evidence] == [f"text of version {version}"]


@pytest.fixture(scope="module")
def real(minilm: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HybridRetriever]:
    folder = tmp_path_factory.mktemp("real")
    engine, index = open_database(sqlite_url(folder)), EdgeIndex(folder / "index")
    publish(engine, index, minilm, ACME, 1, TEXTS, base=None)
    yield HybridRetriever(engine, index, minilm, dense_weight=0.5, candidates=100)
    engine.dispose()


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("How much holiday do I get?", "people/leave.md"),
        ("I cannot find my computer any more", "it/laptops.md"),
        ("railway tickets", "people/travel.md"),
    ],
)
def test_meaning_is_found_without_a_shared_word(real: HybridRetriever, question: str, source: str) -> None:
    assert real.retrieve(question, ACME, real.published(), top_k=1, filters=ALL)[0].source == source


ODD_QUESTIONS = ["", " ", "the", "\x00\x1b[31m\u202e", "🎉" * 50, "有給休暇は何日", "कितनी छुट्टी", "word " * 20_000, "x" * 100_000]


@pytest.mark.parametrize("question", ODD_QUESTIONS)
def test_any_question_is_answered_with_evidence(real: HybridRetriever, question: str) -> None:
    assert len(real.retrieve(question, ACME, real.published(), top_k=4, filters=ALL)) == 4


def test_requests_of_several_threads_do_not_mix(real: HybridRetriever) -> None:
    asked = {text.split(".")[0]: source for source, text in TEXTS.items()}
    with ThreadPoolExecutor(8) as threads:
        snapshot = real.published()
        found = threads.map(lambda text: real.retrieve(text, ACME, snapshot, top_k=1, filters=ALL)[0].source, list(asked) * 10)
        assert list(found) == list(asked.values()) * 10


def test_version_that_was_collected_meanwhile_asks_to_ask_again(engine: Engine) -> None:
    index = MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    retriever = make_retriever(engine, index)
    snapshot = retriever.published()
    retriever.retrieve("leave", ACME, snapshot, top_k=1, filters=ALL)
    publish(engine, index, WordEmbedder(), ACME, 2, {"people/leave.md": "Everyone has 30 days of leave."}, base=1)
    with engine.begin() as connection:
        connection.execute(index_versions.delete().where(index_versions.c.version == 1))
        for table in (chunks, documents):
            connection.execute(table.delete().where(table.c.to_version <= 2))
    with pytest.raises(Conflict, match="ask again"):
        retriever.retrieve("leave", ACME, snapshot, top_k=4, filters=ALL)
    index.collect([2])
    with pytest.raises(Conflict, match="ask again"):
        make_retriever(engine, index).retrieve("leave", ACME, snapshot, top_k=4, filters=ALL)
    assert len(retriever.retrieve("leave", ACME, retriever.published(), top_k=4, filters=ALL)) == 1


def test_version_whose_points_were_collected_meanwhile_gives_no_part_of_an_answer(engine: Engine) -> None:
    """On a server the versions share their points: those that are left are not all that there was."""
    index, embedder = ServerIndex(QdrantClient(":memory:"), "test"), WordEmbedder()
    publish(engine, index, embedder, ACME, 1, TEXTS, base=None)
    retriever = HybridRetriever(engine, index, embedder, dense_weight=0.5, candidates=100)
    snapshot = retriever.published()
    assert len(retriever.retrieve("leave", ACME, snapshot, top_k=9, filters=ALL)) == 4
    leave = make_chunk(ACME, "people/leave.md", TEXTS["people/leave.md"])
    index.build(ACME, 2, base=1, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=(), removed=[leave.chunk_id])
    with engine.begin() as connection:
        row = {"tenant": ACME.tenant, "embedder": embedder.fingerprint, "documents": 3, "chunks": 3, "report": {}, "published_at": 0.0}
        connection.execute(index_versions.insert().values(version=2, **row))
        write_state(connection, "published_version", "2")
        connection.execute(index_versions.delete().where(index_versions.c.version == 1))
        for table in (chunks, documents):
            connection.execute(table.delete().where(table.c.document_id == leave.document_id))
    index.collect([2])
    with pytest.raises(Conflict, match="ask again"):
        retriever.retrieve("leave", ACME, snapshot, top_k=9, filters=ALL)
    assert len(retriever.retrieve("leave", ACME, retriever.published(), top_k=9, filters=ALL)) == 3


def test_chunk_whose_text_is_lost_is_no_empty_answer(engine: Engine, retriever: HybridRetriever) -> None:
    with engine.begin() as connection:
        connection.execute(chunks.delete())
    with pytest.raises(CorruptIndex, match=r"4 chunks without a text.*understudy rebuild"):
        retriever.retrieve("leave", ACME, retriever.published(), top_k=9, filters=ALL)


def test_warm_up_opens_what_is_published(engine: Engine) -> None:
    index = MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    retriever = make_retriever(engine, index)
    retriever.warm_up()
    index.versions.clear()  # what is open stays readable
    assert len(retriever.retrieve("leave", ACME, retriever.published(), top_k=2, filters=ALL)) == 2


def test_warm_up_leaves_it_to_the_first_request_to_say_what_is_wrong(engine: Engine) -> None:
    index = MemoryIndex()
    make_retriever(engine, index).warm_up()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    make_retriever(engine, index, fingerprint="words-2").warm_up()
    index.collect([])
    make_retriever(engine, index).warm_up()

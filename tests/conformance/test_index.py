"""One suite for every index: what core/protocols.py promises, on Qdrant Edge, the server adapter and the brute-force double."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from qdrant_client import QdrantClient

from core.errors import CorruptIndex, EmbedderMismatch
from core.protocols import Index, IndexVersion
from core.types import Candidate, Filters, Point, Scope
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex, connect
from tests.doubles import MemoryIndex, WordEmbedder

LIVE_URL = os.environ.get("UNDERSTUDY_QDRANT__URL")
ACME, RIVAL = Scope(tenant="acme"), Scope(tenant="rival")
EMBEDDER = WordEmbedder()
EVERYTHING = Filters()
TOPICS = ("leave", "travel", "laptop", "invoice", "safety", "parking", "training", "pension")


def make_point(scope: Scope, number: int, text: str, *, source: str | None = None, media_type: str = "text/markdown") -> Point:
    return Point(
        chunk_id=hashlib.md5(f"{scope.tenant} {number}".encode()).hexdigest(),
        document_id=f"document-{number % 8}",
        source=source or f"handbook/{TOPICS[number % 8]}/page-{number}.md",
        media_type=media_type,
        dense=EMBEDDER.embed_query(text),
        embedded_text=text,
    )


def build(index: Index, scope: Scope, version: int, base: int | None, added: Iterable[Point], removed: tuple[str, ...] = ()) -> None:
    found = EMBEDDER.fingerprint
    index.build(scope, version, base=base, embedder=found, dimensions=EMBEDDER.dimensions, added=added, removed=removed)


def found_ids(version: IndexVersion, scope: Scope, question: str, *, limit: int = 10, filters: Filters = EVERYTHING) -> set[str]:
    found = version.search(scope, EMBEDDER.embed_query(question), question, limit=limit, filters=filters)
    return {candidate.chunk_id for candidate in found}


def scores(candidates: list[Candidate]) -> dict[tuple[str, str], float]:
    """A search that did not return a chunk has no score of it, rather than one of 0."""
    dense = {(candidate.chunk_id, "dense"): candidate.dense for candidate in candidates}
    sparse = {(candidate.chunk_id, "sparse"): candidate.sparse for candidate in candidates}
    return {key: score for key, score in (dense | sparse).items() if score is not None}


POINTS = [make_point(ACME, number, f"The {TOPICS[number % 8]} policy, rule {number}: ask team{number % 5} first.") for number in range(40)]
CANARY = make_point(RIVAL, 1, "zanzibar travel policy rule", source="handbook/travel/page-1.md")
PLAIN = make_point(ACME, 99, "A note about zebras.", source="notes/zebra.txt", media_type="text/plain")


LIVE = pytest.param("live", marks=[pytest.mark.live, pytest.mark.skipif(not LIVE_URL, reason="UNDERSTUDY_QDRANT__URL names no server")])


@pytest.fixture(scope="module", params=["memory", "edge", "edge settled", "edge graph", "client", LIVE])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    match request.param:
        case "memory":
            yield MemoryIndex()
        case "edge":
            yield EdgeIndex(tmp_path_factory.mktemp("index"))
        case "edge settled":
            yield EdgeIndex(tmp_path_factory.mktemp("index"), settled_from_kb=1)
        case "edge graph":
            yield EdgeIndex(tmp_path_factory.mktemp("index"), settled_from_kb=1, exact_up_to_kb=2)
        case "client":
            yield ServerIndex(QdrantClient(":memory:"), "test")
        case "live":
            live = connect(str(LIVE_URL), os.environ.get("UNDERSTUDY_QDRANT__API_KEY"), f"test_{uuid4().hex}")
            yield live
            live.collect(())


@pytest.fixture(scope="module")
def history(index: Index) -> Index:
    """1: acme's forty chunks. 2: rival's canary joins. 3: acme drops the first chunk, changes the second and adds one."""
    build(index, ACME, 1, None, POINTS)
    build(index, RIVAL, 2, 1, [CANARY])
    changed = make_point(ACME, 1, "The travel policy, rule 1: quokkas fly free.")
    build(index, ACME, 3, 2, [changed, PLAIN], (POINTS[0].chunk_id, POINTS[1].chunk_id))
    return index


def opened(index: Index, version: int) -> IndexVersion:
    return index.open(version, embedder=EMBEDDER.fingerprint)


def test_version_built_from_nothing_holds_what_was_added(history: Index) -> None:
    assert opened(history, 1).chunk_ids(ACME) == {point.chunk_id for point in POINTS}


def test_version_built_on_a_base_is_the_base_with_the_difference(history: Index) -> None:
    expected = {point.chunk_id for point in POINTS} - {POINTS[0].chunk_id} | {PLAIN.chunk_id}
    assert opened(history, 3).chunk_ids(ACME) == expected


def test_version_is_counted_and_asked_for_single_chunks(history: Index) -> None:
    version = opened(history, 3)
    asked = [POINTS[0].chunk_id, POINTS[1].chunk_id, PLAIN.chunk_id, CANARY.chunk_id, "0" * 32]
    assert version.held(ACME, asked) == {POINTS[1].chunk_id, PLAIN.chunk_id}
    assert version.held(RIVAL, asked) == {CANARY.chunk_id}
    assert version.held(ACME, []) == set()
    assert (version.count(ACME), version.count(RIVAL), version.count(Scope(tenant="stranger"))) == (40, 1, 0)


def test_build_opens_what_it_made(index: Index) -> None:
    found = EMBEDDER.fingerprint
    built = index.build(ACME, 700, base=None, embedder=found, dimensions=EMBEDDER.dimensions, added=POINTS[:3], removed=())
    assert built.chunk_ids(ACME) == {point.chunk_id for point in POINTS[:3]}
    built.close()
    assert opened(index, 700).count(ACME) == 3


def test_removed_chunk_is_not_found_by_either_search(history: Index) -> None:
    assert POINTS[0].chunk_id not in found_ids(opened(history, 3), ACME, POINTS[0].embedded_text, limit=100)


def test_chunk_removed_and_added_again_has_its_new_text(history: Index) -> None:
    by_word = opened(history, 3).search(ACME, EMBEDDER.embed_query("quokkas"), "quokkas", limit=5, filters=EVERYTHING)
    assert [candidate.chunk_id for candidate in by_word if candidate.sparse is not None] == [POINTS[1].chunk_id]


def test_two_versions_are_readable_at_once(history: Index) -> None:
    old, new = opened(history, 1), opened(history, 3)
    assert POINTS[0].chunk_id in found_ids(old, ACME, POINTS[0].embedded_text)
    assert POINTS[0].chunk_id not in found_ids(new, ACME, POINTS[0].embedded_text)
    assert POINTS[0].chunk_id in old.chunk_ids(ACME)


@pytest.mark.parametrize("question", ["zanzibar", "travel policy", "", "rule 1"])
@pytest.mark.parametrize("filters", [EVERYTHING, Filters(source=("handbook/travel/",)), Filters(document_id=("document-1",))])
def test_chunk_of_another_tenant_is_never_seen(history: Index, question: str, filters: Filters) -> None:
    version = opened(history, 3)
    dense = CANARY.dense
    found = {candidate.chunk_id for candidate in version.search(ACME, dense, question, limit=100, filters=filters)}
    assert found
    assert CANARY.chunk_id not in found | version.chunk_ids(ACME)
    assert {candidate.chunk_id for candidate in version.search(RIVAL, dense, question, limit=100, filters=filters)} == {CANARY.chunk_id}


def test_other_tenant_does_not_change_a_score(history: Index) -> None:
    """Neither the canary in the dense list nor its words in the document frequencies show from outside."""
    question = "travel policy rule zanzibar"
    dense = EMBEDDER.embed_query(question)
    before = opened(history, 1).search(ACME, dense, question, limit=40, filters=EVERYTHING)
    after = opened(history, 2).search(ACME, dense, question, limit=40, filters=EVERYTHING)
    assert scores(after) == pytest.approx(scores(before))


def test_removal_by_another_tenant_changes_nothing(index: Index, history: Index) -> None:
    build(history, RIVAL, 4, 3, [], (PLAIN.chunk_id,))
    assert PLAIN.chunk_id in opened(history, 4).chunk_ids(ACME)


def test_unknown_tenant_sees_nothing(history: Index) -> None:
    stranger = Scope(tenant="stranger")
    assert found_ids(opened(history, 3), stranger, "travel policy") == set()
    assert opened(history, 3).chunk_ids(stranger) == set()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(source=("notes/zebra.txt",)), {99}),
        (Filters(source=("notes/",)), {99}),
        (Filters(source=("notes",)), set()),
        (Filters(source=("handbook/travel/", "notes/")), {1, 9, 17, 25, 33, 99}),
        (Filters(document_id=("document-2",)), {2, 10, 18, 26, 34}),
        (Filters(document_id=("document-2", "document-3"), source=("handbook/laptop/page-2.md",)), {2}),
        (Filters(media_type=("text/plain",)), {99}),
        (Filters(media_type=("image/png",)), set()),
    ],
    ids=repr,
)
def test_filter_narrows_both_searches(history: Index, filters: Filters, expected: set[int]) -> None:
    question = "policy rule ask zebras"
    found = opened(history, 3).search(ACME, EMBEDDER.embed_query(question), question, limit=50, filters=filters)
    assert {candidate.chunk_id for candidate in found} == {make_point(ACME, number, "").chunk_id for number in expected}
    assert all(candidate.dense is not None and candidate.sparse is not None for candidate in found)


@pytest.mark.parametrize("question", ["travel policy", "rule 7 team2", "quokkas fly", "zebras and laptops"])
def test_scores_equal_brute_force(history: Index, question: str) -> None:
    reference = MemoryIndex()
    build(reference, ACME, 1, None, [POINTS[number] for number in range(2, 40)])
    build(reference, ACME, 2, 1, [make_point(ACME, 1, "The travel policy, rule 1: quokkas fly free."), PLAIN])
    dense = EMBEDDER.embed_query(question)
    expected = opened(reference, 2).search(ACME, dense, question, limit=100, filters=EVERYTHING)
    found = opened(history, 3).search(ACME, dense, question, limit=100, filters=EVERYTHING)
    assert scores(found) == pytest.approx(scores(expected), abs=1e-4)


def test_limit_holds_for_each_search(history: Index) -> None:
    found = opened(history, 3).search(ACME, EMBEDDER.embed_query("travel policy"), "travel policy", limit=3, filters=EVERYTHING)
    assert sum(candidate.dense is not None for candidate in found) == 3
    assert sum(candidate.sparse is not None for candidate in found) == 3


def test_question_without_a_word_that_counts_is_searched_by_vector_alone(history: Index) -> None:
    found = opened(history, 3).search(ACME, EMBEDDER.embed_query("the"), "the", limit=5, filters=EVERYTHING)
    assert len(found) == 5
    assert all(candidate.sparse is None for candidate in found)


def test_chunk_without_a_word_that_counts_is_found_by_vector(index: Index, history: Index) -> None:
    wordless = make_point(ACME, 500, "the of and")
    build(index, ACME, 50, 3, [wordless])
    found = opened(index, 50).search(ACME, wordless.dense, "the", limit=1, filters=EVERYTHING)
    assert [candidate.chunk_id for candidate in found] == [wordless.chunk_id]


@pytest.mark.parametrize("question", ["Как оформить отпуск?", "有給休暇は何日", "إجازة", "🎉🎉", "a" * 5000, "\x00\x07 \u202e", "'\"; --"])
def test_question_in_any_script_is_searched(history: Index, question: str) -> None:
    assert len(found_ids(opened(history, 3), ACME, question, limit=5)) >= 5


def test_empty_version_finds_nothing(index: Index) -> None:
    build(index, ACME, 100, None, [])
    assert found_ids(opened(index, 100), ACME, "travel") == set()
    assert opened(index, 100).chunk_ids(ACME) == set()


def test_version_built_again_replaces_the_first_try(index: Index) -> None:
    build(index, ACME, 200, None, POINTS[:5])
    build(index, ACME, 200, None, POINTS[5:8])
    assert opened(index, 200).chunk_ids(ACME) == {point.chunk_id for point in POINTS[5:8]}


def test_build_that_breaks_leaves_the_published_version_as_it_was(index: Index) -> None:
    build(index, ACME, 300, None, POINTS[:5])

    def breaking() -> Iterator[Point]:
        yield POINTS[6]
        raise OSError("the source went away")

    with pytest.raises(OSError, match="went away"):
        build(index, ACME, 301, 300, breaking(), (POINTS[0].chunk_id,))
    assert opened(index, 300).chunk_ids(ACME) == {point.chunk_id for point in POINTS[:5]}
    with pytest.raises(CorruptIndex):
        opened(index, 301)
    build(index, ACME, 302, 300, [POINTS[7]])
    assert opened(index, 302).chunk_ids(ACME) == {point.chunk_id for point in (*POINTS[:5], POINTS[7])}


def test_version_that_is_missing_is_refused(index: Index) -> None:
    with pytest.raises(CorruptIndex):
        opened(index, 12345)
    with pytest.raises(CorruptIndex):
        build(index, ACME, 12346, 12345, [])


def test_version_of_another_embedder_is_refused_with_the_command(index: Index) -> None:
    build(index, ACME, 400, None, POINTS[:2])
    with pytest.raises(EmbedderMismatch, match="understudy rebuild"):
        index.open(400, embedder="another")
    with pytest.raises(EmbedderMismatch):
        index.build(ACME, 401, base=400, embedder="another", dimensions=3, added=[], removed=[])


def test_another_embedder_builds_from_nothing_beside_the_old_version(index: Index) -> None:
    build(index, ACME, 500, None, POINTS[:2])
    small = Point(
        chunk_id=POINTS[0].chunk_id,
        document_id="d",
        source="s",
        media_type="m",
        dense=np.array([1, 0, 0], dtype=np.float32),
        embedded_text="new",
    )
    index.build(ACME, 501, base=None, embedder="another", dimensions=3, added=[small], removed=[])
    assert index.open(501, embedder="another").chunk_ids(ACME) == {POINTS[0].chunk_id}
    assert opened(index, 500).chunk_ids(ACME) == {point.chunk_id for point in POINTS[:2]}


def test_collect_keeps_only_what_it_is_told(index: Index) -> None:
    build(index, ACME, 600, None, POINTS[:4])
    build(index, ACME, 601, 600, [], (POINTS[0].chunk_id,))
    build(index, ACME, 602, 601, [], (POINTS[1].chunk_id,))
    index.collect([601, 602])
    with pytest.raises(CorruptIndex):
        opened(index, 600)
    assert opened(index, 601).chunk_ids(ACME) == {point.chunk_id for point in POINTS[1:4]}
    assert opened(index, 602).chunk_ids(ACME) == {point.chunk_id for point in POINTS[2:4]}


def test_chunk_that_comes_back_is_in_the_versions_that_have_it_alone(index: Index) -> None:
    """As a rollback brings it back: 700 has it, 701 has not, 702 has it again; then versions go from the middle and the end."""
    chunk = POINTS[0]
    build(index, ACME, 700, None, POINTS[:4])
    build(index, ACME, 701, 700, [], (chunk.chunk_id,))
    build(index, ACME, 702, 701, [chunk])
    build(index, ACME, 703, 702, [POINTS[5]])
    for keep in ((700, 701, 702, 703), (700, 702, 703), (702, 703)):
        index.collect(keep)
        for version in keep:
            read = opened(index, version)
            has_it = version != 701
            assert (chunk.chunk_id in read.chunk_ids(ACME)) == has_it
            assert (chunk.chunk_id in found_ids(read, ACME, chunk.embedded_text)) == has_it
            assert len(read.chunk_ids(ACME)) == {700: 4, 701: 3, 702: 4, 703: 5}[version]
    with pytest.raises(CorruptIndex):
        opened(index, 701)


def test_collect_of_nothing_built_is_no_error(tmp_path: Path) -> None:
    for index in (EdgeIndex(tmp_path / "none"), ServerIndex(QdrantClient(":memory:"), "none"), MemoryIndex()):
        index.collect([1])


def differences(version: IndexVersion, expected: Iterable[Point]) -> list[tuple[str, str]]:
    return sorted((found.kind, found.chunk_id) for found in version.compare(ACME, expected))


@pytest.fixture
def compared(index: Index) -> IndexVersion:
    """Acme's forty chunks, beside the other tenant's canary, which is nobody's business here."""
    build(index, ACME, 900, None, POINTS)
    build(index, RIVAL, 901, 900, [CANARY])
    return opened(index, 901)


def test_version_compared_with_what_it_was_built_from_does_not_differ(compared: IndexVersion) -> None:
    assert differences(compared, POINTS) == []


def test_comparison_names_each_way_in_which_a_chunk_differs(compared: IndexVersion) -> None:
    first, second, third, fourth, *rest = POINTS
    expected = [
        replace(second, source="elsewhere.md"),
        replace(third, dense=EMBEDDER.embed_query("something else altogether")),
        replace(fourth, embedded_text="other words"),
        *rest,
        PLAIN,
    ]
    assert differences(compared, expected) == sorted(
        [
            ("extra", first.chunk_id), ("payload", second.chunk_id), ("vector", third.chunk_id), ("words", fourth.chunk_id),
            ("missing", PLAIN.chunk_id),
        ]
    )  # fmt: skip


def test_comparison_with_nothing_finds_every_chunk_too_many(compared: IndexVersion) -> None:
    assert {kind for kind, _ in differences(compared, [])} == {"extra"}
    assert len(differences(compared, [])) == len(POINTS)


def test_version_that_stands_apart_is_built_again_in_its_place(index: Index) -> None:
    build(index, ACME, 910, None, POINTS[:4])
    build(index, ACME, 911, 910, [], (POINTS[0].chunk_id,))
    if index.stands_apart:
        build(index, ACME, 910, None, POINTS[4:6])
        assert opened(index, 910).chunk_ids(ACME) == {point.chunk_id for point in POINTS[4:6]}
    assert opened(index, 911).chunk_ids(ACME) == {point.chunk_id for point in POINTS[1:4]}


def test_version_is_opened_whole(index: Index) -> None:
    build(index, ACME, 920, None, POINTS[:4])
    assert index.open(920, embedder=EMBEDDER.fingerprint, whole=True).chunk_ids(ACME) == {point.chunk_id for point in POINTS[:4]}

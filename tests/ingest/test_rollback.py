"""Going back: a new version with an old one's content, by the same way as every other change."""

import random
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import delete, func, select, update

from core.errors import EmbedderMismatch, NothingPublished, SourcesHeld, StorageFull, SyncRunning, VersionNotKept
from core.schema import embeddings, index_versions, sources
from core.types import Document, SyncReport
from ingest.catalog import drop_source, find_source
from ingest.documents import delete_document, put_document
from ingest.hold import read_hold
from ingest.lock import only_writer
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.rebuild import rebuild
from ingest.rollback import rollback
from tests.ingest.conftest import CountingEmbedder, FullDisk, House
from tests.ingest.test_look_back import best, publish_days

HANDBOOK = "# Leave\n\n" + "\n\n".join(
    f"Rule number {number} says that everybody gets {number} days of leave in a year. It holds for all offices from day {number} on."
    for number in range(1, 21)
)


def go_back(house: House, version: int) -> SyncReport:
    house.embedder.texts.clear()
    return rollback(house.target, version)


def held_for(house: House) -> int | None:
    with house.engine.connect() as connection:
        held = read_hold(connection, house.scope)
    return held.version if held else None


def content(house: House) -> dict[str, str]:
    return {source: document.text for source, document in house.documents().items()}


def test_rollback_publishes_the_old_content_as_a_new_version(indexed: House) -> None:
    indexed.limits = replace(indexed.limits, keep_versions=9)
    indexed.write("leave.md", HANDBOOK)
    indexed.write("pay.md", "Pay day is the 25th.")
    indexed.sync()
    documents, chunks = indexed.documents(), indexed.chunk_ids()
    indexed.write("leave.md", HANDBOOK.replace("gets 7 days", "gets 70 days").replace("# Leave", "# News\n\nThere are news.\n\n# Leave"))
    (indexed.docs / "pay.md").rename(indexed.docs / "salary.md")
    indexed.write("more.md", "More words.")
    indexed.sync()
    report = go_back(indexed, 1)
    assert (report.version, report.content_of, indexed.version) == (3, 1, 3)
    assert (report.changed, report.renamed, report.removed, report.added, report.chunks_embedded) == (1, 1, 1, 0, 0)
    assert (indexed.documents(), indexed.chunk_ids(), indexed.embedder.texts) == (documents, chunks, [])


def test_rolled_back_content_is_found_and_the_bad_one_is_not(indexed: House) -> None:
    publish_days(indexed, 25, 99)
    go_back(indexed, 1)
    assert "has 25 days" in best(indexed).chunk.text
    assert "has 99 days" in best(indexed, 2).chunk.text


def test_sync_after_a_rollback_is_refused_until_it_releases_the_sources(house: House) -> None:
    publish_days(house, 25, 99)
    go_back(house, 1)
    with pytest.raises(SourcesHeld, match=r"since the rollback to version 1 .*sync --release"):
        house.sync()
    assert (house.version, held_for(house)) == (3, 1)
    assert rebuild(house.target).changed == 0
    assert ("has 25 days" in content(house)["docs/leave.md"], house.version, held_for(house)) == (True, 4, 1)
    assert house.sync(release=True).changed == 1
    assert ("has 99 days" in content(house)["docs/leave.md"], held_for(house), house.embedder.texts) == (True, None, [])
    assert house.sync().unchanged == 1


def test_release_over_mended_sources_publishes_the_mended_state(house: House) -> None:
    publish_days(house, 25, 99)
    go_back(house, 1)
    house.write("leave.md", "A preface. " * 25 + "# Leave\n\nEverybody has 26 days of leave in a year.\n")
    house.sync(release=True)
    assert "has 26 days" in content(house)["docs/leave.md"]


def test_release_over_unchanged_content_publishes_nothing_and_ends_the_hold(house: House) -> None:
    publish_days(house, 25, 99)
    go_back(house, 2)
    assert (house.version, held_for(house)) == (2, 2)
    report = house.sync(release=True)
    assert (report.version, report.unchanged, held_for(house)) == (2, 1, None)


def test_release_that_fails_leaves_the_sources_held(house: House) -> None:
    publish_days(house, 25, 99)
    go_back(house, 1)
    full = FullDisk()
    full.versions = house.index.versions  # type: ignore[attr-defined]
    house.index, working = full, house.index
    with pytest.raises(StorageFull):
        house.sync(release=True)
    house.index = working
    assert (house.version, held_for(house)) == (3, 1)


def test_rollback_that_fails_changes_nothing_and_holds_nothing(house: House) -> None:
    publish_days(house, 25, 99)
    full = FullDisk()
    full.versions = house.index.versions  # type: ignore[attr-defined]
    house.index, working = full, house.index
    with pytest.raises(StorageFull):
        go_back(house, 1)
    house.index = working
    assert (house.version, held_for(house), "has 99 days" in content(house)["docs/leave.md"]) == (2, None, True)


def test_rollback_is_undone_by_a_rollback(house: House) -> None:
    publish_days(house, 25, 99)
    before = house.documents(), house.chunk_ids()
    go_back(house, 1)
    report = go_back(house, 2)
    assert (report.version, held_for(house)) == (4, 2)
    assert (house.documents(), house.chunk_ids()) == before


def test_rollback_restores_what_was_cut_otherwise(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    before = house.chunk_ids()
    house.limits = replace(house.limits, min_chunk_tokens=20, max_chunk_tokens=90)
    house.sync()
    assert house.chunk_ids() != before
    assert go_back(house, 1).changed == 1
    assert house.chunk_ids() == before


def test_documents_of_the_api_come_back_and_can_be_changed_while_the_sources_are_held(house: House) -> None:
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    put_document(house.target, "faq", b"Ask nobody.", "text/plain")
    go_back(house, 1)
    assert content(house) == {"api/faq": "Ask Ann."}
    put_document(house.target, "faq", b"Ask Bob.", "text/plain")
    assert (content(house), held_for(house)) == ({"api/faq": "Ask Bob."}, 1)
    assert delete_document(house.target, "faq").removed == 1


def drop(house: House, name: str) -> None:
    """As the releases before did, which kept the versions that had the source; `understudy forget` erases them."""
    target = house.target
    with writing(target):
        published, stored = published_state(target)
        with house.engine.connect() as connection:
            source = find_source(connection, house.scope, name)
        gone = [identity for identity, document in stored.items() if document.source_id == source.source_id]
        dropped = partial(drop_source, scope=house.scope, source=source)
        bring_up_to(target, plan_for(target, stored, (), gone), published, Account(cause="forget"), dropped)


def test_documents_of_a_dropped_source_come_back_until_the_release(house: House) -> None:
    house.write("a.md", "Words of a.")
    house.sync()
    put_document(house.target, "faq", b"Ask Ann.", "text/plain")
    for name in ("docs", "api"):
        drop(house, name)
    assert content(house) == {}
    go_back(house, 2)
    assert content(house) == {"docs/a.md": "Words of a.", "api/faq": "Ask Ann."}
    (house.root / "c.md").write_text("Words of c.")
    assert house.sync(house.root / "c.md", release=True).removed == 1
    assert set(content(house)) == {"api/faq", "c.md"}
    assert (house.sync().chunks_embedded, set(content(house))) == (0, {"docs/a.md", "api/faq", "c.md"})


def test_source_that_is_added_again_takes_its_documents_over(house: House) -> None:
    house.write("a.md", "Words of a.")
    house.sync()
    drop(house, "docs")
    go_back(house, 1)
    report = house.sync(release=True)
    assert (report.unchanged, report.added, report.removed, report.version) == (1, 0, 0, 3)


def test_commit_of_a_git_source_is_no_longer_what_is_published(house: House) -> None:
    publish_days(house, 25, 99)
    with house.engine.begin() as connection:
        connection.execute(update(sources).values(revision="c0ffee"))
    go_back(house, 1)
    with house.engine.connect() as connection:
        assert connection.execute(select(sources.c.revision)).scalars().all() == [None]


def test_vector_that_is_gone_is_made_again(house: House) -> None:
    publish_days(house, 25, 99)
    with house.engine.begin() as connection:
        connection.execute(delete(embeddings))
    report = go_back(house, 1)
    assert report.chunks_embedded == len(house.embedder.texts) >= 1
    assert "has 25 days" in best(house).chunk.text


def test_version_of_another_embedder_comes_back_in_this_ones_vectors(house: House) -> None:
    publish_days(house, 25)
    house.embedder = CountingEmbedder("words-2")
    rebuild(house.target)
    publish_days(house, 99)
    assert go_back(house, 1).chunks_embedded == 0  # the rebuild had embedded it
    assert "has 25 days" in best(house).chunk.text
    house.embedder = CountingEmbedder("words-3")
    with pytest.raises(EmbedderMismatch):
        go_back(house, 3)


def test_rollback_to_what_is_not_kept_is_refused(house: House) -> None:
    with pytest.raises(NothingPublished):
        go_back(house, 1)
    house.limits = replace(house.limits, keep_versions=2, longest_request_seconds=0)
    publish_days(house, 25, 26, 27)
    for version in (1, 9):
        with pytest.raises(VersionNotKept, match=r"these are: 3, 2"):
            go_back(house, version)
    assert (house.version, held_for(house)) == (3, None)


def test_other_tenants_keep_their_content_and_their_sources(house: House) -> None:
    publish_days(house, 25)
    other = house.tenant("other")
    publish_days(other, 11, 12)
    publish_days(house, 99)
    theirs = other.documents(), other.chunk_ids()
    go_back(house, 1)
    assert "has 25 days" in content(house)["docs/leave.md"]
    assert (other.documents(), other.chunk_ids(), held_for(other)) == (*theirs, None)
    assert other.sync().unchanged == 1


def test_rollback_is_told_in_the_record_of_its_version(house: House) -> None:
    publish_days(house, 25, 99)
    go_back(house, 1)
    with house.engine.connect() as connection:
        row = connection.execute(select(index_versions).where(index_versions.c.version == 3)).one()
        count = connection.execute(select(func.count()).select_from(index_versions)).scalar_one()
    assert (row.cause, row.report["content_of"], row.documents, count) == ("rollback", 1, 1, 3)


def test_two_writers_do_not_meet(house: House) -> None:
    publish_days(house, 25, 99)
    with only_writer(house.data_dir), pytest.raises(SyncRunning):
        go_back(house, 1)


@pytest.mark.parametrize("seed", range(5))
def test_rollback_to_any_version_of_a_random_history_equals_it(house: House, seed: int) -> None:
    house.limits = replace(house.limits, keep_versions=99)
    chance = random.Random(seed)
    states: dict[int, tuple[dict[str, Document], set[str]]] = {}
    for _ in range(8):
        _edit(house, chance)
        house.write("always.md", f"Number {chance.randrange(3)} stays.")
        house.sync()
        states[house.version] = (house.documents(), house.chunk_ids())
    for version in chance.sample(sorted(states), len(states)):
        assert go_back(house, version).chunks_embedded == 0
        assert (house.documents(), house.chunk_ids()) == states[version]


def _edit(house: House, chance: random.Random) -> None:
    """Write, move or remove some of a few files; names and paragraphs come back by chance."""
    paragraphs = HANDBOOK.split("\n\n")[1:]
    for name in chance.sample("abcdef", 3):
        path = house.docs / f"{name}.md"
        match chance.choice(("write", "write", "move", "remove")):
            case "write":
                house.write(path.name, "# Leave\n\n" + "\n\n".join(chance.sample(paragraphs, chance.randrange(1, 9))))
            case "move" if path.exists():
                path.rename(house.docs / f"{chance.choice('abcdef')}.md")
            case "remove":
                path.unlink(missing_ok=True)

"""The promises of a sync, on a real database with a plain index and embedder."""

import errno
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from qdrant_client import QdrantClient
from sqlalchemy import event, func, select, update

from core.database import open_database, sqlite_url
from core.errors import Conflict, CorruptIndex, EmbedderMismatch, InvalidInput, StorageFull, SyncRunning
from core.schema import chunks, documents, embeddings, failures, index_versions
from core.types import Document, Scope
from ingest.diff import plan_changes
from ingest.lock import only_writer, sync_runs
from ingest.publication import Account, bring_up_to
from ingest.reading import Incoming
from ingest.rebuild import rebuild
from ingest.store import keep_embeddings, known_embeddings
from ingest.sync import sync
from ingest.versions import read_published
from retrieval.index.edge import EdgeIndex
from retrieval.index.server import ServerIndex
from tests.doubles import MemoryIndex, MemoryVersion
from tests.ingest.conftest import CountingEmbedder, FullDisk, House

HANDBOOK = "# Leave\n\n" + "\n\n".join(
    f"Rule number {number} says that everybody gets {number} days of leave in a year. It holds for all offices from day {number} on."
    for number in range(1, 21)
)


def test_sync_publishes_documents_and_chunks(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.write("sub/pay.txt", "Pay day is the 25th of each month.")
    house.write("logo.png", b"\x89PNG")
    report = house.sync()
    assert (report.version, report.added, report.skipped, report.failed) == (1, 2, 1, ())
    assert report.chunks_embedded == len(house.chunk_ids()) > 5
    assert set(house.documents()) == {"docs/leave.md", "docs/sub/pay.txt"}
    assert house.documents()["docs/leave.md"].title == "Leave"


def test_sync_chunks_are_slices_of_their_document(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    with house.engine.connect() as connection:
        rows = connection.execute(select(chunks.c.text, chunks.c.start, chunks.c.end)).all()
    text = house.documents()["docs/leave.md"].text
    assert rows and all(text[row.start : row.end] == row.text for row in rows)


def test_sync_twice_publishes_nothing_new(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    first = house.sync()
    os.utime(house.docs / "leave.md", (1, 1))
    second = house.sync()
    assert (second.version, second.unchanged, second.chunks_embedded, second.added, second.changed) == (first.version, 1, 0, 0, 0)


def test_sync_after_edit_embeds_only_the_touched_chunks(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    before = house.chunk_ids()
    house.write("leave.md", HANDBOOK.replace("gets 7 days", "gets 70 days"))
    report = house.sync()
    assert (report.changed, report.chunks_embedded) == (1, 1)
    assert report.chunks_reused == len(before) - 1
    assert len(house.chunk_ids() - before) == 1
    assert "gets 70 days" in house.documents()["docs/leave.md"].text


def test_sync_after_insertion_moves_chunks_without_embedding_them(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    house.write("leave.md", HANDBOOK.replace("# Leave", "# News\n\nThe policy was checked by the works council in May.\n\n# Leave"))
    report = house.sync()
    assert report.chunks_embedded == 1
    with house.engine.connect() as connection:
        rows = connection.execute(select(chunks.c.text, chunks.c.start, chunks.c.end).where(chunks.c.to_version.is_(None))).all()
    text = house.documents()["docs/leave.md"].text
    assert all(text[row.start : row.end] == row.text for row in rows)
    house.chunk_ids()


def test_sync_after_rename_embeds_nothing(house: House) -> None:
    file = house.write("leave.md", HANDBOOK)
    house.sync()
    (house.docs / "people").mkdir()
    file.rename(house.docs / "people" / "holidays.md")
    report = house.sync()
    assert (report.renamed, report.added, report.removed, report.chunks_embedded) == (1, 0, 0, 0)
    assert set(house.documents()) == {"docs/people/holidays.md"}
    house.chunk_ids()


def test_sync_after_removal_finds_it_no_more(house: House) -> None:
    file = house.write("leave.md", HANDBOOK)
    house.write("pay.md", "Pay day is the 25th of each month.")
    house.sync()
    file.unlink()
    report = house.sync()
    assert (report.removed, report.unchanged) == (1, 1)
    assert len(house.chunk_ids()) == 1


def test_sync_keeps_equal_texts_of_two_documents_apart(house: House) -> None:
    house.write("a.md", "The same words in two places.")
    house.write("b.md", "The same words in two places.")
    report = house.sync()
    assert (report.added, report.chunks_embedded, report.chunks_reused) == (2, 1, 1)
    assert len(house.chunk_ids()) == 2
    (house.docs / "a.md").unlink()
    house.sync()
    assert len(house.chunk_ids()) == 1


def test_sync_keeps_repeated_paragraphs_apart(house: House) -> None:
    house.write("a.md", "# One\n\nSee above.\n\n# Two\n\nText.\n\n# One\n\nSee above.\n")
    report = house.sync()
    assert len(house.chunk_ids()) == 3
    assert report.chunks_embedded == 2


def test_sync_ignores_front_matter_that_is_not_content(house: House) -> None:
    house.write("a.md", "---\ntitle: Leave\nowner: Ann\n---\nEverybody gets leave.")
    first = house.sync()
    house.write("a.md", "---\ntitle: Leave\nowner: Bob\n---\nEverybody gets leave.")
    second = house.sync()
    assert (second.version, second.unchanged, second.chunks_embedded) == (first.version, 1, 0)
    assert house.sync().unchanged == 1


def test_failed_parse_keeps_the_last_good_version(house: House) -> None:
    house.write("a.json", '{"days": 25}')
    house.sync()
    house.write("a.json", '{"days": 25')
    report = house.sync()
    assert [failure.source for failure in report.failed] == ["docs/a.json"] and "JSON" in report.failed[0].reason
    assert house.documents()["docs/a.json"].text == "days: 25" and len(house.chunk_ids()) == 1
    with house.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(failures)).scalar_one() == 1
    house.write("a.json", '{"days": 26}')
    assert (house.sync().changed, house.documents()["docs/a.json"].text) == (1, "days: 26")
    with house.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(failures)).scalar_one() == 0


def test_failing_embedder_changes_nothing_and_pays_once(house: House) -> None:
    house.write("a.md", "Old words stand here.")
    house.sync()
    house.write("a.md", "\n\n".join(f"# Heading {number}\n\nText of section {number}." for number in range(600)))
    house.embedder.fails_after = 500
    with pytest.raises(RuntimeError):
        house.sync()
    embedded = len(house.embedder.texts)
    assert (house.version, house.documents()["docs/a.md"].text, embedded) == (1, "Old words stand here.", 500)
    house.embedder.fails_after = None
    report = house.sync()
    assert report.chunks_embedded == len(house.chunk_ids()) - embedded == 100


def test_missing_source_deletes_nothing(house: House) -> None:
    house.write("a.md", "Words that stay.")
    house.sync()
    house.docs.rename(house.root / "away")
    (house.root / "b.md").write_text("More words.")
    report = house.sync(house.root / "b.md")
    assert [failure.source for failure in report.failed] == ["docs"]
    assert set(house.documents()) == {"docs/a.md", "b.md"}
    (house.root / "away").rename(house.docs)
    assert house.sync().failed == ()


def test_missing_path_is_refused_before_anything_is_kept(house: House) -> None:
    house.write("a.md", "Words.")
    with pytest.raises(InvalidInput, match=r"no file or folder .*nowhere"):
        house.sync(house.docs, house.root / "nowhere")
    assert house.version == 0 and house.documents() == {}


@pytest.mark.parametrize("address", ["https://host/page.html", "ftp://user:secret@host/x"])
def test_web_address_is_refused_with_what_to_give_instead(house: House, address: str) -> None:
    with pytest.raises(InvalidInput, match=r"git\+https://host/repo") as refused:
        house.sync(address)
    assert "secret" not in str(refused.value)


def test_unsupported_file_is_refused_by_name(house: House) -> None:
    with pytest.raises(InvalidInput, match=r"logo\.png.*\.md"):
        house.sync(house.write("logo.png", b"\x89PNG"))


def test_single_file_source_is_shown_by_its_name(house: House) -> None:
    house.sync(house.write("a.md", "Words."))
    assert set(house.documents()) == {"a.md"}


def test_sources_of_one_name_are_told_apart(house: House) -> None:
    house.write("a.md", "First.")
    house.write("../b/docs/a.md", "Second.")
    house.sync(house.docs, house.root / "b" / "docs")
    assert set(house.documents()) == {"docs/a.md", "docs-2/a.md"}


def test_path_inside_a_source_is_not_read_twice(house: House) -> None:
    house.write("sub/a.md", "Words.")
    house.sync()
    report = house.sync(house.docs / "sub")
    assert (report.added, report.unchanged) == (0, 1)


def test_folder_around_a_source_leaves_its_documents_to_it(house: House) -> None:
    house.write("sub/a.md", "Words.")
    house.write("b.md", "Other words.")
    house.sync(house.docs / "sub")
    house.sync(house.docs)
    assert set(house.documents()) == {"sub/a.md", "docs/b.md"}


def test_two_syncs_at_once_are_refused(house: House) -> None:
    house.write("a.md", "Words.")
    with only_writer(house.data_dir):
        assert sync_runs(house.data_dir)
        with pytest.raises(SyncRunning):
            house.sync()
    assert not sync_runs(house.data_dir)
    assert house.sync().added == 1


def test_full_disk_while_building_leaves_the_old_version(house: House) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    full = FullDisk()
    full.versions = house.index.versions  # type: ignore[attr-defined]
    house.index, working = full, house.index
    house.write("a.md", "New words.")
    with pytest.raises(StorageFull, match="free some space"):
        house.sync()
    assert (house.version, house.documents()["docs/a.md"].text) == (1, "Old words.")
    house.index = working
    assert house.sync().chunks_embedded == 0  # its vector had been kept


def test_full_disk_seen_by_the_system_is_the_same_error(house: House) -> None:
    class Enospc(MemoryIndex):
        def build(self, *arguments: object, **named: object) -> NoReturn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    house.write("a.md", "Words.")
    house.index = Enospc()
    with pytest.raises(StorageFull):
        house.sync()


def test_full_database_is_the_same_error(house: House) -> None:
    house.write("a.md", "Words.")
    house.sync()
    house.write("a.md", HANDBOOK * 50)
    event.listen(house.engine, "checkout", lambda connection, *_: connection.execute("PRAGMA max_page_count = 1"))  # as full as it is
    with pytest.raises(StorageFull):
        house.sync()
    assert house.documents()["docs/a.md"].text == "Words."


def test_index_that_lost_a_chunk_is_not_published(house: House) -> None:
    class Forgetful(MemoryIndex):
        def build(self, scope: Scope, version: int, **named: object) -> MemoryVersion:
            return super().build(scope, version, **{**named, "added": list(named["added"])[1:]})  # type: ignore[call-overload]

    house.write("a.md", HANDBOOK)
    house.index = Forgetful()
    with pytest.raises(CorruptIndex, match=r"lacks 1 chunks.*understudy rebuild"):
        house.sync()
    assert house.version == 0 and house.index.versions == {}
    house.index = MemoryIndex()
    assert house.sync().version == 2


def test_index_that_keeps_what_is_gone_is_not_published(house: House) -> None:
    class Hoarding(MemoryIndex):
        def build(self, scope: Scope, version: int, **named: object) -> MemoryVersion:
            return super().build(scope, version, **{**named, "removed": ()})  # type: ignore[arg-type]

    house.index = Hoarding()
    house.write("a.md", "Words.")
    house.write("b.md", "Others.")
    house.sync()
    (house.docs / "b.md").unlink()
    with pytest.raises(CorruptIndex, match="has 1 too many"):
        house.sync()
    assert set(house.documents()) == {"docs/a.md", "docs/b.md"}


def test_index_that_loses_a_chunk_of_another_document_is_not_published(house: House) -> None:
    class Losing(MemoryIndex):
        def build(self, scope: Scope, version: int, **named: object) -> MemoryVersion:
            built = super().build(scope, version, **named)  # type: ignore[arg-type]
            del built._points[min(built._points)]
            return built

    house.write("a.md", "Words.")
    house.sync()
    losing = Losing()
    losing.versions = house.index.versions  # type: ignore[attr-defined]
    house.index = losing
    house.write("b.md", "Others.")
    with pytest.raises(CorruptIndex, match="lacks 1 chunks"):
        house.sync()
    assert set(house.documents()) == {"docs/a.md"}


def test_other_embedder_is_refused_until_rebuilt(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    count = len(house.chunk_ids())
    house.embedder = CountingEmbedder("words-2")
    with pytest.raises(EmbedderMismatch, match=rf"goes on answering: `understudy rebuild` embeds {count} texts"):
        house.sync()
    assert rebuild(house.target).chunks_embedded == count == len(house.chunk_ids())
    house.embedder = CountingEmbedder("words-1")
    assert rebuild(house.target).chunks_embedded == 0  # the first vectors are kept


def test_old_versions_go_and_take_their_texts_along(house: House) -> None:
    house.limits = replace(house.limits, longest_request_seconds=0, keep_vectors_days=0)
    house.write("a.md", "The secret word is xyzzy.")
    house.sync()
    for number in range(house.limits.keep_versions + 1):
        house.write("a.md", f"There is no secret {number}.")
        house.sync()
    with house.engine.connect() as connection:
        texts = [text for table in (documents, chunks) for text in connection.execute(select(table.c.text)).scalars()]
        vectors = connection.execute(select(func.count()).select_from(embeddings)).scalar_one()
        versions = connection.execute(select(index_versions.c.version)).scalars().all()
    assert not any("xyzzy" in text for text in texts)
    assert len(versions) == vectors == house.limits.keep_versions == len(house.index.versions)  # type: ignore[attr-defined]


def unused_since(house: House) -> dict[str, bool]:
    """By the hash of its text, whether a vector counts as unused."""
    with house.engine.connect() as connection:
        return {row.embedded_hash: row.unused_since is not None for row in connection.execute(select(embeddings))}


def test_vector_of_a_text_that_was_never_published_goes_as_any_unused_one(house: House) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    before = unused_since(house)
    full = FullDisk()
    full.versions = house.index.versions  # type: ignore[attr-defined]
    house.index, working = full, house.index
    house.write("a.md", "Words that nobody ever reads.")
    with pytest.raises(StorageFull):
        house.sync()
    assert list(before.values()) == [False]
    assert sorted(unused_since(house).values()) == [False, True]
    house.index = working
    house.limits = replace(house.limits, keep_vectors_days=0)
    house.write("a.md", "Old words.")
    house.sync()
    assert unused_since(house) == before


def test_vector_of_a_text_that_came_back_is_in_use_again(house: House) -> None:
    house.limits = replace(house.limits, longest_request_seconds=0, keep_versions=1)
    house.write("a.md", "Words that come back.")
    house.sync()
    (first,) = unused_since(house)
    house.write("a.md", "Words between.")
    house.sync()
    assert unused_since(house)[first]
    house.write("a.md", "Words that come back.")
    assert house.sync().chunks_embedded == 0
    assert not unused_since(house)[first]


def test_version_that_a_request_may_still_read_stays(house: House) -> None:
    house.limits = replace(house.limits, keep_versions=1)
    for number in range(3):
        house.write("a.md", f"Words {number}.")
        house.sync()
    assert len(house.index.versions) == 3  # type: ignore[attr-defined]
    house.limits = replace(house.limits, longest_request_seconds=0)
    house.sync()
    assert set(house.index.versions) == {3}  # type: ignore[attr-defined]


def test_text_that_comes_back_after_its_versions_went_is_not_embedded_again(house: House) -> None:
    house.limits = replace(house.limits, keep_versions=1, longest_request_seconds=0)
    for text in ("The gate is green.", "The gate is red.", "The gate is blue."):
        house.write("a.md", text)
        house.sync()
    house.write("a.md", "The gate is green.")
    assert house.sync().chunks_embedded == 0
    assert house.embedder.texts == []


def test_version_numbers_are_never_used_twice(house: House) -> None:
    house.write("a.md", "Words.")
    working, house.index = house.index, FullDisk()
    with pytest.raises(StorageFull):
        house.sync()
    house.index = working
    assert house.sync().version == 2


def test_publication_by_another_machine_meanwhile_is_noticed(house: House) -> None:
    class Meddled(MemoryIndex):
        def build(self, *arguments: object, **named: object) -> MemoryVersion:
            built = super().build(*arguments, **named)  # type: ignore[arg-type]
            from core.database import write_state

            with house.engine.begin() as connection:
                write_state(connection, "published_version", "99")
            return built

    house.write("a.md", "Words.")
    house.index = Meddled()
    with pytest.raises(SyncRunning, match="another sync has published"):
        house.sync()


def test_changed_chunk_size_cuts_again(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    before = house.chunk_ids()
    house.limits = type(house.limits)(min_chunk_tokens=20, max_chunk_tokens=90)
    report = house.sync()
    assert report.changed == 1 and len(house.chunk_ids()) < len(before)
    assert house.sync().unchanged == 1


def test_progress_is_told_at_every_step(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    heard: list[str] = []
    sync(replace(house.target, on_progress=lambda progress: heard.append(progress.step)), [house.docs])
    assert list(dict.fromkeys(heard)) == ["listing", "parsing", "embedding", "building", "publishing"]


def test_data_directory_inside_a_source_is_not_read(house: House, tmp_path: Path) -> None:
    (house.data_dir / "note.md").write_text("Not for readers.")
    house.write("a.md", "Words.")
    house.sync(tmp_path)
    assert [source.rpartition("/")[2] for source in house.documents()] == ["a.md"]


def test_row_that_sql_lost_is_noticed(house: House) -> None:
    house.write("leave.md", HANDBOOK)
    house.sync()
    with house.engine.begin() as connection:
        one = connection.execute(select(chunks.c.chunk_id).limit(1)).scalar_one()
        connection.execute(update(chunks).where(chunks.c.chunk_id == one).values(to_version=1))
    house.write("b.md", "More.")
    with pytest.raises(CorruptIndex, match="1 too many"):
        house.sync()


def test_deployment_with_the_same_collection_is_refused_and_loses_nothing(house: House, tmp_path: Path) -> None:
    client = QdrantClient(":memory:")
    house.index = ServerIndex(client, "understudy")
    house.write("a.md", "Words of the first.")
    house.sync()
    before = house.chunk_ids()
    (tmp_path / "second" / "data").mkdir(parents=True)
    engine = open_database(sqlite_url(tmp_path / "second" / "data"))
    second = House(root=tmp_path / "second", engine=engine, index=ServerIndex(client, "understudy"))
    second.write("b.md", "Words of the second.")
    for write in (second.sync, partial(rebuild, second.target)):
        with pytest.raises(Conflict, match="UNDERSTUDY_QDRANT__COLLECTION"):
            write()
    assert house.chunk_ids() == before != set()
    engine.dispose()


def test_sync_that_fell_behind_another_machine_does_not_undo_its_version(house: House) -> None:
    """Both start from version 1; the other machine publishes before this one builds."""
    house.index = ServerIndex(QdrantClient(":memory:"), "understudy")
    house.write("a.md", "First words.")
    house.sync()
    with house.engine.connect() as connection:
        base = read_published(connection)
    house.write("b.md", "Words of the other machine.")
    assert house.sync().version == 2
    winner = house.chunk_ids()
    document = Document(document_id="d" * 32, source="c.md", title="c", text="Late.", media_type="text/markdown", content_hash="h")
    late = Incoming(document=document, source_id="s", path="c.md", file_hash="h", chunks=())
    plan = plan_changes({}, [late], (), {}, 0)
    with pytest.raises(SyncRunning, match="published meanwhile"):
        bring_up_to(house.target, plan, base, Account(cause="sync"), lambda _: None)
    assert (house.version, house.chunk_ids()) == (2, winner)


def test_vectors_that_another_run_kept_first_are_no_error(house: House) -> None:
    vectors = house.embedder.embed_documents(["one", "two"])
    for hashes, rows in ((["a"], vectors[:1]), (["a", "b"], vectors)):
        with house.engine.begin() as connection:
            keep_embeddings(connection, house.scope, "words-1", hashes, rows)
    with house.engine.connect() as connection:
        assert known_embeddings(connection, house.scope, "words-1", ["a", "b"]) == {"a", "b"}


def test_deleted_sentence_leaves_the_disk_by_age(house: House) -> None:
    house.index = EdgeIndex(house.data_dir / "index")
    house.limits = replace(house.limits, keep_days=1 / 48, keep_vectors_days=0)
    house.write("a.md", "The quokka memorandum is confidential.")
    house.write("b.md", "Other words.")
    house.sync()
    (house.docs / "a.md").unlink()
    house.sync()
    assert files_with(house.data_dir, b"quokka")
    with house.engine.begin() as connection:
        connection.execute(update(index_versions).values(published_at=index_versions.c.published_at - 3600))
    assert house.sync().removed == 0
    assert files_with(house.data_dir, b"quokka") == []
    with house.engine.connect() as connection:
        assert connection.execute(select(index_versions.c.version)).scalars().all() == [house.version]
        assert connection.execute(select(func.count()).select_from(embeddings)).scalar_one() == len(house.chunk_ids()) == 1


def files_with(folder: Path, words: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


def test_source_that_became_a_link_to_itself_fails_alone(house: House, tmp_path: Path) -> None:
    house.write("a.md", "Words.")
    house.write("../other/b.md", "Other words.")
    house.sync(house.docs, tmp_path / "other")
    shutil.rmtree(house.docs)
    house.docs.symlink_to(house.docs)
    report = house.sync(tmp_path / "other")
    assert [failure.source for failure in report.failed] == ["docs"]
    assert (report.removed, set(house.documents())) == (0, {"docs/a.md", "other/b.md"})


def test_path_that_is_not_utf8_is_refused(house: House, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with pytest.raises(InvalidInput, match="UTF-8"):
        house.sync(folder)
    named = tmp_path / "caf\u00e9"
    named.mkdir()
    house.sync(named)

"""A dry run tells what a sync would do, and leaves everything as it is."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import EmbedderMismatch
from core.schema import metadata
from core.types import Renaming, SyncPreview
from ingest.lock import only_writer
from ingest.preview import preview
from ingest.rollback import rollback
from tests.ingest.conftest import CountingEmbedder, House
from tests.ingest.git.repository import Repository

TEXT = "\n\n".join(f"# Rule {number}\n\nRule number {number} holds in all offices." for number in range(6))


def rows(house: House) -> list[object]:
    with house.engine.connect() as connection:
        return [row for table in metadata.sorted_tables for row in connection.execute(select(table)).all()]


def files(folder: Path) -> dict[str, str]:
    """All but the database, whose rows are compared: its journal moves when it is read."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "understudy.db" not in path.name
    }


def looked_at(house: House) -> SyncPreview:
    """The preview, after a check that it wrote nothing."""
    versions = set(house.index.versions)  # type: ignore[attr-defined]
    before = (rows(house), files(house.data_dir))
    house.embedder.texts.clear()
    found = preview(house.target)
    assert (rows(house), files(house.data_dir)) == before
    assert set(house.index.versions) == versions and house.embedder.texts == []  # type: ignore[attr-defined]
    return found


def test_preview_names_what_would_change_and_the_sync_agrees(house: House) -> None:
    for name in ("same.md", "edited.md", "moved.md", "gone.md"):
        house.write(name, TEXT.replace("offices", f"offices of {name}"))
    house.sync()
    house.write("edited.md", TEXT.replace("offices", "offices of edited.md").replace("Rule number 3", "The third rule"))
    house.write("new.md", "A new page, which stands twice.")
    house.write("twice.md", "A new page, which stands twice.")
    house.write("broken.json", "{")
    (house.docs / "moved.md").rename(house.docs / "there.md")
    (house.docs / "gone.md").unlink()
    found = looked_at(house)
    assert (found.version, found.added, found.changed) == (1, ("docs/new.md", "docs/twice.md"), ("docs/edited.md",))
    assert (found.renamed, found.removed) == ((Renaming(before="docs/moved.md", after="docs/there.md"),), ("docs/gone.md",))
    assert ([failure.source for failure in found.failed], found.unchanged) == (["docs/broken.json"], 1)
    report = house.sync()
    assert (report.added, report.changed, report.renamed, report.removed) == (2, 1, 1, 1)
    assert report.chunks_embedded == found.chunks_to_embed == len(house.embedder.texts)
    assert found.characters_to_embed == sum(map(len, house.embedder.texts))


def test_preview_counts_kept_vectors(house: House) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    house.write("a.md", "New words.")
    house.sync()
    house.write("a.md", "Old words.")
    found = looked_at(house)
    assert (found.changed, found.chunks_to_embed, found.characters_to_embed) == (("docs/a.md",), 0, 0)


def test_expected_time_comes_from_earlier_reports(house: House) -> None:
    house.write("a.md", TEXT)
    house.sync()
    with house.engine.begin() as connection:
        table = metadata.tables["index_versions"]
        (report,) = connection.execute(select(table.c.report)).scalars()
        connection.execute(table.update().values(report=report | {"seconds": 5.0, "embedding_seconds": 4.0, "chunks_embedded": 8}))
    house.write("b.md", "One.\n\n# Two\n\nThree.")
    found = looked_at(house)
    assert found.expected_seconds == 1.0 + found.chunks_to_embed * 0.5


def test_expected_time_of_a_sync_with_nothing_to_do_is_that_of_looking(house: House) -> None:
    house.write("a.md", TEXT)
    house.sync()
    with house.engine.begin() as connection:
        table = metadata.tables["index_versions"]
        (report,) = connection.execute(select(table.c.report)).scalars()
        connection.execute(table.update().values(report=report | {"seconds": 5000.0}))
    found = looked_at(house)
    assert found.expected_seconds == round(found.seconds, 1)


def test_expected_time_is_unknown_before_anything_was_embedded(house: House) -> None:
    house.write("a.md", TEXT)
    house.sync()
    with house.engine.begin() as connection:
        nothing = {"chunks_embedded": 0, "seconds": 1.0, "embedding_seconds": 0.0}
        connection.execute(metadata.tables["index_versions"].update().values(report=nothing))
    house.write("b.md", "More.")
    assert looked_at(house).expected_seconds is None


def test_preview_runs_beside_a_sync(house: House) -> None:
    house.write("a.md", TEXT)
    house.sync()
    house.write("b.md", "More.")
    with only_writer(house.data_dir):
        assert preview(house.target).added == ("docs/b.md",)


def test_preview_before_the_first_sync_is_empty(house: House) -> None:
    house.write("a.md", TEXT)
    found = looked_at(house)
    assert (found.version, found.added, found.expected_seconds) == (None, (), None)


def test_preview_with_another_embedder_says_what_to_do(house: House) -> None:
    house.write("a.md", TEXT)
    house.sync()
    house.embedder = CountingEmbedder("words-2")
    with pytest.raises(EmbedderMismatch, match="understudy rebuild"):
        preview(house.target)


def test_preview_of_a_git_source_leaves_its_clone_as_it_is(house: House, tmp_path: Path) -> None:
    repo = Repository.make(tmp_path / "handbook")
    repo.write("a.md", TEXT)
    repo.write("b.md", "Words.")
    repo.commit()
    house.sync(repo.address)
    repo.write("b.md", "New words.")
    repo.git("mv", "a.md", "c.md")
    repo.commit()
    found = looked_at(house)
    assert (found.changed, found.renamed) == (("handbook/b.md",), (Renaming(before="handbook/a.md", after="handbook/c.md"),))
    assert house.sync(repo.address).changed == 1


def test_preview_of_a_git_source_without_a_clone_fetches_it_elsewhere(house: House, tmp_path: Path) -> None:
    repo = Repository.make(tmp_path / "handbook")
    repo.write("a.md", TEXT)
    repo.commit()
    house.sync(repo.address)
    (clone,) = (house.data_dir / "sources").iterdir()
    clone.rename(tmp_path / "away")
    assert looked_at(house).unchanged == 1


def test_preview_says_that_a_rollback_holds_the_sources(house: House) -> None:
    house.write("a.md", "Old words.")
    house.sync()
    house.write("a.md", "New words.")
    house.sync()
    rollback(house.target, 1)
    found = looked_at(house)
    assert (found.changed, [note for note in found.notes if "--release" in note] != []) == (("docs/a.md",), True)

import os
import tempfile
from pathlib import Path

import pytest

from core.errors import ParseFailed
from ingest.folder import list_folder
from ingest.sources import Listing, Source, Unread
from tests.privileges import without_privileges


def listed(root: Path, *, elsewhere: tuple[Path, ...] = (), max_bytes: int = 10_000) -> Listing:
    source = Source(source_id="s", kind="folder", location=str(root), name=root.name)
    return list_folder(source, elsewhere=elsewhere, max_bytes=max_bytes)


def paths(root: Path, *, elsewhere: tuple[Path, ...] = ()) -> list[str]:
    return [entry.path for entry in listed(root, elsewhere=elsewhere).entries]


def put(root: Path, *names: str, text: str = "Words.") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_listing_is_sorted_and_skips_what_is_hidden(tmp_path: Path) -> None:
    put(tmp_path, "b.md", "a/z.md", "a/b.txt", ".hidden/c.md", ".env.md", "node_modules/d.md", "x.bin")
    assert paths(tmp_path) == ["a/b.txt", "a/z.md", "b.md"]
    assert listed(tmp_path).skipped == 1


def test_listing_respects_nested_gitignore(tmp_path: Path) -> None:
    put(tmp_path, "keep.md", "drop.md", "build/a.md", "sub/drop.md", "sub/draft.md", "sub/deep/draft.md", "sub/deep/keep.md")
    (tmp_path / ".gitignore").write_text("drop.md\n/build/\n# note\n")
    (tmp_path / "sub" / ".gitignore").write_text("!drop.md\ndraft.md\n")
    assert paths(tmp_path) == ["keep.md", "sub/deep/keep.md", "sub/drop.md"]


def test_listing_respects_gitignore_of_the_repository_above(tmp_path: Path) -> None:
    put(tmp_path, "docs/a.md", "docs/_build/b.md")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("docs/_build\n")
    assert paths(tmp_path / "docs") == ["a.md"]


def test_listing_ends_in_a_symlink_loop(tmp_path: Path) -> None:
    put(tmp_path, "a/a.md")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert paths(tmp_path) == ["a/a.md"]


def test_listing_does_not_leave_its_root(tmp_path: Path) -> None:
    put(tmp_path, "in/a.md", "out/secret.md")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "link.md").symlink_to(tmp_path / "out" / "secret.md")
    assert paths(tmp_path / "in") == ["a.md"]


def test_listing_follows_a_link_to_what_is_not_listed_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "..data/a.md", "b.md")
    (tmp_path / "a.md").symlink_to(tmp_path / "..data" / "a.md")
    (tmp_path / "c.md").symlink_to(tmp_path / "b.md")
    assert paths(tmp_path) == ["a.md", "b.md"]


def test_listing_leaves_out_what_lies_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "data/b.md")
    assert paths(tmp_path, elsewhere=(tmp_path / "data",)) == ["a.md"]


def test_listing_names_are_in_one_unicode_form(tmp_path: Path) -> None:
    put(tmp_path, "cafe\u0301.md")
    assert paths(tmp_path) == ["caf\u00e9.md"]
    put(tmp_path, "caf\u00e9.md")
    both = listed(tmp_path)
    assert len(both.entries) == 1 and "Unicode" in both.unread[0].reason


def test_listing_survives_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("Words.")
    put(tmp_path, "two\nlines.md")
    assert paths(tmp_path) == ["caf\\xe9.md", "two\nlines.md"]
    assert [entry.display for entry in listed(tmp_path).entries][1].endswith("/two\ufffdlines.md")


def test_listing_refuses_200_megabytes_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.md").open("wb") as file:
        file.truncate(200_000_000)
    found = listed(tmp_path, max_bytes=50_000_000)
    assert found.entries == [] and found.unread[0].reason.startswith("has 200.0 MB, over the limit of 50.0 MB")


def test_listing_ignores_pipes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    assert listed(tmp_path) == Listing()


def test_listing_of_a_missing_folder_is_reported(tmp_path: Path) -> None:
    (unread,) = listed(tmp_path / "gone").unread
    assert "cannot be read" in unread.reason and unread.covers("anything/at/all.md")


def test_listing_reports_a_closed_folder_and_reads_the_rest() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        put(root, "a.md", "closed/b.md")
        root.chmod(0o755)
        (root / "closed").chmod(0)
        with without_privileges():
            found = listed(root)
        (root / "closed").chmod(0o755)
    assert [entry.path for entry in found.entries] == ["a.md"]
    assert [(unread.path, unread.covers("closed/b.md"), unread.covers("a.md")) for unread in found.unread] == [("closed", True, False)]


@pytest.mark.parametrize(("path", "covered"), [("a", True), ("a/b", True), ("ab", False)])
def test_unread_covers_what_is_below_it(path: str, covered: bool) -> None:
    source = Source(source_id="s", kind="folder", location="/", name="s")
    assert Unread(source=source, path="a", reason="").covers(path) is covered


def test_listing_reports_a_link_whose_target_cannot_be_read(shared_root: Path) -> None:
    put(shared_root, "a.md", ".closed/sub/b.md")
    (shared_root / "link").symlink_to(shared_root / ".closed" / "sub")
    (shared_root / "gone.md").symlink_to(shared_root / "nowhere")
    (shared_root / "circle").symlink_to(shared_root / "circle")
    (shared_root / ".closed").chmod(0)
    with without_privileges():
        found = listed(shared_root)
    (shared_root / ".closed").chmod(0o755)
    assert [entry.path for entry in found.entries] == ["a.md"]
    assert [(unread.path, unread.covers("link/b.md")) for unread in found.unread] == [("link", True)]


def test_listing_of_a_source_that_is_a_circle_of_links_is_reported(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (unread,) = listed(tmp_path / "circle").unread
    assert unread.covers("anything.md")
    put(tmp_path, "docs/a.md")
    assert paths(tmp_path / "docs", elsewhere=(tmp_path / "circle",)) == ["a.md"]


def test_listing_takes_nothing_from_a_folder_whose_gitignore_is_closed(shared_root: Path) -> None:
    put(shared_root, "a.md", "sub/b.md", "sub/secret.md", "sub/.gitignore", text="secret.md\n")
    (shared_root / "sub" / ".gitignore").chmod(0)
    with without_privileges():
        found = listed(shared_root)
    assert [entry.path for entry in found.entries] == ["a.md"]
    assert [(unread.path, unread.covers("sub/b.md")) for unread in found.unread] == [("sub", True)]


def test_file_that_is_closed_is_listed_and_has_a_reason(shared_root: Path) -> None:
    put(shared_root, "a.md")
    (shared_root / "a.md").chmod(0)
    with without_privileges():
        (entry,) = listed(shared_root).entries
        with pytest.raises(ParseFailed, match="Permission denied"):
            entry.content.read(1000)

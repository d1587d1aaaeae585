"""A git source keeps the promises of a folder, on real repositories."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import InvalidInput, Unavailable
from core.schema import sources
from ingest.forget import forget
from ingest.git import command
from ingest.git.address import parse_address
from ingest.git.clone import fetch_arguments
from tests.ingest.conftest import House
from tests.ingest.git.repository import Repository

LEAVE = "# Leave\n\nEverybody has 27 days of leave.\n\n## Carrying over\n\nFive days until March.\n"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = Repository.make(tmp_path / "handbook")
    made.write("docs/leave.md", LEAVE)
    made.write("docs/pay.txt", "Pay day is the 25th.")
    made.write("logo.png", b"\x89PNG")
    made.commit()
    return made


@pytest.fixture
def blobs_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The blobs that were read, as documents or as rules."""
    from ingest.git.blobs import Blobs

    names: list[str] = []
    read = Blobs.read

    def noting(blobs: Blobs, name: str) -> bytes | None:
        names.append(name)
        return read(blobs, name)

    monkeypatch.setattr(Blobs, "read", noting)
    yield names


def kept(house: House) -> dict[str, tuple[str | None, str | None]]:
    """Ref and revision of each git source, by name."""
    with house.engine.connect() as connection:
        return {row.name: (row.ref, row.revision) for row in connection.execute(select(sources).where(sources.c.kind == "git"))}


def clones(house: House) -> list[Path]:
    return list((house.data_dir / "sources").glob("*.git"))


def test_repository_is_read_without_a_checkout(house: House, repo: Repository) -> None:
    head = repo.git("rev-parse", "HEAD")
    report = house.sync(repo.address)
    assert (report.added, report.skipped, report.failed, report.notes) == (2, 1, (), ())
    assert set(house.documents()) == {"handbook/docs/leave.md", "handbook/docs/pay.txt"}
    assert house.documents()["handbook/docs/leave.md"].title == "Leave"
    assert kept(house) == {"handbook": (None, head)}
    (clone,) = clones(house)
    assert not [path for path in clone.rglob("*") if path.name in ("hooks", "index") or path.suffix == ".md"]
    assert repo.git("--git-dir", str(clone), "rev-list", "--count", "--all") == "1"


def test_unchanged_commit_reads_no_blob_and_publishes_nothing(house: House, repo: Repository, blobs_read: list[str]) -> None:
    first = house.sync(repo.address)
    blobs_read.clear()
    second = house.sync(repo.address)
    assert (second.version, second.unchanged, second.added, blobs_read) == (first.version, 2, 0, [])


def test_commit_reads_the_changed_blobs_alone(house: House, repo: Repository, blobs_read: list[str]) -> None:
    house.sync(repo.address)
    repo.write("docs/leave.md", LEAVE.replace("27", "28"))
    repo.write("docs/new.md", "A new page.")
    repo.remove("docs/pay.txt")
    head = repo.commit()
    blobs_read.clear()
    report = house.sync(repo.address)
    assert (report.added, report.changed, report.removed, report.unchanged) == (1, 1, 1, 0)
    assert sorted(blobs_read) == sorted(repo.git("rev-parse", f"HEAD:docs/{name}") for name in ("leave.md", "new.md"))
    assert "28 days" in house.documents()["handbook/docs/leave.md"].text
    assert kept(house)["handbook"] == (None, head)
    house.chunk_ids()


def test_commit_without_documents_is_noted_and_publishes_nothing(house: House, repo: Repository) -> None:
    first = house.sync(repo.address)
    repo.write("logo.png", b"\x89PNG2")
    head = repo.commit()
    assert house.sync(repo.address).version == first.version
    assert kept(house)["handbook"] == (None, head)


def test_renamed_folder_embeds_nothing(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    repo.git("mv", "docs", "handbuch")
    repo.commit()
    report = house.sync(repo.address)
    assert (report.renamed, report.added, report.removed, report.chunks_embedded, house.embedder.texts) == (2, 0, 0, 0, [])
    assert set(house.documents()) == {"handbook/handbuch/leave.md", "handbook/handbuch/pay.txt"}


def test_name_that_changes_in_its_case_alone_is_a_rename(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    repo.git("mv", "docs/leave.md", "docs/Leave.md")
    repo.commit()
    report = house.sync(repo.address)
    assert (report.renamed, report.chunks_embedded) == (1, 0)
    assert set(house.documents()) == {"handbook/docs/Leave.md", "handbook/docs/pay.txt"}


@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "v1", "light", "feature/x", "COMMIT"])
def test_ref_may_be_a_branch_a_tag_or_a_commit(house: House, repo: Repository, ref: str) -> None:
    wanted = repo.git("rev-parse", "HEAD")
    repo.git("branch", "feature/x")
    repo.git("tag", "--annotate", "--message=One", "v1")
    repo.git("tag", "light")
    if "main" not in ref:
        repo.write("docs/leave.md", "Something else.")
        repo.commit()
    ref = wanted if ref == "COMMIT" else ref
    house.sync(f"{repo.address}@{ref}")
    assert kept(house) == {"handbook": (ref, wanted)}
    assert "27 days" in house.documents()["handbook/docs/leave.md"].text


def test_another_ref_of_the_same_place_is_followed_from_then_on(house: House, repo: Repository) -> None:
    repo.git("branch", "old")
    repo.write("docs/leave.md", LEAVE.replace("27", "28"))
    repo.commit()
    house.sync(repo.address)
    report = house.sync(f"{repo.address}@old")
    assert (report.changed, report.unchanged) == (1, 1)
    assert "27 days" in house.documents()["handbook/docs/leave.md"].text
    assert [ref for ref, _ in kept(house).values()] == ["old"]


def test_subdirectory_alone_is_read_and_keeps_its_path(house: House, repo: Repository) -> None:
    repo.write("README.md", "Not for readers.")
    repo.commit()
    house.sync(f"{repo.address}@main#subdirectory=docs")
    assert set(house.documents()) == {"handbook/docs/leave.md", "handbook/docs/pay.txt"}
    report = house.sync(f"{repo.address}@main")
    assert report.added == 1 and "README.md" in str(set(house.documents()))  # the folder stays with the source that is only it


def test_subdirectory_that_is_not_there_is_named(house: House, repo: Repository) -> None:
    report = house.sync(f"{repo.address}#subdirectory=dox")
    (failure,) = report.failed
    assert failure.source == "handbook" and "has no folder 'dox'" in failure.reason


def test_ignore_rules_hold_as_in_a_folder(house: House, repo: Repository) -> None:
    for name in (
        "drop.md",
        "build/a.md",
        "sub/drop.md",
        "sub/draft.md",
        ".hidden/a.md",
        "node_modules/a.md",
        ".env.md",
        "sub/deep/keep.md",
    ):
        repo.write(name, f"Words of {name}.")
    repo.write(".gitignore", "drop.md\n/build/\n")
    repo.write("sub/.gitignore", "!drop.md\ndraft.md\n")
    repo.commit()
    house.sync(repo.address)
    from_git = {name.partition("/")[2] for name in house.documents()}
    assert from_git == {"docs/leave.md", "docs/pay.txt", "sub/drop.md", "sub/deep/keep.md"}
    house.sync(repo.folder)
    assert {name.partition("/")[2] for name in house.documents()} == from_git
    assert len(house.documents()) == 2 * len(from_git)


def test_ignore_rules_above_the_subdirectory_hold(house: House, repo: Repository) -> None:
    repo.write(".gitignore", "pay.txt\n")
    repo.commit()
    house.sync(f"{repo.address}#subdirectory=docs")
    assert set(house.documents()) == {"handbook/docs/leave.md"}


def test_force_push_without_common_history_is_a_diff_like_any_other(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    repo.git("checkout", "--quiet", "--orphan", "fresh")
    repo.write("docs/leave.md", LEAVE.replace("27", "30"))
    repo.commit()
    repo.git("branch", "--force", "main", "fresh")
    repo.git("checkout", "--quiet", "main")
    repo.git("branch", "--delete", "--force", "fresh")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    report = house.sync(repo.address)
    assert (report.changed, report.unchanged, report.added, report.removed, report.failed) == (1, 1, 0, 0, ())
    assert "30 days" in house.documents()["handbook/docs/leave.md"].text


def test_deleted_ref_fails_clearly_and_the_last_good_version_stays(house: House, repo: Repository) -> None:
    repo.git("branch", "docs")
    first = house.sync(f"{repo.address}@docs")
    before = kept(house)
    repo.git("branch", "--delete", "--force", "docs")
    house.write("a.md", "Other words.")
    report = house.sync(house.docs)
    assert [(failure.source, "no branch or tag 'docs'" in failure.reason) for failure in report.failed] == [("handbook", True)]
    assert (report.added, report.removed, first.added, kept(house)) == (1, 0, 2, before)
    assert len(house.documents()) == 3
    repo.git("branch", "docs")
    assert house.sync(house.docs).failed == ()


def test_unreachable_remote_fails_alone_and_heals(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    repo.folder.rename(repo.folder.with_name("away"))
    house.write("a.md", "Other words.")
    report = house.sync(house.docs)
    assert [failure.source for failure in report.failed] == ["handbook"] and "cannot be fetched" in report.failed[0].reason
    assert (report.added, report.removed, len(house.documents())) == (1, 0, 3)
    repo.folder.with_name("away").rename(repo.folder)
    assert house.sync(house.docs).failed == ()


@pytest.mark.parametrize(
    ("place", "told"),
    [("git+file:///nowhere/repo", "does not"), ("{address}@gone", "no branch or tag 'gone'"), ("{address}@--upload-pack=x", "no branch")],
)
def test_bad_repository_is_refused_before_anything_is_kept(house: House, repo: Repository, place: str, told: str) -> None:
    house.write("a.md", "Words.")
    with pytest.raises((InvalidInput, Unavailable), match=told):
        house.sync(house.docs, place.format(address=repo.address))
    assert (house.version, house.documents(), kept(house), clones(house)) == (0, {}, {}, [])


def test_repository_without_a_commit_is_refused(house: House, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no commit yet"):
        house.sync(Repository.make(tmp_path / "empty").address)


def test_submodule_is_left_out_and_said(house: House, repo: Repository, tmp_path: Path) -> None:
    inner = Repository.make(tmp_path / "inner")
    inner.write("inside.md", "Words of another repository.")
    inner.commit()
    repo.git("submodule", "--quiet", "add", str(inner.folder), "vendor/inner")
    repo.commit()
    report = house.sync(repo.address)
    assert report.notes == ("handbook/vendor/inner is a submodule: ingest its repository to have it read",)
    assert (report.failed, len(house.documents())) == ((), 2)


def test_links_are_not_followed(house: House, repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("A secret.")
    for name, target in (("out.md", tmp_path / "secret.md"), ("up.md", "../secret.md"), ("again.md", "docs/leave.md"), ("folder", "docs")):
        (repo.folder / name).symlink_to(target)
    repo.commit()
    report = house.sync(repo.address)
    assert (report.added, report.failed) == (2, ())
    assert not any("secret" in document.text for document in house.documents().values())


def test_lfs_pointer_fails_with_its_reason_and_the_last_good_version_stays(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    repo.write("docs/leave.md", LFS)
    repo.write("docs/plan.pdf", LFS)
    repo.commit()
    report = house.sync(repo.address)
    assert [(failure.source, "Git LFS" in failure.reason) for failure in report.failed] == [
        ("handbook/docs/leave.md", True),
        ("handbook/docs/plan.pdf", True),
    ]
    assert "27 days" in house.documents()["handbook/docs/leave.md"].text
    repo.write("docs/leave.md", LEAVE)
    repo.remove("docs/plan.pdf")
    repo.commit()
    assert house.sync(repo.address).failed == ()


def test_too_large_blob_is_reported_unread(house: House, repo: Repository, blobs_read: list[str]) -> None:
    repo.write("docs/big.md", "x" * 5000)
    repo.commit()
    house.limits = replace(house.limits, max_file_bytes=4000)
    report = house.sync(repo.address)
    assert [failure.source for failure in report.failed] == ["handbook/docs/big.md"] and "over the limit" in report.failed[0].reason
    assert repo.git("rev-parse", "HEAD:docs/big.md") not in blobs_read


def test_names_that_are_no_text_or_in_two_unicode_forms(house: House, repo: Repository) -> None:
    (repo.folder / os.fsdecode(b"caf\xe9.md")).write_text("One.")
    repo.write("two\nlines.md", "Two.")
    repo.write("cafe\u0301.md", "Three, decomposed.")
    repo.commit()
    report = house.sync(repo.address)
    names = set(house.documents()) - {"handbook/docs/leave.md", "handbook/docs/pay.txt"}
    assert (names, report.failed) == ({"handbook/caf\\xe9.md", "handbook/two\ufffdlines.md", "handbook/caf\u00e9.md"}, ())
    repo.write("caf\u00e9.md", "Four, composed.")
    repo.commit()
    report = house.sync(repo.address)
    assert [failure.source for failure in report.failed] == ["handbook/caf\u00e9.md"] and "Unicode" in report.failed[0].reason


def test_deleted_text_leaves_the_clone(house: House, repo: Repository) -> None:
    secret = repo.git("rev-parse", "HEAD:docs/pay.txt")
    house.sync(repo.address)
    (clone,) = clones(house)
    has = ["git", f"--git-dir={clone}", "cat-file", "-e", secret]
    assert subprocess.run(has, check=False).returncode == 0
    repo.remove("docs/pay.txt")
    repo.commit()
    house.sync(repo.address)
    assert subprocess.run(has, check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_forgotten_source_takes_its_clone_along(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    assert len(clones(house)) == 1
    assert forget(house.target, "handbook").removed == 2
    assert (clones(house), kept(house)) == ([], {})
    assert repo.folder.is_dir()


def test_forgotten_document_leaves_no_clone_behind_also_after_the_next_commit(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    forgotten = forget(house.target, "handbook/docs/pay.txt")
    assert (forgotten.documents, forgotten.left, clones(house)) == (1, (), [])
    repo.write("docs/leave.md", LEAVE.replace("27", "28"))
    repo.commit()
    report = house.sync(house.docs)
    assert (report.changed, report.failed, clones(house), set(house.documents())) == (1, (), [], {"handbook/docs/leave.md"})


def test_source_is_forgotten_by_its_address_too(house: House, repo: Repository) -> None:
    house.sync(repo.address)
    assert forget(house.target, repo.address).removed == 2


@pytest.mark.parametrize("damage", ["removed", "emptied", "locked", "packs", "half"])
def test_damaged_clone_is_made_again(house: House, repo: Repository, damage: str) -> None:
    house.sync(repo.address)
    (clone,) = clones(house)
    match damage:
        case "removed":
            shutil.rmtree(clone)
        case "emptied":
            shutil.rmtree(clone / "objects")
        case "locked":
            (clone / "shallow.lock").touch()
        case "packs":
            for pack in clone.glob("objects/pack/*.pack"):
                pack.chmod(0o600)
                pack.write_bytes(b"damaged")
        case "half":
            (clone / "HEAD").unlink()
    repo.write("docs/leave.md", LEAVE.replace("27", "28"))
    repo.commit()
    reports = [house.sync(repo.address), house.sync(repo.address)]
    assert reports[-1].failed == () and len(house.documents()) == 2
    assert "28 days" in house.documents()["handbook/docs/leave.md"].text


def test_git_that_never_ends_is_given_up(house: House, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house.sync(repo.address)
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\ncase "$*" in *fetch*) sleep 600 & sleep 600;; esac\nexec /usr/bin/env -i PATH="$REAL" git "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("REAL", os.environ["PATH"])
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    house.limits = replace(house.limits, git_seconds=1.0)
    (failure,) = house.sync(repo.address).failed
    assert "longer than 1 s" in failure.reason and len(house.documents()) == 2


def test_missing_git_fails_that_source_alone(house: House, repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    house.sync(repo.address)
    monkeypatch.setenv("PATH", "/nowhere")
    house.write("a.md", "Words.")
    report = house.sync(house.docs)
    assert report.added == 1 and "the program `git`" in report.failed[0].reason


def test_command_line_of_a_fetch_is_guarded() -> None:
    address = parse_address("git+ssh://git@host.example/team/docs@feature/x")
    line = command.command_line(*fetch_arguments(address), folder=Path("/data/sources/x.git"))
    assert line[0] == "git" and "--git-dir=/data/sources/x.git" in line
    assert line[line.index("--") :] == ["--", "ssh://git@host.example/team/docs", "+feature/x:refs/understudy/followed"]
    settings = [line[place + 1] for place, part in enumerate(line) if part == "-c"]
    assert {"core.hooksPath=/dev/null", "protocol.ext.allow=never"} <= set(settings)
    assert {"--depth=1", "--no-tags", "--no-recurse-submodules"} <= set(line)


def test_surroundings_of_a_calling_git_stay_out(house: House, repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a hook of some repository runs the sync."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", "index")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "1")
    assert command.environment()["GIT_TERMINAL_PROMPT"] == "0" and "GIT_DIR" not in command.environment()
    assert house.sync(repo.address).added == 2

"""A bare, shallow copy of a remote repository under the data directory: one commit, and nothing checked out."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import Unavailable
from ingest.git.address import GitAddress
from ingest.git.command import run_git

_FOLLOWED = "refs/understudy/followed"
_LOCAL_SECONDS = 120.0

Kind = Literal["file", "link", "submodule"]
_KINDS: dict[bytes, Kind] = {b"100644": "file", b"100755": "file", b"100664": "file", b"120000": "link", b"160000": "submodule"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry of a commit's tree that is no folder."""

    kind: Kind
    path: bytes
    """Relative to the folder that was listed."""
    blob: str
    size: int


def remote_commit(address: GitAddress, seconds: float) -> str:
    """The commit, or the tag on it, that the ref names now. Raises Unavailable."""
    return named_commit(address, run_git(*question(address), seconds=seconds))


def question(address: GitAddress) -> list[str]:
    """What to ask git for that; a commit's id is not listed, so then it asks only whether the repository answers."""
    return ["ls-remote", "--quiet", "--", address.url, "HEAD" if address.is_fixed else address.ref or "HEAD"]


def named_commit(address: GitAddress, answer: bytes) -> str:
    """Raises Unavailable where the answer does not name the ref."""
    if address.ref is not None and address.is_fixed:
        return address.ref
    wanted = address.ref or "HEAD"
    found = {name: commit for commit, _, name in (line.partition("\t") for line in answer.decode(errors="replace").splitlines())}
    for name in (wanted, f"refs/{wanted}", f"refs/tags/{wanted}", f"refs/heads/{wanted}"):
        if name in found:
            return found[name]
    raise Unavailable(_missing(address))


def _missing(address: GitAddress) -> str:
    if address.ref is None:
        return "the repository has no commit yet"
    return f"the repository has no branch or tag {address.ref!r} (a commit needs all its 40 digits)"


@dataclass(frozen=True, slots=True)
class Clone:
    folder: Path
    lender: Path | None = None
    """Another clone whose objects are used and left as they are."""

    def fetch(self, address: GitAddress, seconds: float) -> str:
        """The commit that the ref names now, with everything in it. Raises Unavailable, after which the clone is as it was.

        A clone that is damaged or was left half-way is made again.
        """
        was_there = self._made()
        try:
            return self._fetch(address, seconds)
        except Unavailable:
            remote_commit(address, seconds)  # if that is the trouble, it says so better
            if not was_there:
                raise
            self.remove()
            self._made()
            return self._fetch(address, seconds)

    def _made(self) -> bool:
        if (self.folder / "HEAD").is_file():
            return True
        self.remove()
        run_git("init", "--quiet", "--bare", "--template=", "--", str(self.folder), seconds=_LOCAL_SECONDS)
        if self.lender is not None and (self.lender / "HEAD").is_file():
            self._borrow(self.lender)
        return False

    def _borrow(self, lender: Path) -> None:
        alternates = self.folder / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{lender.absolute() / 'objects'}\n")
        for name in ("shallow", "packed-refs", _FOLLOWED):
            if (lender / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(lender / name, self.folder / name)

    def _fetch(self, address: GitAddress, seconds: float) -> str:
        run_git(*fetch_arguments(address), folder=self.folder, seconds=seconds)
        commit = run_git("rev-parse", "--verify", "--quiet", f"{_FOLLOWED}^{{commit}}", folder=self.folder, seconds=_LOCAL_SECONDS)
        return commit.decode().strip()

    def leaves(self, commit: str, folder: str) -> list[Leaf]:
        """Everything below a folder of the commit, in git's order; raises Unavailable where the clone is damaged."""
        out = run_git("ls-tree", "-r", "-l", "-z", "--full-tree", f"{commit}:{folder}", folder=self.folder, seconds=_LOCAL_SECONDS)
        return [_leaf(record) for record in out.split(b"\0") if record]

    def require_folder(self, commit: str, folder: str) -> None:
        """Raises Unavailable where the commit has no such folder."""
        try:
            kind = run_git("cat-file", "-t", f"{commit}:{folder}", folder=self.folder, seconds=_LOCAL_SECONDS).strip()
        except Unavailable:
            kind = b""
        if kind != b"tree":
            raise Unavailable(f"commit {commit[:12]} has no folder {folder!r}")

    def shrink(self) -> None:
        """Drop what belongs to earlier commits: what is deleted must not stay on this disk."""
        if not self._is_loose():
            return
        for arguments in (("repack", "-a", "-d", "-q"), ("prune", "--expire=now")):
            run_git(*arguments, folder=self.folder, seconds=_LOCAL_SECONDS)

    def _is_loose(self) -> bool:
        objects = self.folder / "objects"
        return len(list(objects.glob("pack/*.pack"))) > 1 or any(objects.glob("[0-9a-f][0-9a-f]"))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def fetch_arguments(address: GitAddress) -> list[str]:
    source = address.ref or "HEAD"
    return [
        "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force", "--",
        address.url, f"+{source}:{_FOLLOWED}",
    ]  # fmt: skip


def _leaf(record: bytes) -> Leaf:
    described, _, path = record.partition(b"\t")
    mode, _, blob, size = described.split()
    return Leaf(kind=_KINDS.get(mode, "file"), path=path, blob=blob.decode(), size=0 if size == b"-" else int(size))

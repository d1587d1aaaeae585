"""The files of a commit, by the same rules as those of a folder."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

from core.errors import ParseFailed, Unavailable
from ingest.git.address import GitAddress
from ingest.git.blobs import Blob, Blobs
from ingest.git.clone import Clone, Leaf
from ingest.ignore import Ignores
from ingest.sources import Listing, Source, Unread, display_name, is_hidden, readable_path


def list_commit(
    source: Source, address: GitAddress, clone: Clone, *, elsewhere: Collection[str], max_bytes: int, seconds: float
) -> Listing:
    """`elsewhere` are folders of the repository that are sources of their own.

    Links are not followed: what they point to in the repository is read at its own place. Submodules are other repositories.
    """
    listing = Listing()
    blobs = Blobs(clone.folder)
    listing.closings.append(partial(_close, blobs, clone))
    try:
        commit = clone.fetch(address, seconds)
        clone.require_folder(commit, address.folder)
        walk = _Walk(blobs, commit, frozenset(map(PurePosixPath, elsewhere)))
        found = [(readable_path(str(path)), str(path), leaf) for path, leaf in walk.files(address.folder, _leaves(clone, commit, address))]
    except (Unavailable, ParseFailed) as error:
        listing.unread.append(Unread(source=source, path="", reason=f"cannot be fetched ({error})"))
        return listing
    for shown, _, leaf in sorted(found, key=lambda each: each[:2]):
        listing.take(source, shown, Blob(blobs, leaf.blob), leaf.size, max_bytes)
    listing.notes += [f"{display_name(source, path)} is a submodule: ingest its repository to have it read" for path in walk.submodules]
    listing.revisions[source.source_id] = commit
    return listing


def _leaves(clone: Clone, commit: str, address: GitAddress) -> list[Leaf]:
    try:
        return clone.leaves(commit, address.folder)
    except Unavailable:
        clone.remove()
        raise


def _close(blobs: Blobs, clone: Clone) -> None:
    blobs.close()
    if blobs.is_damaged:
        clone.remove()


@dataclass(slots=True)
class _Folder:
    folders: "dict[str, _Folder]" = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)


@dataclass(slots=True)
class _Walk:
    blobs: Blobs
    commit: str
    elsewhere: frozenset[PurePosixPath]
    submodules: list[str] = field(default_factory=list)

    def files(self, folder: str, leaves: Iterable[Leaf]) -> Iterator[tuple[PurePosixPath, Leaf]]:
        """With their paths in the repository."""
        root = PurePosixPath(folder)
        return self._files(root, _as_tree(leaves), self._above(root))

    def _above(self, root: PurePosixPath) -> Ignores:
        """The rules of the folders above; none when they exclude the folder itself: it was named."""
        ignores = Ignores()
        for parent in reversed(root.parents):
            rules = self.blobs.read(f"{self.commit}:{parent / '.gitignore'}")
            ignores = ignores.entering(parent, None if rules is None else _text(rules))
        return Ignores() if root.name and ignores.match(root, is_folder=True) else ignores

    def _files(self, place: PurePosixPath, folder: _Folder, ignores: Ignores) -> Iterator[tuple[PurePosixPath, Leaf]]:
        rules = folder.leaves.get(".gitignore")
        if rules is not None and rules.kind == "file":
            ignores = ignores.entering(place, _text(self.blobs.read_known(rules.blob)))
        for name, leaf in folder.leaves.items():
            if not is_hidden(name) and not ignores.match(place / name, is_folder=False):
                if leaf.kind == "file":
                    yield place / name, leaf
                elif leaf.kind == "submodule":
                    self.submodules.append(readable_path(str(place / name)))
        for name, inner in folder.folders.items():
            if not is_hidden(name) and place / name not in self.elsewhere and not ignores.match(place / name, is_folder=True):
                yield from self._files(place / name, inner, ignores)


def _text(rules: bytes) -> str:
    return rules.decode("utf-8", "replace")


def _as_tree(leaves: Iterable[Leaf]) -> _Folder:
    root = _Folder()
    for leaf in leaves:
        *steps, name = leaf.path.decode("utf-8", "surrogateescape").split("/")
        folder = root
        for step in steps:
            folder = folder.folders.setdefault(step, _Folder())
        folder.leaves[name] = leaf
    return root

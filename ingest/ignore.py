"""What `.gitignore` files say, also those above a source and below it."""

from pathlib import Path, PurePath
from typing import Self

from pathspec import GitIgnoreSpec


class Ignores:
    """The rules that hold in one folder: its own `.gitignore` goes before those of the folders above."""

    def __init__(self, layers: tuple[tuple[PurePath, GitIgnoreSpec], ...] = ()) -> None:
        self._layers = layers

    @classmethod
    def above(cls, folder: Path) -> Self:
        """Those of the repository that holds `folder`; none outside of one, or when they exclude the folder itself: it was named."""
        parents = [folder, *folder.parents]
        depth = next((index for index, parent in enumerate(parents) if (parent / ".git").exists()), 0)
        ignores = cls()
        for parent in reversed(parents[1 : depth + 1]):
            ignores = ignores.entering(parent, read_rules(parent))
        return cls() if ignores.match(folder, is_folder=True) else ignores

    def entering(self, folder: PurePath, rules: str | None) -> Self:
        """`rules` is the text of the folder's `.gitignore`, None where it has none."""
        if rules is None:
            return self
        return type(self)((*self._layers, (folder, GitIgnoreSpec.from_lines(rules.splitlines()))))

    def match(self, path: PurePath, *, is_folder: bool) -> bool:
        for folder, spec in reversed(self._layers):
            name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
            verdict = spec.check_file(name).include
            if verdict is not None:
                return verdict
        return False


def read_rules(folder: Path) -> str | None:
    """Raises OSError where the rules exist and cannot be read: what they keep out must not come in."""
    try:
        return (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return None

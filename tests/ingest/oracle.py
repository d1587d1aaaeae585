"""The state that a sync must come to, as plain dictionaries."""

import json
from dataclasses import dataclass, field

PARAGRAPHS = (
    "Everybody gets thirty days of leave in a year, and nobody is asked what for.",
    "A hotel may cost one hundred euros a night, breakfast and the local taxes included.",
    "The bikes stand in the yard. Whoever takes one writes down when it comes back.",
    "Pay day is the last working day of a month, for everybody and in all offices.",
    "Keys are handed out at the desk. A lost key is told to the desk on the same day.",
)
LARGEST = 4_000
"""Bytes of a file; a larger one is not read."""


@dataclass
class File:
    word: str
    """Stands in no other file."""
    paragraphs: tuple[int, ...]
    is_broken: bool = False

    def parts(self) -> list[str]:
        return [f"The word of this page is {self.word} and no other one.", *(PARAGRAPHS[number] for number in self.paragraphs)]

    def content(self, path: str) -> str:
        if path.endswith(".json"):
            whole = json.dumps(dict(enumerate(self.parts())))
            return whole[:-3] if self.is_broken else whole
        return "\n\n".join(self.parts()) + "\n" + ("Too much. " * LARGEST if self.is_broken else "")

    def text(self, path: str) -> str:
        if path.endswith(".json"):
            return "\n".join(f"{number}: {part}" for number, part in enumerate(self.parts()))
        return "\n\n".join(self.parts())


@dataclass
class Oracle:
    files: dict[str, File] = field(default_factory=dict)
    """On the disk, by path."""
    published: dict[str, str] = field(default_factory=dict)
    """Text by source."""
    history: dict[int, dict[str, str]] = field(default_factory=dict)
    """What each version published."""

    def after_sync(self) -> dict[str, str]:
        """A file that cannot be read keeps the text that it had under this path; what is not there any more goes."""
        notes = {source: text for source, text in self.published.items() if source.startswith("api/")}
        readable = {f"docs/{path}": file.text(path) for path, file in self.files.items() if not file.is_broken}
        kept = {source: self.published[source] for source in self.broken if source in self.published}
        return notes | readable | kept

    @property
    def broken(self) -> set[str]:
        return {f"docs/{path}" for path, file in self.files.items() if file.is_broken}

    def word_of(self, source: str) -> str:
        return self.published[source].partition("page is ")[2].partition(" ")[0]

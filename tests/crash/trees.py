"""Generations of a small folder. Every document of a generation is stamped with its number, so a mixed read is seen at once."""

import re
import shutil
import zlib
from pathlib import Path

STAMP = re.compile(r"generation (\d+) of the rules")
NAMES = ("leave.md", "travel.md", "pay.txt", "bikes.html", "visits.md", "keys.md", "copy-1.md", "copy-2.md")
_FOLDERS = ("", "people/", "people/old/")


def write_tree(folder: Path, seed: int, generation: int) -> None:
    """Files come, go, move between folders, share paragraphs and change some of them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, text in tree(seed, generation).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def tree(seed: int, generation: int) -> dict[str, str]:
    files: dict[str, str] = {}
    for name in NAMES:
        at = generation + _draw(seed, name, modulus=7)
        is_there = name == "leave.md" or _draw(seed, name, at // 3, modulus=5) > 0
        if is_there:
            files[_FOLDERS[_draw(seed, name, at // 4, modulus=len(_FOLDERS))] + name] = _page(seed, name, at, generation)
    return files


def stamps(text: str) -> set[int]:
    return {int(number) for number in STAMP.findall(text)}


def _page(seed: int, name: str, at: int, generation: int) -> str:
    topic = name.partition("-")[0].partition(".")[0]  # the copies have one text
    at = generation if topic == "copy" else at
    numbers = [number for number in range(4) if _draw(seed, topic, number, at // 5, modulus=4) > 0]
    paragraphs = [
        f"This is generation {generation} of the rules, and each page of the handbook says so once.",
        *(_paragraph(topic, number, revision=(at + number) // 3) for number in numbers),
        "Whoever has a question asks the office, which is open on every working day from nine to five.",
    ]
    if _draw(seed, topic, at // 2, modulus=2):
        paragraphs.append(paragraphs.pop(0))
    if name.endswith(".html"):
        return f"<h1>About {topic}</h1>" + "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    heading = f"About {topic}" if name.endswith(".txt") else f"# About {topic}"
    return "\n\n".join([heading, *paragraphs]) + "\n"


def _paragraph(topic: str, number: int, revision: int) -> str:
    return (
        f"Rule {number} about {topic} stands here in its revision {revision}, and it holds for everybody in all of the offices. "
        f"The word for it is {topic}{number}, whatever else is written around it in this handbook."
    )


def _draw(*parts: object, modulus: int) -> int:
    return zlib.crc32(repr(parts).encode()) % modulus

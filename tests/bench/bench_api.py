"""The tuned answer over HTTP: a real server on loopback, the handbook of examples/, one client that waits for each answer."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx2

from tests.bench.figure import Figure

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SEED = 7
WARM_UP = 30
REQUESTS = 500
COLD_STARTS = 5
TOP_K = 5


def main() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        understudy("ingest", str(EXAMPLES / "corpus"), folder=folder)
        asked = drawn_questions(WARM_UP + REQUESTS)
        with served(folder) as url:
            milliseconds = sorted(timed_answers(url, asked)[WARM_UP:])
        cold = statistics.median(timed_start(folder, question) for question in asked[:COLD_STARTS])
    served_note, cold_note = f"top_k {TOP_K}, one client, examples/", "median"
    return [
        at_most("tuned answer over HTTP, p50", percentile(milliseconds, 0.50), 80, "ms", n=REQUESTS, note=served_note),
        at_most("tuned answer over HTTP, p99", percentile(milliseconds, 0.99), 200, "ms", n=REQUESTS, note=served_note),
        at_most("`understudy ask` from a cold start", cold, 3, "s", n=COLD_STARTS, note=cold_note),
    ]


def at_most(name: str, value: float, target: float, unit: str, *, n: int, note: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, target=target, better="lower", n=n, seed=SEED, note=note)


def drawn_questions(n: int) -> list[str]:
    rows = (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return Random(SEED).choices([json.loads(row)["question"] for row in rows], k=n)


@contextmanager
def served(folder: str) -> Iterator[str]:
    with subprocess.Popen(command("serve", "--port", "0", "--json"), env=environment(folder), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


def timed_answers(url: str, questions: list[str]) -> list[float]:
    """Milliseconds from sending a question to the last byte of its answer."""
    taken = []
    with httpx2.Client(base_url=url, timeout=60) as client:
        for question in questions:
            began = time.perf_counter()
            reply = client.post("/v1/answers", json={"question": question, "mode": "tuned", "top_k": TOP_K})
            taken.append((time.perf_counter() - began) * 1000)
            reply.raise_for_status()
    return taken


def timed_start(folder: str, question: str) -> float:
    began = time.perf_counter()
    understudy("ask", question, folder=folder)
    return time.perf_counter() - began


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def understudy(*arguments: str, folder: str) -> None:
    subprocess.run(command(*arguments, "--json"), env=environment(folder), stdout=subprocess.DEVNULL, check=True)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "api.cli", *arguments]


def environment(folder: str) -> dict[str, str]:
    return os.environ | {"UNDERSTUDY_DATA_DIR": folder, "UNDERSTUDY_LOG_LEVEL": "warning", "PYTHONPATH": str(ROOT)}

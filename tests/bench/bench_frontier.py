"""The frontier and hybrid modes over HTTP, before the stand-in of the Messages API: server, stand-in and load share this machine."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

from anthropic import AsyncAnthropic

from api.auth import local_scope
from api.demo_frontier import point_to
from api.stack import build_stack
from core.settings import Settings
from core.types import Filters, Json, Mode
from generation.cascade import READER
from generation.prompt import build_prefix, build_prompt
from tests.bench.bench_api import EXAMPLES, ROOT, SEED, TOP_K, at_most, drawn_questions, percentile, served, understudy
from tests.bench.figure import Figure
from tests.bench.load import Client, Reply, question_body

DIFFERENT = 200
WARM_UP, PAIRS = 30, 300
CLIENTS, LEAD_SECONDS, SECONDS = 64, 4.0, 20.0
ARRIVALS, PER_SECOND = 240, 6.0
NEVER = "3600"


def main() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        understudy("ingest", str(EXAMPLES / "corpus"), folder=folder)
        with frontier(folder, seconds="0") as (url, double):
            figures = [*cached_share(url, double), overhead(url, double, folder)]
        with frontier(folder, seconds="1") as (url, _):
            figures += [throughput(url, stream=False), throughput(url, stream=True)]
        with frontier(folder, seconds=NEVER) as (url, _):
            figures.append(accepted_while_hanging(url))
    return figures


@contextmanager
def frontier(folder: str, *, seconds: str) -> Iterator[tuple[str, str]]:
    """Addresses of a server and of its stand-in, which takes so long for an answer."""
    command = [sys.executable, "-m", "tests.messages_api", "--seconds", seconds]
    with patch.dict(os.environ), subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as double:
        try:
            assert double.stdout is not None
            at = double.stdout.readline().strip().rpartition("=")[2]
            point_to(at)
            with served(folder) as url:
                yield url, at
        finally:
            double.terminate()


def cached_share(url: str, double: str) -> list[Figure]:
    """First of all, while ledger and books hold nothing else."""
    replies = asyncio.run(one_by_one(url, different_questions(DIFFERENT), "frontier"))
    if bad := sum(reply.failed for reply in replies):
        raise AssertionError(f"{bad} of {len(replies)} questions failed")
    ledger, books = read_json(f"{url}/v1/ledger")["total"]["usage"], read_json(f"{double}/stand-in/books")["total"]
    shares = {
        "our ledger": share(ledger["cache_read_tokens"], ledger["cache_write_5m_tokens"] + ledger["cache_write_1h_tokens"]),
        "the stand-in's books": share(books["cache_read"], books["cache_write_5m"] + books["cache_write_1h"]),
    }
    return [
        at_least(f"cached share of prefix tokens, by {whose}", value, 99, "%", n=DIFFERENT, note="one after the other, from a cold cache")
        for whose, value in shares.items()
    ]


def overhead(url: str, double: str, folder: str) -> Figure:
    asked = drawn_questions(WARM_UP + PAIRS)
    ours, bare = asyncio.run(alternating(url, asked, built_requests(folder, asked)))
    require_equal_prompts(double)
    middle, sdk = percentile(sorted(ours[WARM_UP:]), 0.5), percentile(sorted(bare[WARM_UP:]), 0.5)
    note = f"{middle:.1f} ms against {sdk:.1f} ms of the SDK streaming the same requests, in turn; top_k {TOP_K}"
    return at_most("frontier answer over HTTP, p50 over the bare SDK", middle - sdk, 12, "ms", n=PAIRS, note=note)


def throughput(url: str, *, stream: bool) -> Figure:
    replies, began = asyncio.run(crowd(url, stream=stream))
    counted = [reply for at, reply in replies if began + LEAD_SECONDS <= at < began + LEAD_SECONDS + SECONDS]
    failed = sum(reply.failed for _, reply in replies)
    seconds = sorted(reply.seconds for reply in counted)
    spread = f"p50 {percentile(seconds, 0.5):.2f} s, p99 {percentile(seconds, 0.99):.2f} s"
    rate = (len(counted) / SECONDS) if not failed else 0.0
    name = f"frontier answers a second, {CLIENTS} clients, {'streamed' if stream else 'whole'}"
    note = f"stand-in takes 1 s, {failed} failed, {spread}, {os.cpu_count()} cores for all; {SECONDS:g} s after {LEAD_SECONDS:g}"
    return at_least(name, rate, 55, "/s", n=len(counted), note=note)


def accepted_while_hanging(url: str) -> Figure:
    """Questions come at their own times, so that those that hang do not make the load any lighter."""
    asked = drawn_questions(ARRIVALS)
    asyncio.run(one_by_one(url, sorted(set(asked)), "tuned"))  # shapes that were not read before take longer once
    alone = asyncio.run(arriving(url, asked, "tuned"))
    beside = asyncio.run(arriving(url, asked, "hybrid"))
    accepted = [at for at, reply in beside.items() if not reply.failed and by_reader(reply.answer)]
    before, after = (percentile(sorted(replies[at].seconds for at in accepted), 0.99) * 1000 for replies in (alone, beside))
    note = (
        f"{after:.0f} ms against {before:.0f} ms in tuned mode, {PER_SECOND:g} questions a second,"
        f" {ARRIVALS - len(accepted)} of {ARRIVALS} went to the frontier, which never answers"
    )
    return at_most("accepted reader answers while the frontier hangs, p99", after / before, 2, "x", n=len(accepted), note=note)


async def one_by_one(url: str, questions: Sequence[str], mode: Mode) -> list[Reply]:
    async with Client.connected(url) as client:
        return [await client.ask(question_body(question, mode, top_k=TOP_K)) for question in questions]


async def alternating(url: str, questions: Sequence[str], requests: Sequence[Json]) -> tuple[list[float], list[float]]:
    """Milliseconds of ours and of the bare SDK; who goes first changes each time."""
    ours: list[float] = []
    bare: list[float] = []
    async with Client.connected(url) as client, AsyncAnthropic(max_retries=0) as sdk:

        async def ask_us(at: int) -> None:
            reply = await client.ask(question_body(questions[at], "frontier", top_k=TOP_K))
            if reply.failed:
                raise AssertionError(f"{questions[at]!r} failed: {reply.body!r}")
            ours.append(reply.seconds * 1000)

        async def ask_sdk(at: int) -> None:
            began = time.perf_counter()
            async for _ in await sdk.messages.create(**requests[at], stream=True):
                pass
            bare.append((time.perf_counter() - began) * 1000)

        for at in range(len(questions)):
            for ask in (ask_us, ask_sdk) if at % 2 else (ask_sdk, ask_us):
                await ask(at)
    return ours, bare


async def crowd(url: str, *, stream: bool) -> tuple[list[tuple[float, Reply]], float]:
    """Clients that ask again as soon as they are answered: every reply and when it was whole, and when they all began."""
    replies: list[tuple[float, Reply]] = []
    bodies = [question_body(question, "frontier", top_k=TOP_K, stream=stream) for question in drawn_questions(1000)]
    began = time.perf_counter()

    async def ask_on(number: int) -> None:
        dice = Random(number)
        async with Client.connected(url) as client:
            while time.perf_counter() < began + LEAD_SECONDS + SECONDS:
                reply = await client.ask(dice.choice(bodies))
                replies.append((time.perf_counter(), reply))

    await asyncio.gather(*map(ask_on, range(CLIENTS)))
    return replies, began


async def arriving(url: str, questions: Sequence[str], mode: Mode) -> dict[int, Reply]:
    """The replies by place in the row; what still hangs when the others are done is given up."""
    dice = Random(SEED)
    replies: dict[int, Reply] = {}

    async def ask(at: int) -> None:
        async with Client.connected(url) as client:
            replies[at] = await client.ask(question_body(questions[at], mode, top_k=TOP_K))

    tasks = []
    for at in range(len(questions)):
        tasks.append(asyncio.create_task(ask(at)))
        await asyncio.sleep(dice.expovariate(PER_SECOND))
    _, hanging = await asyncio.wait(tasks, timeout=1)
    for task in hanging:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    return replies


def by_reader(answer: Json) -> bool:
    return answer["tier"] == READER and not answer["abstained"]


def different_questions(n: int) -> list[str]:
    """Those of examples/, and then the same in other words: no two are equal, and the stand-in knows them all."""
    rows = (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    plain = [str(json.loads(row)["question"]) for row in rows]
    return [*plain, *(f"Please tell me: {question}" for question in plain)][:n]


def built_requests(folder: str, questions: Sequence[str]) -> list[Json]:
    """What the server sends for them, built from the same parts."""
    settings = Settings(data_dir=Path(folder))
    stack, model, prefix = build_stack(settings), settings.frontier.models[0], build_prefix()
    snapshot = stack.retriever.published()
    requests: list[Json] = []
    for question in questions:
        evidence = stack.retriever.retrieve(question, local_scope(), snapshot, top_k=TOP_K, filters=Filters())
        prompt = build_prompt(prefix, question, evidence, ttl="5m")
        requests.append({"model": model.name, "max_tokens": model.max_tokens, "system": prompt.system(), "messages": prompt.messages()})
    return requests


def require_equal_prompts(double: str) -> None:
    """That server and bare SDK have sent the same: as many tokens for every question."""
    lengths: dict[str, set[int]] = {}
    for entry in read_json(f"{double}/stand-in/books")["entries"]:
        tokens = sum(entry["tokens"].values()) - entry["tokens"]["output"]
        lengths.setdefault(entry["question"], set()).add(tokens)
    if unequal := [question for question, found in lengths.items() if len(found) > 1]:
        raise AssertionError(f"server and SDK sent other prompts for {unequal[:3]}")


def at_least(name: str, value: float, target: float, unit: str, *, n: int, note: str) -> Figure:
    return Figure(name=name, value=value, unit=unit, target=target, n=n, seed=SEED, note=note)


def share(read: int, written: int) -> float:
    return 100 * read / (read + written)


def read_json(url: str) -> Any:
    with urlopen(url) as reply:
        return json.load(reply)

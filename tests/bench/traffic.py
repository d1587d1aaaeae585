"""Questions by the thousand for real servers whose model goes wrong in every way, and clients that hang up."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.messages_api.books import Entry
from tests.messages_api.calls import HAIKU, SONNET
from tests.messages_api.faults import Fault, Received, every_fault
from tests.messages_api.server import MessagesApi

ROOT = Path(__file__).parents[2]
FAULTS = every_fault()
PREWARM = "-"
"""What a call asks that only writes the prompt cache."""
_LEAVES, _SILENT = ", leaves", ", silent"
_SETTINGS = {
    "FRONTIER__MODELS": f"{HAIKU},{SONNET}", "FRONTIER__SILENCE_SECONDS": "1.5", "FRONTIER__CONNECT_SECONDS": "2.0",
    "SERVER__REQUEST_SECONDS": "10", "LOG_LEVEL": "error",
}  # fmt: skip
"""Short patience, or the faults that are waited out would fill the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    question: str
    """No two are alike, so that every row and every call has its request."""
    mode: str
    streamed: bool
    silent: bool = False
    """Asked of a server whose API never accepts a connection."""

    @property
    def leaves(self) -> bool:
        return _LEAVES in self.question


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    case: Case
    body: dict[str, Any] | None
    """The answer, or the problem; None where the client hung up."""


class Dealt:
    """A random share of the calls goes wrong, each fault once before any comes again; those whose client leaves are slow, or stall."""

    def __init__(self, *, share: float, seed: int, faults: Sequence[Fault] = FAULTS) -> None:
        self._share = share
        self._faults = faults
        self._dice = random.Random(seed)
        self._deck: list[Fault] = []

    def fault(self, request: Received) -> Fault | None:
        if _LEAVES in request.body["messages"][-1]["content"][-1]["text"]:
            return self._dice.choice((Fault(kind="slow", seconds=3.0), Fault(kind="stall_before_text"), Fault(kind="stall_after_text")))
        if self._dice.random() >= self._share:
            return None
        if not self._deck:
            self._deck = self._dice.sample(self._faults, len(self._faults))
        return self._deck.pop()


def draw_cases(questions: Sequence[str], n: int, *, share: float, seed: int) -> list[Case]:
    """As many that cannot connect as there are of any other fault, and as many that leave; a fifth in hybrid mode, half of all streamed."""
    dice, each = random.Random(seed), max(2, round(n * share / len(FAULTS)))
    tags = dice.sample([_LEAVES] * each + [_SILENT] * each + [""] * (n - 2 * each), n)
    return [
        Case(
            question=f"{dice.choice(questions)} (request {number}{tag})", mode="frontier" if tag or dice.random() < 0.8 else "hybrid",
            streamed=dice.random() < 0.5, silent=tag == _SILENT,
        )
        for number, tag in enumerate(tags)
    ]  # fmt: skip


def asked_of(entry: Entry) -> str:
    """The question of the case that a call of the double belongs to."""
    return entry.question.removeprefix("Question: ")


@contextmanager
def serving(data: Path, api: str, **settings: str) -> Iterator[str]:
    """`understudy serve` before that API; at the end it finishes what runs, and is gone."""
    wanted = {f"UNDERSTUDY_{name}": value for name, value in (_SETTINGS | settings).items()}
    known = {"UNDERSTUDY_DATA_DIR": str(data), "ANTHROPIC_BASE_URL": api, "ANTHROPIC_API_KEY": "sk-test", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "api.cli", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, env=os.environ | wanted | known, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.terminate()


async def send_all(cases: Sequence[Case], double: MessagesApi, *, url: str, silent_url: str, at_once: int) -> list[Sent]:
    """Those that cannot connect all at the same time: once their circuit breaker has opened, the others would not even try."""
    places = asyncio.Semaphore(at_once)
    async with httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=None)) as client:

        async def send(case: Case) -> Sent:
            if case.silent:
                return await _send(client, silent_url, case)
            async with places:
                return await (_send_and_leave(client, url, case, double) if case.leaves else _send(client, url, case))

        return await asyncio.gather(*map(send, cases))


async def _send(client: httpx2.AsyncClient, url: str, case: Case) -> Sent:
    asked = {"question": case.question, "mode": case.mode, "stream": case.streamed}
    reply = await client.post(f"{url}/v1/answers", json=asked)
    if not case.streamed or reply.status_code != 200:
        return Sent(case=case, body=reply.json())
    last = [part for part in reply.text.split("\n\n") if part.startswith("event: ")][-1]
    return Sent(case=case, body=json.loads(last.partition("\ndata: ")[2]))


async def _send_and_leave(client: httpx2.AsyncClient, url: str, case: Case, double: MessagesApi) -> Sent:
    """Half a second after the model has the question."""
    asking = asyncio.create_task(_send(client, url, case))
    while not asking.done() and all(asked_of(entry) != case.question for entry in double.books.entries):
        await asyncio.sleep(0.05)
    await asyncio.wait([asking], timeout=0.5)
    if asking.done():
        return asking.result()
    asking.cancel()
    await asyncio.wait([asking])
    return Sent(case=case, body=None)

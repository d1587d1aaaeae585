"""A server's app before the double of Claude's API: the reader unsure of everything, and one or two models behind it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from starlette.testclient import TestClient

from api.app import create_app
from api.stack import Stack, open_engine
from api.worker import Worker
from core.protocols import Tier
from core.schema import answers, attempts
from core.settings import ServerSettings, Settings
from generation.answer import Answerer
from generation.cascade import WhenFailing
from tests.doubles import FirstWordTier, FixedRetriever
from tests.generation.claude import HIT, claude, guarded


@contextmanager
def served(
    folder: Path, *models: str, seconds: float = 10.0, when_failing: WhenFailing = "next", confidence: float = 0.2, **changed: Any
) -> Iterator["Served"]:
    """`seconds` for an answer; `changed` goes to the guards of the models."""
    settings = Settings(data_dir=folder, server=ServerSettings(request_seconds=seconds))
    engine = open_engine(settings)
    claudes = [guarded(claude(model), **changed) for model in models]
    retriever = FixedRetriever([HIT])
    tiers: dict[str, Tier] = {"reader": FirstWordTier(confidence=confidence), **{tier.name: tier for tier in claudes}}
    answerer = Answerer(retriever=retriever, tiers=tiers, hybrid_threshold=0.5, when_failing=when_failing)
    stack = Stack(
        settings=settings, engine=engine, retriever=retriever, answerer=answerer, worker=Worker(engine, ["false"]),
        closings=[tier.close for tier in claudes],
    )  # fmt: skip
    app = create_app(stack)
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 40000), raise_server_exceptions=False) as client:
        yield Served(client=client, stack=stack)
    engine.dispose()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int
    body: dict[str, Any]
    """The answer, or the problem."""
    headers: dict[str, str]
    text: str = ""
    """What was streamed before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    client: TestClient
    stack: Stack

    def ask(self, question: str, mode: str, *, streamed: bool = False) -> Reply:
        reply = self.client.post("/v1/answers", json={"question": question, "mode": mode, "stream": streamed})
        if not streamed or reply.status_code != 200:
            return Reply(status=reply.status_code, body=reply.json(), headers=dict(reply.headers))
        events = [_event(part) for part in reply.text.split("\n\n") if part.startswith("event: ")]
        text = "".join(data["text"] for name, data in events if name == "text")
        name, last = events[-1]
        return Reply(status=200 if name == "answer" else last["status"], body=last, headers=dict(reply.headers), text=text)

    def recorded(self) -> list[Any]:
        """Every attempt that was kept, with the answer's mode."""
        rows = select(attempts, answers.c.mode).join(answers).order_by(answers.c.at, attempts.c.position)
        with self.stack.engine.connect() as connection:
            return list(connection.execute(rows))


def _event(part: str) -> tuple[str, dict[str, Any]]:
    name, data = part.split("\n", 1)
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

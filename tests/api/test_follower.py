"""A server has a new version open before a request needs it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from core.errors import CorruptIndex
from core.types import Snapshot
from tests.api.conftest import MakeStack
from tests.doubles import FixedRetriever

WITHIN_SECONDS = 1.0


class Watched(FixedRetriever):
    """Remembers which versions were opened, and cannot open some."""

    def __init__(self, version: int | None, *, broken: int | None = None) -> None:
        super().__init__(version=version)
        self.broken = broken
        self.opened: list[tuple[int, int]] = []

    def check(self, snapshot: Snapshot) -> None:
        self.opened.append((snapshot.version, threading.get_ident()))
        if snapshot.version == self.broken:
            raise CorruptIndex("it is damaged")


def happens(condition: Callable[[], bool], *, within: float = WITHIN_SECONDS) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("first", [None, 7])
def test_publication_is_followed_within_a_second_and_off_the_event_loop(make_stack: MakeStack, first: int | None) -> None:
    retriever = Watched(first)
    with TestClient(create_app(replace(make_stack(), retriever=retriever))) as client:
        client.get("/healthz")
        retriever.version = 8
        assert happens(lambda: 8 in dict(retriever.opened))
    assert dict(retriever.opened)[8] != threading.get_ident()


def test_version_that_cannot_be_opened_ends_nothing(make_stack: MakeStack) -> None:
    retriever = Watched(7, broken=8)
    with TestClient(create_app(replace(make_stack(), retriever=retriever))) as client:
        retriever.version = 8
        assert happens(lambda: 8 in dict(retriever.opened))
        retriever.version = 9
        assert happens(lambda: 9 in dict(retriever.opened))
        assert client.get("/healthz").status_code == 200


def test_following_ends_with_the_server(make_stack: MakeStack) -> None:
    retriever = Watched(7)
    with TestClient(create_app(replace(make_stack(), retriever=retriever))):
        assert happens(lambda: bool(retriever.opened))
    looked = len(retriever.opened)
    time.sleep(WITHIN_SECONDS)
    assert len(retriever.opened) == looked

"""A Qdrant server, as its client plays it in memory, in a process of its own: it stays when the one that writes to it is killed.

What had reached it by then it still does, as a server would.
"""

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from qdrant_client import QdrantClient

LASTING = ("upsert", "delete", "set_payload", "create_collection", "delete_collection", "create_payload_index")


class RemoteQdrant:
    """The client of it that one process has; connects at its first call."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._connection: Connection[Any, Any] | None = None

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(self.call, method)

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        if self._connection is None:
            self._connection = Client(str(self._socket), "AF_UNIX")
        self._connection.send((method, arguments, named))
        result = self._connection.recv()
        if isinstance(result, Exception):
            raise result
        return result


@contextmanager
def running(socket: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "tests.crash.qdrant", str(socket)])
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield
    finally:
        process.kill()
        process.wait()


def _serve(socket: str) -> None:
    warnings.simplefilter("ignore")  # payload indexes make no difference in memory
    client, lock = QdrantClient(":memory:"), Lock()
    with Listener(socket, "AF_UNIX", backlog=16) as listener:
        while True:
            Thread(target=_answer, args=(listener.accept(), client, lock), daemon=True).start()


def _answer(connection: "Connection[Any, Any]", client: QdrantClient, lock: Any) -> None:
    with connection, suppress(EOFError, OSError):
        while True:
            method, arguments, named = connection.recv()
            connection.send(_done(client, lock, method, arguments, named))


def _done(client: QdrantClient, lock: Any, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    with lock:
        try:
            return getattr(client, method)(*arguments, **named)
        except Exception as error:
            return error


if __name__ == "__main__":
    _serve(sys.argv[1])

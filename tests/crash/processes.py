"""Children by fork: everything is imported already, so one costs milliseconds. Only a process without threads may do this."""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    killed: bool
    told: Any = None
    """What the work returned, where it came to its end."""
    error: str = ""


class Child:
    """`work` gets a call that says that it has begun; what it returns must be JSON."""

    def __init__(self, work: Callable[[Callable[[], None]], Any]) -> None:
        inward, outward = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(inward)
            _live(work, outward)
        os.close(outward)
        self._pipe = os.fdopen(inward, "rb")

    def await_beginning(self) -> None:
        self._pipe.read(1)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> Ended:
        told = self._pipe.read().lstrip(b"\n")
        self._pipe.close()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return Ended(killed=True)
        answer = json.loads(told) if told else {"error": f"a child ended with status {status} and without a word"}
        return Ended(killed=False, **answer)

    def is_alive(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG) == (0, 0)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # a signal to oneself may come a moment later


def _live(work: Callable[[Callable[[], None]], Any], pipe: int) -> None:
    status = 1
    try:
        answer: dict[str, Any] = {"told": work(lambda: _write(pipe, b"\n"))}
        status = 0
    except BaseException:
        answer = {"error": traceback.format_exc()}
    _write(pipe, json.dumps(answer).encode())
    sys.stdout.flush()
    os._exit(status)


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]

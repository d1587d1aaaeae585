"""Parses untrusted files in a child process that is replaced when it hangs, grows too large or dies."""

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.errors import ParseFailed, Unavailable
from ingest.parsed import Block, Parsed

_ROOT = Path(__file__).parents[1]
_MEMORY = 3 * 1024**3
_PIECE = 1 << 16
_LARGE = 10_000_000  # bytes from which on a file may take longer than others
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE")
_START_SECONDS = 60.0


class Sandbox:
    """Start it with `with`; the child starts with the first file and ends with the block."""

    def __init__(self, *, seconds: float, memory: int = _MEMORY) -> None:
        self._seconds = seconds
        self._memory = memory
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def parse(self, content: bytes, media_type: str) -> Parsed:
        """Raises ParseFailed with the reason; the next file gets a fresh child if this one broke it."""
        seconds = self._seconds * max(1.0, len(content) / _LARGE)
        job = {"media_type": media_type, "length": len(content), "seconds": seconds}
        child = self._running()
        try:
            answer = _exchange(child, json.dumps(job).encode() + b"\n" + content, time.monotonic() + seconds)
        except (TimeoutError, EOFError, BrokenPipeError) as error:
            self._stop()
            raise ParseFailed(_reason(error, seconds)) from error
        except BaseException:
            self._stop()
            raise
        return _parsed(json.loads(answer))

    def _running(self) -> "subprocess.Popen[bytes]":
        """Starting takes none of a file's time."""
        if self._child is None or self._child.poll() is not None:
            self._stop()
            self._child = _start(self._memory)
            try:
                _exchange(self._child, b"", time.monotonic() + _START_SECONDS)
            except (TimeoutError, EOFError) as error:
                self._stop()
                raise Unavailable("the process that reads files cannot be started: is there enough memory?") from error
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


def _reason(error: BaseException, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"took longer than {seconds:g} s to read (UNDERSTUDY_INGEST__PARSE_SECONDS is the limit for each 10 MB of it)"
    return "broke its parser (it may be damaged, or need more memory than a file may take: then split it)"


def _start(memory: int) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        [sys.executable, "-m", "ingest.worker", str(memory)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, env=_environment(),
    )  # fmt: skip
    assert child.stdin is not None and child.stdout is not None
    os.set_blocking(child.stdin.fileno(), False)
    os.set_blocking(child.stdout.fileno(), False)
    return child


def _environment() -> dict[str, str]:
    """What Python needs to start, and none of the keys that the parent has: a file that takes the parser over finds nothing."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"PYTHONPATH": path}


def _exchange(child: "subprocess.Popen[bytes]", request: bytes, deadline: float) -> bytes:
    """Write the request and read one line, in whatever order the pipes allow."""
    assert child.stdin is not None and child.stdout is not None
    inward, outward = child.stdin.fileno(), child.stdout.fileno()
    answer = bytearray()
    unsent = memoryview(request)
    with selectors.DefaultSelector() as pipes:
        if unsent:
            pipes.register(inward, selectors.EVENT_WRITE)
        pipes.register(outward, selectors.EVENT_READ)
        while not answer.endswith(b"\n"):
            ready = pipes.select(timeout=max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == inward:
                    unsent = unsent[os.write(inward, unsent[:_PIECE]) :]
                    if not unsent:
                        pipes.unregister(inward)
                else:
                    answer += _read(outward)
    return bytes(answer)


def _read(pipe: int) -> bytes:
    piece = os.read(pipe, 1 << 20)
    if not piece:
        raise EOFError
    return piece


def _parsed(answer: dict[str, Any]) -> Parsed:
    if "failed" in answer:
        raise ParseFailed(answer["failed"])
    blocks = tuple(Block(kind=kind, start=start, end=end, level=level) for kind, start, end, level in answer["blocks"])
    return Parsed(title=answer["title"], text=answer["text"], blocks=blocks)

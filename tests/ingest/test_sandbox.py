"""What hostile files can do to their parser must cost one file and a moment."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import ParseFailed
from ingest.sandbox import Sandbox

ROOT = Path(__file__).parents[2]


def test_sandbox_parses_like_the_parser() -> None:
    with Sandbox(seconds=20) as sandbox:
        parsed = sandbox.parse("# Ä\n\nWörter.".encode(), "text/markdown")
        assert (parsed.text, parsed.blocks[0].kind, parsed.first_heading) == ("Ä\n\nWörter.", "heading", "Ä")
        with pytest.raises(ParseFailed, match="is empty"):
            sandbox.parse(b"", "text/markdown")
        assert sandbox.parse(b"x" * 3_000_000, "text/plain").text == "x" * 3_000_000


def test_endless_parsing_is_ended_and_the_next_file_is_read() -> None:
    with Sandbox(seconds=0.5) as sandbox:
        started = time.monotonic()
        with pytest.raises(ParseFailed, match=r"longer than 0\.5 s"):
            sandbox.parse(endless(), "text/markdown")
        assert time.monotonic() - started < 5
        assert sandbox.parse(b"Words.", "text/plain").text == "Words."


def test_greedy_parsing_is_ended_and_the_next_file_is_read() -> None:
    with Sandbox(seconds=30, memory=250_000_000) as sandbox:
        with pytest.raises(ParseFailed, match="memory"):
            sandbox.parse(json.dumps([{"a": 1}] * 2_000_000).encode(), "application/json")
        assert sandbox.parse(b"Words.", "text/plain").text == "Words."


def test_killed_parser_is_replaced() -> None:
    with Sandbox(seconds=20) as sandbox:
        sandbox.parse(b"Words.", "text/plain")
        child = sandbox._child
        assert child is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert sandbox.parse(b"Words.", "text/plain").text == "Words."


def test_orphaned_parser_ends_by_itself() -> None:
    child = subprocess.Popen([sys.executable, "-m", "ingest.worker", "1000000000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdin is not None and child.stdout is not None
    content = endless()
    child.stdin.write(json.dumps({"media_type": "text/markdown", "length": len(content), "seconds": 0.5}).encode() + b"\n" + content)
    child.stdin.flush()
    assert child.wait(timeout=30) == -signal.SIGALRM
    child.stdin.close()
    child.stdout.close()


def endless() -> bytes:
    """Markdown that takes minutes."""
    return b"*a **b " * 300_000


def test_parser_is_told_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_QDRANT__API_KEY", "secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    with Sandbox(seconds=20) as sandbox:
        sandbox.parse(b"Words.", "text/plain")
        child = sandbox._child
        assert child is not None
        environment = Path(f"/proc/{child.pid}/environ")
        if not environment.exists():
            pytest.skip("this system does not show a process's environment")
        assert b"secret" not in environment.read_bytes()

"""Runs `git`: never through a shell, never asking anybody, with nothing of the user's surroundings but credentials and proxies."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from core.errors import Unavailable
from ingest.git.address import without_secrets

_CONFIG = (
    "core.hooksPath=/dev/null", "protocol.ext.allow=never", "gc.auto=0", "maintenance.auto=false", "fetch.recurseSubmodules=false",
    "http.lowSpeedLimit=1", "http.lowSpeedTime=30", "advice.fetchShowForcedUpdates=false",
)  # fmt: skip
_SETTINGS = {
    "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "file:https:ssh", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0",
    "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C",
}  # fmt: skip
# Of a git that called us, as from a hook: they would point our git at its repository.
_FOREIGN = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR",
    "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT",
    "GIT_REPLACE_REF_BASE", "GIT_QUARANTINE_PATH", "GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE",
)  # fmt: skip


def command_line(*arguments: str, folder: Path | None = None) -> list[str]:
    where = [] if folder is None else [f"--git-dir={folder}"]
    return ["git", *(part for setting in _CONFIG for part in ("-c", setting)), *where, *arguments]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN} | _SETTINGS


def run_git(*arguments: str, folder: Path | None = None, seconds: float) -> bytes:
    """What it writes to stdout. Raises Unavailable with git's own reason, free of secrets."""
    with start_git(*arguments, folder=folder, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise took_too_long(seconds) from error
        finally:
            end_git(process)
    require_success(process, err)
    return out


def require_success(process: "subprocess.Popen[bytes]", complaints: bytes) -> None:
    """Raises Unavailable with git's own reason, free of secrets."""
    if process.returncode != 0:
        raise Unavailable(_reason(complaints.decode(errors="replace")))


def took_too_long(seconds: float) -> Unavailable:
    return Unavailable(f"git took longer than {seconds:g} s (UNDERSTUDY_INGEST__GIT_SECONDS is the limit)")


def start_git(*arguments: str, folder: Path | None = None, stderr: int = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
    """A session of its own, without a terminal: neither git nor ssh can ask for a password there."""
    is_fed = "--batch" in arguments
    try:
        return subprocess.Popen(
            command_line(*arguments, folder=folder), env=environment(), start_new_session=True,
            stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Unavailable("git sources need the program `git`, which is not installed here") from error


def end_git(process: "subprocess.Popen[bytes]") -> None:
    """With what it has started: a fetch is a family of processes."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _reason(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:", "ssh:", "remote:"))] or lines[-1:]
    return without_secrets("; ".join(dict.fromkeys(told[:3])))[:500] or "git failed without a reason"

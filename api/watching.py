"""`understudy sync --watch`, and the child of `understudy serve --watch` that runs it."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

import typer
from rich.console import Console

from api.auth import DEFAULT_TENANT, local_scope
from api.errors import problem, problem_of
from api.logs import LOG
from api.schemas import SyncReply
from api.stack import open_target
from api.terminal import show_report
from api.writing import ALL_WELL, start_writing
from core.errors import UnderstudyError
from core.settings import read_settings
from core.types import Json, SyncReport
from ingest.target import ignore_progress
from ingest.watch import Pace, watch

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_PATIENCE_SECONDS = 10.0


def run_watch(*, tenant: str, as_json: bool, with_parent: bool) -> int:
    """Until Ctrl-C or SIGTERM, or until the process ends that started this one, where it is bound to that."""
    start_writing()
    settings = read_settings()
    target = open_target(settings, local_scope(tenant), ignore_progress)
    target.embedder.embed_query("warm up")  # the first change takes no longer than the next
    parent = os.getppid()
    pace = Pace(**settings.watch.model_dump())
    if not as_json:
        typer.echo("Watching the sources; Ctrl-C ends it.", err=True)
    try:
        watch(target, pace, _Told(as_json=as_json), lambda: not with_parent or os.getppid() == parent)
    except KeyboardInterrupt:
        if not as_json:
            typer.echo("Stopped; what was published is still there.", err=True)
    return ALL_WELL


class _Told:
    """A line of JSON for each sync, or what a person reads."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._out = Console(highlight=False, soft_wrap=True)

    def synced(self, report: SyncReport) -> None:
        reply = SyncReply.model_validate(report)
        if self._as_json:
            typer.echo(reply.model_dump_json())
        else:
            show_report(self._out, reply)

    def failed(self, error: Exception, pause: float) -> None:
        told = problem_of(error) if isinstance(error, UnderstudyError) else _unexpected(error)
        if self._as_json:
            typer.echo(json.dumps(told))
        typer.echo(f"understudy: {' '.join(str(told['detail']).split())}; tried again in {pause:g} s", err=True)


def _unexpected(error: Exception) -> Json:
    return problem("unexpected", "Unexpected error", 500, f"a bug: {type(error).__name__}: {error}")


class Watcher:
    """Within its block a watching child runs beside a server, and is started again when it dies."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self._command = [*command, "sync", "--watch", "--with-parent", "--json", f"--tenant={DEFAULT_TENANT}"]
        self._environment = environment
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """A sync that runs is broken off: what it had not published is built again by the next one."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                said_something = self._follow()
            except OSError as error:
                said_something = False
                LOG.warning("watcher could not be started", reason=str(error))
            pause = _FIRST_PAUSE_SECONDS if said_something else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)

    def _follow(self) -> bool:
        """Until the child ends; whether it had reported anything."""
        reported = False
        with subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace", start_new_session=True,
        ) as self._process:  # fmt: skip
            if self._stopping.is_set():  # the end came before there was a child to end
                self._process.terminate()
            for line in self._process.stdout or ():
                reported |= _log(line.strip())
        if not self._stopping.is_set():
            LOG.warning("watcher ended and is started again", code=self._process.returncode)
        return reported


def _log(line: str) -> bool:
    """Whether the line was a report."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if isinstance(told, dict) and "version" in told:
        LOG.info("synced", **told)
        return True
    LOG.warning("watcher said", said=line[:1000])
    return False

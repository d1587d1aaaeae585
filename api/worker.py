"""Runs what writes the index in a child process: building a version holds the GIL for seconds, and serving must go on."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.errors import error_of
from api.jobs import close_job, note_progress, open_job
from api.logs import LOG
from core.errors import SyncRunning, Unavailable, UnderstudyError
from core.types import Json, Scope

_PROGRESS_SECONDS = 0.5
_KEPT_CHARACTERS = 4000


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    job_id: str
    report: Future[Json]


class Worker:
    """One child at a time; its lines of progress and its report go into the jobs table."""

    def __init__(self, engine: Engine, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        self._engine = engine
        self._command = list(command)
        self._environment = environment
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        self._lock = Lock()
        self._job: Job | None = None
        self._process: subprocess.Popen[str] | None = None
        self._asking = Lock()
        self._asked: subprocess.Popen[str] | None = None
        self._stopping = False

    @property
    def running(self) -> bool:
        return self._job is not None and not self._job.report.done()

    def start(self, scope: Scope, arguments: Sequence[str]) -> Job:
        """Start the command for a tenant; raises SyncRunning while an earlier one runs."""
        with self._lock:
            if self.running:
                raise SyncRunning()
            job_id = open_job(self._engine, scope)
            self._job = Job(job_id=job_id, report=self._threads.submit(self._follow, job_id, self._line(scope, arguments)))
            return self._job

    def ask(self, scope: Scope, arguments: Sequence[str]) -> Json:
        """What a command that writes nothing says in the end; it runs beside a job, one at a time."""
        with self._asking, TemporaryFile("w+", errors="replace") as complaints:
            with self._started(self._line(scope, arguments), complaints) as self._asked:
                last = self._read_lines(lambda _: None, self._asked)
            return _outcome(last, self._asked.returncode, complaints)

    def _line(self, scope: Scope, arguments: Sequence[str]) -> list[str]:
        return [*self._command, *arguments, "--json", "--progress-lines", f"--tenant={scope.tenant}"]

    def stop(self) -> None:
        """End a running child: what it had not published is built again by the next sync."""
        self._stopping = True
        for child in (self._process, self._asked):
            if child is not None:
                child.terminate()
        self._threads.shutdown(wait=True)

    def _follow(self, job_id: str, command: list[str]) -> Json:
        try:
            report = self._run(job_id, command)
        except Exception as error:
            known = isinstance(error, UnderstudyError)
            if not known:
                LOG.exception("sync broke", job_id=job_id)
            said = str(error) if known else f"something broke inside the server: look for job {job_id} in its log, then sync again"
            with contextlib.suppress(SQLAlchemyError):
                close_job(self._engine, job_id, report=None, error=said)
            raise
        close_job(self._engine, job_id, report=report, error=None)
        return report

    def _run(self, job_id: str, command: list[str]) -> Json:
        with TemporaryFile("w+", errors="replace") as complaints:
            with self._started(command, complaints) as self._process:
                if self._stopping:  # `stop` came before there was a child to end
                    self._process.terminate()
                last = self._read_lines(partial(note_progress, self._engine, job_id), self._process)
            return _outcome(last, self._process.returncode, complaints)

    def _started(self, command: list[str], complaints: IO[str]) -> subprocess.Popen[str]:
        """A session of its own: Ctrl-C reaches the server alone, which then ends the child."""
        try:
            return subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True,
                encoding="utf-8", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"the sync process could not be started: {error}") from error

    def _read_lines(self, note: Callable[[Json], None], process: subprocess.Popen[str]) -> Json:
        """The last line, which is the report or a problem; those before are progress."""
        last: Json = {}
        noted = 0.0
        for line in process.stdout or ():
            last = _parsed(line)
            if "step" in last and time.monotonic() - noted >= _PROGRESS_SECONDS:
                noted = time.monotonic()
                with contextlib.suppress(SQLAlchemyError):  # a sync does not end because nobody can be told how far it is
                    note(last)
        return last


def _outcome(last: Json, code: int, complaints: IO[str]) -> Json:
    """The report, or the error that the child told of."""
    if "version" in last:
        return last
    complaints.seek(0)
    LOG.warning("sync process failed", code=code, said=complaints.read()[-_KEPT_CHARACTERS:].strip())
    if "detail" in last:
        raise error_of(last)
    raise Unavailable(f"the sync process ended with code {code} and no report: what was published before is still served; sync again")


def _parsed(line: str) -> Json:
    try:
        parsed = json.loads(line)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}

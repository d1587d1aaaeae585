"""The child process and its job, when something else than the sync goes wrong."""

import subprocess
import sys
import time
from typing import IO

import pytest
from sqlalchemy import text

from api.auth import local_scope
from api.jobs import read_job
from api.worker import Worker
from tests.api.conftest import MakeStack
from tests.api.test_index import PROGRESS, REPORT, says


class SlowToStart(Worker):
    def _started(self, command: list[str], complaints: IO[str]) -> subprocess.Popen[str]:
        time.sleep(0.3)
        return super()._started(command, complaints)


class Broken(Worker):
    def _started(self, command: list[str], complaints: IO[str]) -> subprocess.Popen[str]:
        raise RuntimeError("secret words")


def test_job_is_closed_by_an_error_that_nobody_foresaw(make_stack: MakeStack) -> None:
    stack = make_stack()
    worker = Broken(stack.engine, [])
    job = worker.start(local_scope(), ("sync",))
    with pytest.raises(RuntimeError):
        job.report.result(timeout=10)
    worker.stop()
    told = read_job(stack.engine, local_scope(), job.job_id)
    assert (told.state, told.error) == (
        "failed",
        f"something broke inside the server: look for job {job.job_id} in its log, then sync again",
    )


def test_sync_ends_well_though_its_progress_cannot_be_noted(make_stack: MakeStack) -> None:
    stack = make_stack(script=says(PROGRESS, REPORT))
    with stack.engine.begin() as connection:
        connection.execute(text("CREATE TRIGGER no_progress BEFORE UPDATE OF progress ON jobs BEGIN SELECT RAISE(ABORT, 'locked'); END"))
    job = stack.start_writing(local_scope(), ("sync",))
    assert job.report.result(timeout=30) == REPORT
    assert read_job(stack.engine, local_scope(), job.job_id).state == "done"


def test_stop_does_not_wait_for_a_child_that_is_only_being_started(make_stack: MakeStack) -> None:
    worker = SlowToStart(make_stack().engine, [sys.executable, "-c", says(PROGRESS, seconds=20)])
    job = worker.start(local_scope(), ("sync",))
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 10
    assert "code -15" in str(job.report.exception())

"""Syncs that this server started, kept in SQL so that any process can say how they stand."""

import time
import uuid

from sqlalchemy import Engine, select

from api.question import is_storable
from api.schemas import JobReply
from core.errors import NotFound
from core.schema import jobs
from core.types import Json, Scope


def open_job(engine: Engine, scope: Scope) -> str:
    job_id = uuid.uuid4().hex
    row = {"job_id": job_id, "tenant": scope.tenant, "state": "running", "progress": {}, "started_at": time.time()}
    with engine.begin() as connection:
        connection.execute(jobs.insert().values(row))
    return job_id


def note_progress(engine: Engine, job_id: str, progress: Json) -> None:
    _update(engine, job_id, {"progress": progress})


def close_job(engine: Engine, job_id: str, *, report: Json | None, error: str | None) -> None:
    _update(engine, job_id, {"state": "done" if error is None else "failed", "report": report, "error": error, "ended_at": time.time()})


def close_orphans(engine: Engine) -> None:
    """Fail the jobs that a dead server left running; call it only while no sync runs."""
    orphaned = {"state": "failed", "error": "the server ended before this job did: start it again", "ended_at": time.time()}
    with engine.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.state == "running").values(orphaned))


def read_job(engine: Engine, scope: Scope, job_id: str) -> JobReply:
    with engine.connect() as connection:
        found = select(jobs).where(jobs.c.job_id == job_id, jobs.c.tenant == scope.tenant)
        row = connection.execute(found).one_or_none() if is_storable(job_id) else None
    if row is None:
        raise NotFound(f"no job {job_id!r}: POST /v1/index/sync gives the id of the job that it starts")
    return JobReply.model_validate(row)


def _update(engine: Engine, job_id: str, values: Json) -> None:
    with engine.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.job_id == job_id).values(values))

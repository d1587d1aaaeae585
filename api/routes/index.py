"""Re-index: `GET /v1/index`, `POST /v1/index/sync` and the jobs that it starts."""

import asyncio
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Response

from api.catalog import read_index, require_syncable
from api.deps import AdminScope, AskScope, StackDep
from api.examples import PREVIEW, REPORT
from api.jobs import read_job
from api.problems import responses
from api.schemas import IndexReply, JobReply, JobStarted, PreviewReply, SyncReply
from api.verifying import VerifyReply

router = APIRouter(prefix="/v1", tags=["index"])


@router.get("/index", summary="Show the index", response_model=IndexReply, responses=responses(401, 403))
def get_index(scope: AskScope, stack: StackDep) -> IndexReply:
    """The published version, what it holds, where it comes from, and whether a sync runs."""
    return read_index(stack.engine, scope, sync_running=stack.sync_running(), progress=stack.sync_progress(scope))


@router.post(
    "/index/sync", summary="Read every source again", response_model=SyncReply | PreviewReply,
    responses=responses(401, 403, 409, 422, 503, 507) | {
        200: {"content": {"application/json": {"examples": {"done": {"value": REPORT}, "dry_run": {"value": PREVIEW}}}}},
        202: {"model": JobStarted, "description": "Started: poll the job."},
    },
)  # fmt: skip
async def post_sync(
    response: Response,
    scope: AdminScope,
    stack: StackDep,
    wait: Annotated[bool, Query(description="Answer when it is done.", examples=[True])] = False,
    release: Annotated[bool, Query(description="Also where a rollback holds the sources, which ends that.", examples=[True])] = False,
    dry_run: Annotated[bool, Query(description="Say what would change and what it would cost; write nothing.", examples=[False])] = False,
) -> SyncReply | PreviewReply | Response:
    """Index what was added or changed, drop what is gone, and publish. What was published before is served until then."""
    if dry_run:
        return PreviewReply.model_validate(await to_thread.run_sync(stack.worker.ask, scope, ("sync", "--dry-run")))
    if not release:
        await to_thread.run_sync(require_syncable, stack.engine, scope)
    job = await to_thread.run_sync(stack.start_writing, scope, ("sync", "--release") if release else ("sync",))
    if not wait:
        return Response(JobStarted(job_id=job.job_id).model_dump_json(), status_code=202, media_type="application/json")
    return SyncReply.model_validate(await asyncio.wrap_future(job.report))


@router.post("/index/rebuild", summary="Build the index again", response_model=SyncReply, responses=responses(401, 403, 409, 503, 507))
async def post_rebuild(scope: AdminScope, stack: StackDep) -> SyncReply:
    """Make a fresh index from the database, without reading a source, and publish it; what is published answers until then.

    Nothing is embedded, unless the server's settings name another embedder or chunker than made what is published.
    """
    job = await to_thread.run_sync(stack.start_writing, scope, ("rebuild",))
    return SyncReply.model_validate(await asyncio.wrap_future(job.report))


@router.get("/index/verify", summary="Verify the index", response_model=VerifyReply, responses=responses(401, 403, 404, 409, 422, 503))
async def get_verification(
    scope: AdminScope,
    stack: StackDep,
    everything: Annotated[bool, Query(alias="all", description="Every kept version, not only the published one.", examples=[True])] = False,
) -> VerifyReply:
    """Compare the index with the database, chunk by chunk, and say what differs; changes nothing."""
    arguments = ("verify", "--all") if everything else ("verify",)
    return VerifyReply.model_validate(await to_thread.run_sync(stack.worker.ask, scope, arguments))


@router.get("/jobs/{job_id}", summary="Show a job", response_model=JobReply, responses=responses(401, 403, 404, 422))
def get_job(job_id: str, scope: AdminScope, stack: StackDep) -> JobReply:
    """How a sync that was started without waiting stands, and its report at the end."""
    return read_job(stack.engine, scope, job_id)

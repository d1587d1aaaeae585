"""Look back: `GET /v1/index/versions`, `GET /v1/index/diff`; go back: `POST /v1/index/rollback`."""

import asyncio
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Query

from api.deps import AdminScope, AskScope, StackDep
from api.differences import LISTED_CHUNKS, DiffReply, Shown, read_diff
from api.problems import responses
from api.schemas import RollbackBody, RollbackReply
from api.versions import VersionsReply, list_versions
from core.versions import LARGEST_VERSION

router = APIRouter(prefix="/v1/index", tags=["index"])


@router.get("/versions", summary="List the kept versions", response_model=VersionsReply, responses=responses(401, 403, 422))
def get_versions(
    scope: AskScope, stack: StackDep,
    before: Annotated[int, Query(ge=1, le=LARGEST_VERSION, description="`next` of the page before.", examples=[8])] = LARGEST_VERSION,
    limit: Annotated[int, Query(ge=1, le=500, description="Versions on a page.", examples=[50])] = 50,
) -> VersionsReply:  # fmt: skip
    """The versions that can be asked, read and rolled back to, newest first, with what each of them changed.

    A version is one state of the whole installation, so that every tenant sees its number; what it holds and changed is told of the
    key's tenant alone.
    """
    return list_versions(stack.engine, scope, before=before, limit=limit)


@router.get("/diff", summary="Compare two versions", response_model=DiffReply, responses=responses(401, 403, 404, 409, 422))
def get_diff(
    scope: AskScope, stack: StackDep,
    one: Annotated[int, Query(alias="from", ge=1, le=LARGEST_VERSION, description="A kept version.", examples=[7])],
    other: Annotated[int, Query(alias="to", ge=1, le=LARGEST_VERSION, description="Another; it may be the older one.", examples=[8])],
    show: Annotated[Shown, Query(description="What to list of each document's chunks: nothing but their numbers, headings, or texts too.")]
    = "numbers",
    chunks: Annotated[int, Query(ge=1, le=1000, description="Chunks listed of a document at most.", examples=[20])] = LISTED_CHUNKS,
    offset: Annotated[int, Query(ge=0, le=LARGEST_VERSION, description="`next` of the page before.", examples=[0])] = 0,
    limit: Annotated[int, Query(ge=1, le=200, description="Documents on a page.", examples=[50])] = 50,
) -> DiffReply:  # fmt: skip
    """Which documents were added, removed, changed or renamed between two kept versions, and which of their chunks."""
    return read_diff(stack.engine, scope, one, other, show=show, chunks=chunks, offset=offset, limit=limit)


@router.post(
    "/rollback", summary="Go back to a version", response_model=RollbackReply,
    responses=responses(401, 403, 404, 409, 413, 415, 422, 503, 507),
)  # fmt: skip
async def post_rollback(body: Annotated[RollbackBody, Body()], scope: AdminScope, stack: StackDep) -> RollbackReply:
    """Publish the content of a kept version again, as a new version, and answer once it is there.

    The sources still say what they say, so they are held from then on: a sync is refused until one asks for `release`, and that one
    brings back what the sources hold by then. Documents that come over the API can still be put and taken out.
    """
    job = await to_thread.run_sync(stack.start_writing, scope, ("rollback", str(body.version)))
    return RollbackReply.model_validate(await asyncio.wrap_future(job.report))

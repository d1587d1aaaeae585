"""Single documents: read them as published, put one in, take one out."""

import asyncio
from typing import Annotated, TypeAlias

from anyio import to_thread
from fastapi import APIRouter, Query, Request

from api.catalog import list_documents, read_document, require_deletable
from api.deps import AdminScope, AskScope, StackDep
from api.problems import responses
from api.schemas import DocumentReply, DocumentsReply, ForgetReply, Storable, SyncReply
from api.uploads import checked_id, received, upload_description
from core.versions import LARGEST_VERSION

router = APIRouter(prefix="/v1/documents", tags=["documents"])

VersionQuery: TypeAlias = Annotated[
    int | None,
    Query(ge=1, le=LARGEST_VERSION, description="A kept version, as an answer's `index_version`; otherwise the newest.", examples=[7]),
]


@router.get("", summary="List the documents", response_model=DocumentsReply, responses=responses(401, 403, 404, 409, 422))
def get_documents(
    scope: AskScope, stack: StackDep,
    after: Annotated[Storable, Query(max_length=32, description="`next` of the page before.", examples=["9a0364b9e99bb480"])] = "",
    limit: Annotated[int, Query(ge=1, le=500, description="Documents on a page.", examples=[50])] = 50,
    version: VersionQuery = None,
) -> DocumentsReply:  # fmt: skip
    """A page of the documents of the newest or another kept version, in the order of their ids."""
    return list_documents(stack.engine, scope, after=after, limit=limit, as_of=version)


@router.get("/{document_id}", summary="Show a document", response_model=DocumentReply, responses=responses(401, 403, 404, 409, 422))
def get_document(document_id: str, scope: AskScope, stack: StackDep, version: VersionQuery = None) -> DocumentReply:
    """Its parsed text in the newest or another kept version: the quote of a citation from that version is `text[start:end]`."""
    return read_document(stack.engine, scope, document_id, as_of=version)


@router.put(
    "/{document_id}", summary="Put a document in", response_model=SyncReply, openapi_extra=upload_description(),
    responses=responses(401, 403, 409, 413, 415, 422, 503, 507),
)  # fmt: skip
async def put_document(document_id: str, request: Request, scope: AdminScope, stack: StackDep) -> SyncReply:
    """Add or replace one document, given as JSON or as an uploaded file (multipart/form-data, field `file`), and publish.

    The id is yours: up to 32 letters, digits, dots, dashes and underscores. Answers once the new version is published.
    """
    checked_id(document_id)
    async with received(request, stack.settings.data_dir) as upload:
        job = await to_thread.run_sync(stack.start_writing, scope, ("documents", "put", document_id, str(upload.path), *upload.options()))
        return SyncReply.model_validate(await asyncio.wrap_future(job.report))


@router.delete(
    "/{document_id}", summary="Take a document out", response_model=SyncReply, responses=responses(401, 403, 404, 409, 422, 503, 507)
)
async def delete_document(document_id: str, scope: AdminScope, stack: StackDep) -> SyncReply:
    """Take out a document that was put in over HTTP, and publish. Documents of folders go when their files go."""
    await to_thread.run_sync(require_deletable, stack.engine, scope, checked_id(document_id))
    job = await to_thread.run_sync(stack.start_writing, scope, ("documents", "delete", document_id))
    return SyncReply.model_validate(await asyncio.wrap_future(job.report))


@router.post(
    "/{document_id}/forget", summary="Forget a document", response_model=ForgetReply, responses=responses(401, 403, 404, 409, 422, 503, 507)
)
async def forget_document(document_id: str, scope: AdminScope, stack: StackDep) -> ForgetReply:
    """Erase a document of any kind at once: from the database, the index, every kept version and the recorded traffic.

    A file that it stands for stays where it is, and is not read again until it is named to `understudy ingest`.
    """
    job = await to_thread.run_sync(stack.start_writing, scope, ("documents", "forget", checked_id(document_id)))
    return ForgetReply.model_validate(await asyncio.wrap_future(job.report))

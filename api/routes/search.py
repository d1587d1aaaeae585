"""Search: `POST /v1/search`, the evidence without an answer."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body

from api.deps import AskScope, InferenceDep, StackDep
from api.problems import responses
from api.question import checked_question
from api.schemas import SearchBody, SearchReply
from api.search import search

router = APIRouter(prefix="/v1", tags=["ask"])


@router.post("/search", summary="Search the documents", response_model=SearchReply, responses=responses(401, 403, 404, 409, 413, 415, 422))
async def search_documents(body: Annotated[SearchBody, Body()], scope: AskScope, stack: StackDep, inference: InferenceDep) -> SearchReply:
    """The best chunks by dense vectors and BM25, fused; what an answer would be read from."""
    question = checked_question(body.question, limit=stack.settings.server.max_question_characters)
    top_k = body.top_k or stack.settings.retrieval.top_k
    return await to_thread.run_sync(
        search, stack.retriever, question, scope, top_k, body.filters.to_filters(), body.as_of, limiter=inference
    )

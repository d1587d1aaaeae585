"""Ask: `POST /v1/answers`."""

import time
from functools import partial
from typing import Annotated

from anyio import fail_after, to_thread
from fastapi import APIRouter, Body

from api.deps import AskScope, InferenceDep, MetricsDep, StackDep
from api.mode import read_mode
from api.problems import responses
from api.question import checked_question
from api.schemas import AnswerBody, AskBody
from core.errors import AllTiersFailed, Unavailable, UnderstudyError
from core.types import Mode
from generation.journal import record_answer

router = APIRouter(prefix="/v1", tags=["ask"])


@router.post("/answers", summary="Answer a question", response_model=AnswerBody, responses=responses(401, 403, 409, 413, 415, 422, 503))
async def answer_question(
    body: Annotated[AskBody, Body()], scope: AskScope, stack: StackDep, metrics: MetricsDep, inference: InferenceDep
) -> AnswerBody:
    """Read the published documents and answer with exact citations.

    Where no tier's answer can be trusted the answer is `abstained`, status 200, with the best passages as citations.
    """
    limits = stack.settings.server
    question = checked_question(body.question, limit=limits.max_question_characters)
    mode: Mode = (
        body.mode if body.mode is not None else await to_thread.run_sync(partial(read_mode, stack.engine, default=stack.settings.mode))
    )
    try:
        with fail_after(limits.request_seconds):
            async with inference:
                answer = await stack.answerer.answer(
                    question, scope, mode=mode, top_k=body.top_k or stack.settings.retrieval.top_k,
                    filters=body.filters.to_filters(), deadline=time.monotonic() + limits.request_seconds,
                )  # fmt: skip
    except TimeoutError as error:
        metrics.count_failure(mode)
        raise Unavailable(
            f"no answer within {limits.request_seconds:g} s: try again, or raise UNDERSTUDY_SERVER__REQUEST_SECONDS"
        ) from error
    except UnderstudyError as error:
        metrics.count_failure(mode)
        if isinstance(error, AllTiersFailed):
            await to_thread.run_sync(record_answer, stack.engine, scope, error.answer)
        raise
    await to_thread.run_sync(record_answer, stack.engine, scope, answer)
    metrics.count_answer(answer)
    return AnswerBody.model_validate(answer)

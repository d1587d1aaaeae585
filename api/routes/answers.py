"""Ask: `POST /v1/answers`."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from anyio import CancelScope, fail_after, to_thread
from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from api.deps import AskScope, MetricsDep, StackDep
from api.events import EventStream, Tell, event_of
from api.examples import STREAM
from api.leaving import done_unless_left
from api.metrics import Metrics
from api.mode import read_mode
from api.problems import responses
from api.question import checked_question
from api.schemas import AnswerBody, AskBody
from api.stack import Stack
from core.errors import AllTiersFailed, AnswerCancelled, Unavailable, UnderstudyError
from core.types import Answer, Filters, Mode, Scope
from generation.drafting import Hear
from generation.giving_up import RETRY_AFTER
from generation.journal import record_answer

router = APIRouter(prefix="/v1", tags=["ask"])

_LEFT = 499
"""The client went away; only the log sees it."""

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream` events `evidence`, `text`, `citation`, and at the end `answer`, which is the whole of it,"
        " or `error`, which is a problem.",
        "content": {"text/event-stream": {"example": STREAM}},
    }
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """One question with everything that answering it needs."""

    stack: Stack
    metrics: Metrics
    scope: Scope
    question: str
    mode: Mode
    top_k: int
    filters: Filters
    as_of: int | None


@router.post(
    "/answers", summary="Answer a question", response_model=AnswerBody,
    responses=responses(401, 403, 404, 409, 413, 415, 422, 502, 503, 504) | _STREAM,
)  # fmt: skip
async def answer_question(
    request: Request, body: Annotated[AskBody, Body()], scope: AskScope, stack: StackDep, metrics: MetricsDep
) -> AnswerBody | Response:
    """Read the published documents and answer with exact citations.

    Where no tier's answer can be trusted the answer is `abstained`, status 200, with the best passages as citations.
    """
    question = checked_question(body.question, limit=stack.settings.server.max_question_characters)
    mode: Mode = (
        body.mode if body.mode is not None else await to_thread.run_sync(partial(read_mode, stack.engine, default=stack.settings.mode))
    )
    asked = _Asked(
        stack=stack, metrics=metrics, scope=scope, question=question, mode=mode,
        top_k=body.top_k or stack.settings.retrieval.top_k, filters=body.filters.to_filters(), as_of=body.as_of,
    )  # fmt: skip
    if body.stream:
        return EventStream(partial(_stream, asked))
    answer = await done_unless_left(request.receive, partial(_answer, asked))
    return Response(status_code=_LEFT) if answer is None else AnswerBody.model_validate(answer)


async def _stream(asked: _Asked, tell: Tell) -> None:
    tell(event_of(await _answer(asked, hear=lambda part: tell(event_of(part)))))


async def _answer(asked: _Asked, hear: Hear | None = None) -> Answer:
    """Whatever comes of it is recorded, once; what it had cost when nobody waited any more, too."""
    seconds = asked.stack.settings.server.request_seconds
    try:
        with fail_after(seconds):
            answer = await _ask(asked, seconds, hear)
    except TimeoutError as error:
        asked.metrics.count_failure(asked.mode)
        told = f"no answer within {seconds:g} s: try again, or raise UNDERSTUDY_SERVER__REQUEST_SECONDS"
        raise Unavailable(told, retry_after=RETRY_AFTER) from error
    except UnderstudyError as error:
        asked.metrics.count_failure(asked.mode)
        if isinstance(error, AllTiersFailed):
            await _record(asked, error.answer)
        raise
    await _record(asked, answer)
    asked.metrics.count_answer(answer)
    return answer


async def _ask(asked: _Asked, seconds: float, hear: Hear | None) -> Answer:
    try:
        return await asked.stack.answerer.answer(
            asked.question, asked.scope, mode=asked.mode, top_k=asked.top_k, filters=asked.filters,
            as_of=asked.as_of, deadline=time.monotonic() + seconds, hear=hear,
        )  # fmt: skip
    except AnswerCancelled as cancelled:
        await _record(asked, cancelled.answer)
        raise


async def _record(asked: _Asked, answer: Answer) -> None:
    with CancelScope(shield=True):
        await to_thread.run_sync(record_answer, asked.stack.engine, asked.scope, answer)
    asked.metrics.count_cost(answer)

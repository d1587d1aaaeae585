"""Label: `POST /v1/feedback`."""

from typing import Annotated

from fastapi import APIRouter, Body

from api.deps import AskScope, StackDep
from api.problems import responses
from api.question import checked_text
from api.schemas import FeedbackBody
from generation.journal import record_feedback

router = APIRouter(prefix="/v1", tags=["feedback"])


@router.post("/feedback", summary="Say whether an answer was right", status_code=204, responses=responses(401, 403, 404, 415, 422))
def post_feedback(body: Annotated[FeedbackBody, Body()], scope: AskScope, stack: StackDep) -> None:
    """The latest word on an answer counts. The small model is tuned on these labels."""
    better = None if body.better_answer is None else checked_text(body.better_answer, "better answer")
    record_feedback(stack.engine, scope, checked_text(body.answer_id, "answer id"), body.correct, better)

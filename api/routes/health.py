"""For machines: liveness, readiness, metrics."""

from typing import Any

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from api.deps import MetricsDep, ServerScope, StackDep
from api.generator import require_ready
from api.logs import LOG
from api.mode import read_mode
from api.problems import responses
from api.schemas import HealthReply
from core.errors import Unavailable, UnderstudyError

router = APIRouter(tags=["health"])

_EXAMPLE = "understudy_index_version 7.0\nunderstudy_documents 24.0\n"
_METRICS: dict[int | str, dict[str, Any]] = {200: {"description": "Prometheus text.", "content": {"text/plain": {"example": _EXAMPLE}}}}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive", response_model=HealthReply)
async def get_health() -> HealthReply:
    """Answers while the process lives."""
    return HealthReply(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready to answer", response_model=HealthReply, responses=responses(503))
def get_readiness(stack: StackDep) -> HealthReply:
    """Can answer now: what is published can be opened and searched, and a tier of the present mode is ready.

    Otherwise 503 with the reason.
    """
    try:
        stack.retriever.check(stack.retriever.published())
        require_ready(stack.answerer, read_mode(stack.engine, default=stack.settings.mode))
    except UnderstudyError as error:
        raise Unavailable(str(error)) from error
    except SQLAlchemyError as error:
        LOG.warning("database failed", error=str(error))
        raise Unavailable("the database cannot be read: the server's log says why") from error
    return HealthReply(status="ok")


@router.get("/metrics", summary="Metrics", response_class=Response, responses=responses(401, 403) | _METRICS)
def get_metrics(_: ServerScope, stack: StackDep, metrics: MetricsDep) -> Response:
    """Requests, answers and latencies, and the size of the index, as Prometheus text."""
    return Response(metrics.render(stack.engine), media_type="text/plain; version=0.0.4; charset=utf-8")

"""The HTTP face: `create_app(stack)`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import create_task_group, to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api.follower import follow
from api.jobs import close_orphans
from api.metrics import Metrics
from api.middleware import LimitedBody, Observed
from api.problems import add_problems
from api.routes import answers, documents, feedback, generator, health, history, index, ledger, page, search
from api.stack import Stack

_ABOUT = """Answers questions from your documents with a small tuned model, and shows the exact sentence each answer rests on.

Errors are problem+json (RFC 9457). Once an API key exists, send it as `Authorization: Bearer <key>`."""


def create_app(stack: Stack) -> FastAPI:
    app = FastAPIOffline(
        redoc_url=None, title="Understudy", version="1", description=_ABOUT, lifespan=_lifespan, favicon_url="/page/icon.svg"
    )
    app.state.stack = stack
    app.state.metrics = Metrics()
    for route in (answers, search, generator, index, documents, feedback, ledger, history, health, page):
        app.include_router(route.router)
    add_problems(app)
    app.add_middleware(LimitedBody, max_upload_bytes=stack.settings.server.max_upload_bytes)
    app.add_middleware(Observed, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    stack: Stack = app.state.stack
    if not stack.sync_running():
        await to_thread.run_sync(close_orphans, stack.engine)
    for warm_up in stack.warm_ups:
        await to_thread.run_sync(warm_up)
    async with create_task_group() as beside:
        beside.start_soon(follow, stack.retriever)
        yield
        beside.cancel_scope.cancel()
    await to_thread.run_sync(stack.worker.stop)
    for close in stack.closings:
        await close()

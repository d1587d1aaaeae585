"""What the commands that write no document do."""

import time

import anyio

from api import search as searching
from api.auth import local_scope
from api.catalog import read_index
from api.generator import set_generator, show_generator
from api.mode import parse_mode, read_mode
from api.question import checked_question
from api.schemas import AnswerBody, GeneratorReply, IndexReply, SearchReply
from api.stack import Stack, build_stack, open_engine
from core.errors import AllTiersFailed, AnswerCancelled
from core.settings import read_settings
from core.types import Answer, Filters, Mode, Scope
from generation.journal import record_answer
from ingest.lock import sync_runs
from ingest.progress import read_progress


def ask(question: str, *, mode: str | None, top_k: int | None, as_of: int | None, tenant: str) -> AnswerBody:
    settings = read_settings()
    asked = checked_question(question, limit=settings.server.max_question_characters)
    wanted = None if mode is None else parse_mode(mode)
    scope = local_scope(tenant)
    stack = build_stack(settings)
    chosen = wanted or read_mode(stack.engine, default=settings.mode)
    return AnswerBody.model_validate(anyio.run(_answer, stack, asked, scope, chosen, top_k or settings.retrieval.top_k, as_of))


async def _answer(stack: Stack, question: str, scope: Scope, mode: Mode, top_k: int, as_of: int | None) -> Answer:
    """Recorded whatever comes of it, also where Ctrl-C ends it: what it had cost by then was spent."""
    deadline = time.monotonic() + stack.settings.server.request_seconds
    try:
        answer = await stack.answerer.answer(question, scope, mode=mode, top_k=top_k, filters=Filters(), as_of=as_of, deadline=deadline)
        record_answer(stack.engine, scope, answer)
        return answer
    except (AllTiersFailed, AnswerCancelled) as error:
        record_answer(stack.engine, scope, error.answer)
        raise
    finally:
        for close in stack.closings:
            await close()


def search(question: str, *, top_k: int | None, as_of: int | None, tenant: str) -> SearchReply:
    settings = read_settings()
    asked = checked_question(question, limit=settings.server.max_question_characters)
    scope = local_scope(tenant)
    stack = build_stack(settings)
    return searching.search(stack.retriever, asked, scope, top_k or settings.retrieval.top_k, Filters(), as_of)


def index_status(tenant: str) -> IndexReply:
    settings, scope = read_settings(), local_scope(tenant)
    running, progress = sync_runs(settings.data_dir), read_progress(settings.data_dir, scope)
    return read_index(open_engine(settings), scope, sync_running=running, progress=progress)


def generator_status() -> GeneratorReply:
    stack = build_stack(read_settings())
    return show_generator(stack.engine, stack.answerer, default=stack.settings.mode)


def toggle(mode: str) -> GeneratorReply:
    wanted = parse_mode(mode)
    stack = build_stack(read_settings())
    return set_generator(stack.engine, stack.answerer, wanted)

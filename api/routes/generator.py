"""Toggle: `GET` and `PUT /v1/generator`."""

from typing import Annotated

from fastapi import APIRouter, Body

from api.deps import AskScope, ServerScope, StackDep
from api.generator import set_generator, show_generator
from api.problems import responses
from api.schemas import GeneratorReply, ModeBody

router = APIRouter(prefix="/v1", tags=["generator"])


@router.get("/generator", summary="Show the generator mode", response_model=GeneratorReply, responses=responses(401, 403))
def get_generator(_: AskScope, stack: StackDep) -> GeneratorReply:
    """The mode that every process uses from its next request on, and each tier's readiness with its reason."""
    return show_generator(stack.engine, stack.answerer, default=stack.settings.mode)


@router.put("/generator", summary="Set the generator mode", response_model=GeneratorReply, responses=responses(401, 403, 409, 415, 422))
def put_generator(body: Annotated[ModeBody, Body()], _: ServerScope, stack: StackDep) -> GeneratorReply:
    """Takes effect at the next request of every process, for every tenant, and so needs an admin of the default one.

    A mode without a ready tier is refused and the old one stays.
    """
    return set_generator(stack.engine, stack.answerer, body.mode)

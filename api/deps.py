"""What the routes are handed: the stack, the metrics, and the scope that the caller's key allows."""

import ipaddress
from typing import Annotated, TypeAlias

from anyio import CapacityLimiter
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth import Caller, authenticate
from api.metrics import Metrics
from api.stack import Stack
from core.types import Scope

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_bearer = HTTPBearer(
    auto_error=False, description="An API key, `us_<id>_<secret>`. Not needed while no key exists and the server is local."
)


def stack_of(request: Request) -> Stack:
    stack: Stack = request.app.state.stack
    return stack


def metrics_of(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def inference_of(request: Request) -> CapacityLimiter:
    limiter: CapacityLimiter = request.app.state.inference
    return limiter


StackDep: TypeAlias = Annotated[Stack, Depends(stack_of)]
MetricsDep: TypeAlias = Annotated[Metrics, Depends(metrics_of)]
InferenceDep: TypeAlias = Annotated[CapacityLimiter, Depends(inference_of)]


def caller_of(request: Request, stack: StackDep, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Caller:
    return authenticate(stack.engine, request.headers.get("authorization"), local=_is_local(request))


CallerDep: TypeAlias = Annotated[Caller, Depends(caller_of)]


def _ask_scope(caller: CallerDep) -> Scope:
    return caller.allowed("ask")


def _admin_scope(caller: CallerDep) -> Scope:
    return caller.allowed("admin")


AskScope: TypeAlias = Annotated[Scope, Depends(_ask_scope)]
AdminScope: TypeAlias = Annotated[Scope, Depends(_admin_scope)]


def _is_local(request: Request) -> bool:
    """Over loopback and to a loopback name: a web page that points its own name at 127.0.0.1 is not local."""
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return peer.is_loopback and request.url.hostname in _LOCAL_NAMES

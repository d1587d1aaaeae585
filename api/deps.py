"""What the routes are handed: the stack, the metrics, and the scope that the caller's key allows.

What does not wait is async here, since FastAPI sends a plain function to a thread, and back, at every request.
"""

import ipaddress
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.auth import DEFAULT_TENANT, Caller, authenticate
from api.metrics import Metrics
from api.stack import Stack
from core.errors import Forbidden
from core.types import Scope
from generation.inference import inference

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip")
_bearer = HTTPBearer(
    auto_error=False, description="An API key, `us_<id>_<secret>`. Not needed while no key exists and the server is local."
)


async def stack_of(request: Request) -> Stack:
    stack: Stack = request.app.state.stack
    return stack


async def metrics_of(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def inference_of() -> CapacityLimiter:
    return inference()


StackDep: TypeAlias = Annotated[Stack, Depends(stack_of)]
MetricsDep: TypeAlias = Annotated[Metrics, Depends(metrics_of)]
InferenceDep: TypeAlias = Annotated[CapacityLimiter, Depends(inference_of)]


def caller_of(request: Request, stack: StackDep, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Caller:
    return authenticate(stack.engine, request.headers.get("authorization"), local=_is_local(request))


CallerDep: TypeAlias = Annotated[Caller, Depends(caller_of)]


async def _ask_scope(caller: CallerDep) -> Scope:
    return caller.allowed("ask")


async def _admin_scope(caller: CallerDep) -> Scope:
    return caller.allowed("admin")


async def _server_scope(scope: Annotated[Scope, Depends(_admin_scope)]) -> Scope:
    if scope.tenant != DEFAULT_TENANT:
        raise Forbidden(f"this acts over all tenants: use an admin key of the tenant {DEFAULT_TENANT!r}, not of {scope.tenant!r}")
    return scope


AskScope: TypeAlias = Annotated[Scope, Depends(_ask_scope)]
AdminScope: TypeAlias = Annotated[Scope, Depends(_admin_scope)]
ServerScope: TypeAlias = Annotated[Scope, Depends(_server_scope)]
"""For what acts over all tenants."""


def _is_local(request: Request) -> bool:
    """Over loopback, to a loopback name, from no proxy, and from no web page but this machine's own."""
    if any(name in request.headers for name in _PROXIED) or not all(map(_is_local_page, request.headers.getlist("origin"))):
        return False
    try:
        return ipaddress.ip_address(request.client.host if request.client else "").is_loopback and request.url.hostname in _LOCAL_NAMES
    except ValueError:
        return False


def _is_local_page(origin: str) -> bool:
    """A page of any site may send simple requests to this machine; browsers then name the site, or `null`."""
    try:
        return urlsplit(origin).hostname in _LOCAL_NAMES
    except ValueError:
        return False

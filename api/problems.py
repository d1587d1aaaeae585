"""Every error of the server as problem+json: the domain's, FastAPI's validation, and Starlette's own."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api.errors import PROBLEM_JSON, problem, problem_of, retry_after_of, status_of
from api.schemas import Problem
from core.errors import UnderstudyError
from core.types import Json

_MEANINGS = {
    400: "The body could not be read.", 401: "The API key is missing, wrong or revoked.", 403: "The API key lacks the scope.",
    404: "There is no such thing.", 409: "Not possible in the present state.", 413: "The body is too large.",
    415: "The body's type is not accepted.",
    422: "The input is not valid.", 502: "The frontier model gave no answer that can be used.",
    503: "Not available at the moment.", 504: "The frontier model did not answer in time.", 507: "The disk is full.",
}  # fmt: skip
_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says of bytes that are no text."""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an operation's errors."""
    content = {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def add_problems(app: FastAPI) -> None:
    app.add_exception_handler(UnderstudyError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


def respond(told: Json, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(told, status_code=told["status"], media_type=PROBLEM_JSON, headers=headers)


def unexpected(request_id: str) -> JSONResponse:
    """A bug: the client gets the id under which the log has the traceback, and nothing else."""
    return respond(unexpected_problem(request_id))


def unexpected_problem(request_id: str) -> Json:
    return problem("unexpected", "Unexpected error", 500, f"something broke inside the server: look for request {request_id} in its log")


async def _domain(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UnderstudyError)
    return respond(problem_of(error), _headers(error))


def _headers(error: UnderstudyError) -> dict[str, str]:
    wait = retry_after_of(error)
    if wait is not None:
        return {"Retry-After": str(wait)}
    return {"WWW-Authenticate": "Bearer"} if status_of(type(error)) == 401 else {}


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if "body" in _wholes(error) and "json" not in request.headers.get("content-type", ""):
        detail = "send the body as JSON with the header `Content-Type: application/json`"
        return respond(problem("unsupported-media-type", "Unsupported media type", 415, detail))
    errors = [_told(each) for each in error.errors()]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors[:5])
    return respond(problem("invalid-input", "Invalid input", 422, detail, errors=errors))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, UnderstudyError):
        return await _domain(request, error.__cause__)  # FastAPI hides what the body's reader raised behind a 400
    if error.status_code == 400 and error.detail == _UNREADABLE:
        return respond(problem("invalid-input", "Invalid input", 422, "the body is not JSON in UTF-8"))
    detail = {404: f"no such path {request.url.path!r}: /docs lists those that exist", 405: f"{request.method} is not possible here"}
    told = problem("http", error.detail, error.status_code, detail.get(error.status_code, error.detail))
    return respond(told, dict(error.headers or {}))


def _wholes(error: RequestValidationError) -> set[str]:
    """The parts of the request that are wrong as a whole, not in a field."""
    return {each["loc"][0] for each in error.errors() if len(each["loc"]) == 1}


def _told(each: dict[str, Any]) -> dict[str, str]:
    """Never the input itself: it may be long, or hold what cannot be encoded."""
    loc = each["loc"]
    if each["type"] == "json_invalid":
        where = f" at character {loc[1]}" if len(loc) > 1 else ""
        return {"field": "body", "message": f"not valid JSON{where}: {each.get('ctx', {}).get('error', each['msg'])}"}
    field = ".".join(str(part) for part in loc[1:]) or str(loc[0])
    return {"field": field, "message": str(each["msg"]).removeprefix("Value error, ")}

"""The API's errors, in its JSON shape."""

from typing import Any

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ApiError(Exception):
    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        return error_body(self.status, self.message, request_id)


def error_body(status: int, message: str, request_id: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": TYPES[status], "message": message}, "request_id": request_id}


def invalid(message: str) -> ApiError:
    return ApiError(400, message)

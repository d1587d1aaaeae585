"""Work for a client that may go away: nobody pays for an answer that nobody waits for."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio import CancelScope, create_task_group
from starlette.types import Receive

T = TypeVar("T")


async def done_unless_left(receive: Receive, work: Callable[[], Awaitable[T]]) -> T | None:
    """What the work gives or raises; None where the client left, upon which the work was cancelled."""
    given: T | None = None
    raised: Exception | None = None
    async with create_task_group() as group:
        group.start_soon(cancel_when_left, receive, group.cancel_scope)
        try:
            given = await work()
        except Exception as error:  # raised outside of the group, which would wrap it
            raised = error
        group.cancel_scope.cancel()
    if raised is not None:
        raise raised
    return given


async def cancel_when_left(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()

"""Listens: binds first, so that a taken port is a message and not a traceback, and never beyond loopback without keys."""

import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio
import uvicorn
from sqlalchemy import Engine

from api.app import create_app
from api.auth import keys_exist
from api.logs import configure_logs
from api.stack import Stack
from core.errors import InvalidInput, PortTaken

_DRAIN_SECONDS = 5


@contextmanager
def listening(engine: Engine, host: str, port: int) -> Iterator[socket.socket]:
    """Before anything is loaded; raises PortTaken, and InvalidInput for a host beyond this machine while no key exists."""
    if not is_loopback(host) and not keys_exist(engine):
        raise InvalidInput(
            f"without API keys the server listens on this machine only, not on {host!r}: make a key with `understudy keys create` first"
        )
    with _bound(host, port) as listener:
        yield listener


def serve(stack: Stack, listener: socket.socket, announce: Callable[[str, bool], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the running requests. `announce` hears the address and whether keys are needed."""
    configure_logs(stack.settings.log_level)
    announce(_url(listener), keys_exist(stack.engine))
    patience = round(stack.settings.server.request_seconds) + _DRAIN_SECONDS
    config = uvicorn.Config(
        create_app(stack), log_config=None, access_log=False, timeout_keep_alive=30, timeout_graceful_shutdown=patience,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    # uvicorn raises the signal again once it has finished: leave in peace then.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    anyio.run(uvicorn.Server(config).serve, [listener])


def is_loopback(host: str) -> bool:
    """Whether every address of the name is this machine's own; raises InvalidInput for a name that has none."""
    return all(ipaddress.ip_address(address[4][0]).is_loopback for address in _addresses(host))


def _addresses(host: str) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    try:
        return socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"the host {host!r} has no address: try 127.0.0.1") from error


def _bound(host: str, port: int) -> socket.socket:
    family, address = _addresses(host)[0][0], _addresses(host)[0][4][0]
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio turns Nagle's delay off where it sees TCP named
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise PortTaken(f"port {port} may not be opened by this user: choose one above 1023 with `--port`") from error
        raise PortTaken(f"port {port} on {host} is taken ({error.strerror}): choose another with `--port`") from error
    return listener


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)

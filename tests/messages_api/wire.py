"""HTTP/1.1 by hand, because a double must be able to do what a web framework never would: reset, cut and stall."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

MAX_BODY = 32 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing sends RST instead of FIN."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    too_large: bool = False


class Connection(asyncio.Protocol):
    """Serves one request after the other; a request whose caller hangs up is cancelled."""

    def __init__(self, serve: Callable[["Request", "Connection"], Awaitable[None]]) -> None:
        self._serve = serve
        self._received = bytearray()
        self._running: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._running:
            self._running.cancel()

    def send(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: int | None = None) -> None:
        """`cut` bytes of the body alone are sent, and the connection is closed in its middle."""
        self._write(_head(status, {**headers, "content-length": str(len(body))}) + body[:cut])
        if cut is not None:
            self.close()

    def send_json(self, status: int, headers: Mapping[str, str], value: Any) -> None:
        self.send(status, {**headers, "content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())

    def begin_stream(self, headers: Mapping[str, str]) -> None:
        kind = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "transfer-encoding": "chunked"}
        self._write(_head(200, {**headers, **kind}))

    def chunk(self, data: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        self._write(b"0\r\n\r\n")

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        if self._transport:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)

    def _next(self) -> None:
        if self._running is None and self._transport:
            request = self._take()
            if request:
                self._running = asyncio.create_task(self._run(request))

    async def _run(self, request: Request) -> None:
        try:
            await self._serve(request, self)
        finally:
            self._running = None
        if request.too_large:
            self.close()
        self._next()

    def _take(self) -> Request | None:
        """The next whole request, taken out of what was received."""
        begin = self._received.find(b"\r\n\r\n") + 4
        if begin < 4:
            return None
        first, *lines = self._received[: begin - 4].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if length <= MAX_BODY and len(self._received) < begin + length:
            return None
        body = bytes(self._received[begin : begin + length])
        del self._received[: begin + length]
        method, target, _ = first.split(" ", 2)
        return Request(method=method, target=target, headers=headers, body=body, too_large=length > MAX_BODY)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Overloaded"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

"""A client that costs next to nothing, for benches whose server, double and load share two cores: HTTP/1.1 by hand, one connection each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

_LARGEST = 2**24
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    status: int
    seconds: float
    """From sending the question to the last byte of its answer."""
    body: bytes

    @property
    def failed(self) -> bool:
        return self.status != 200 or b"event: error\n" in self.body

    @property
    def answer(self) -> dict[str, Any]:
        """Of a stream, what its last event says."""
        last = self.body.rpartition(b"event: answer\ndata: ")[2] if self.body.startswith(b"event: ") else self.body
        answer: dict[str, Any] = json.loads(last)
        return answer


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator[Self]:
        at = urlsplit(url)
        reader, writer = await asyncio.open_connection(at.hostname, at.port, limit=_LARGEST)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def ask(self, body: bytes) -> Reply:
        began = time.perf_counter()
        head = b"POST /v1/answers HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._writer.write(head % len(body) + body)
        fields = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, length, rest = fields.partition(b"content-length:")
        if length:
            content = await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        else:
            content = _joined(await self._reader.readuntil(_LAST_CHUNK))
        return Reply(status=int(fields.split(b" ", 2)[1]), seconds=time.perf_counter() - began, body=content)


def question_body(question: str, mode: str, *, top_k: int, stream: bool = False) -> bytes:
    return json.dumps({"question": question, "mode": mode, "top_k": top_k, "stream": stream}).encode()


def _joined(chunked: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        size, _, _ = chunked[at : at + 20].partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        start = at + len(size) + 2
        parts.append(chunked[start : start + length])
        at = start + length + 2

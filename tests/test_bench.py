"""The table of figures says ok or miss by each figure's own direction."""

import asyncio

import pytest

from tests.bench.__main__ import COLUMNS, aligned, row
from tests.bench.figure import Better, Figure
from tests.bench.load import Client, Reply, question_body


@pytest.mark.parametrize(
    ("value", "target", "better", "met"),
    [
        (3.1, 3.0, "higher", True),
        (2.9, 3.0, "higher", False),
        (9.9, 10.0, "lower", True),
        (10.1, 10.0, "lower", False),
        (1.0, None, "higher", None),
    ],
)
def test_figure_is_met_on_the_right_side_of_its_target(value: float, target: float | None, better: Better, met: bool | None) -> None:
    assert Figure(name="speed", value=value, unit="x", target=target, better=better, n=10).met is met


def test_row_shows_number_target_and_verdict() -> None:
    shown = row(Figure(name="hybrid search p50", value=10.126, unit="ms", target=10, better="lower", n=20_000, seed=7, note="idle"))
    assert shown[:6] == ("hybrid search p50", "10.13 ms", "≤ 10 ms", "miss", "20,000", "7")
    assert shown[7] == "idle"


def test_table_is_aligned() -> None:
    figures = [Figure(name=name, value=12345.6, unit="", n=1) for name in ("a", "a longer name")]
    lines = aligned([COLUMNS, *map(row, figures)]).splitlines()
    assert {line.index("12,346") for line in lines[1:]} == {lines[0].index("value")}


WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"answer": "42"}'
STREAMED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'1b\r\nevent: text\ndata: {"x": 1}\n\n\r\n26\r\nevent: answer\ndata: {"answer": "42"}\n\n\r\n0\r\n\r\n'
)
BROKEN_OFF = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'1b\r\nevent: text\ndata: {"x": 1}\n\n\r\n20\r\nevent: error\ndata: {"x": "42"}\n\n\r\n0\r\n\r\n'
)
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("sent", [WHOLE, STREAMED])
def test_load_reads_whole_and_streamed_answers(sent: bytes) -> None:
    first, second = asyncio.run(asked_twice(sent))
    assert [first.answer, second.answer] == [{"answer": "42"}] * 2
    assert not first.failed and not second.failed


@pytest.mark.parametrize("sent", [BROKEN_OFF, REFUSED])
def test_load_counts_what_failed(sent: bytes) -> None:
    assert all(reply.failed for reply in asyncio.run(asked_twice(sent)))


async def asked_twice(sent: bytes) -> list[Reply]:
    """Of a server that always sends the same, over one connection."""
    body = question_body("What?", "tuned", top_k=5)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(body)) == body
            writer.write(sent)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with Client.connected(f"http://127.0.0.1:{port}") as client:
            return [await client.ask(body), await client.ask(body)]

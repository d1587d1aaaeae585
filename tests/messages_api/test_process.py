"""The double as a process of its own, as the demo and the benches start it."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from anthropic import AsyncAnthropic
from anthropic.types import Message

from tests.messages_api.calls import request, with_client

ROOT = Path(__file__).parents[2]


def test_process_says_where_it_is_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "tests.messages_api", "--not-found", "No idea."]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.strip().rpartition("=")[2]
        message = with_client(url, ask_the_unknown)
        with urlopen(f"{url}/stand-in/books") as answer:
            books = json.load(answer)
        process.terminate()
    assert "not Claude" in line and process.returncode == 0
    assert [block.text for block in message.content if block.type == "text"] == ["No idea."]
    assert books["entries"][0]["message_id"] == message.id
    assert books["total"] == books["total_told"]


async def ask_the_unknown(client: AsyncAnthropic) -> Message:
    message: Message = await client.messages.create(**request(messages=[{"role": "user", "content": "Who?"}]))
    return message

"""What a server writes about the calls that it makes: no secret, and nothing of a question."""

import subprocess
import sys

import pytest

from tests.generation.claude import GOLD, QUESTION, ROOT
from tests.messages_api.server import MessagesApi

ASKING = """
from api.logs import LOG, configure_logs
configure_logs("debug")
from tests.generation.claude import ask, claude
tier = claude()
tier.warm_up()
LOG.info("answered", text=ask(tier).text)
"""


def test_calls_of_the_frontier_model_leave_no_secret_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with MessagesApi(gold=GOLD) as double:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", double.url.replace("http://", "http://user:hush@"))
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
        done = subprocess.run([sys.executable, "-c", ASKING], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "twenty-seven" in done.stderr
    assert [secret for secret in ("hush", "sk-secret", QUESTION, "search_result") if secret in done.stderr] == []

"""GET /v1/ledger and `understudy ledger`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.auth import create_key
from api.cli import run
from api.ledger import spent
from api.stack import Stack
from core.errors import TierFailed
from core.settings import Settings
from core.types import Draft, Evidence, Spending, Usage
from generation.prices import read_prices
from tests.api.conftest import ROOT, MakeClient, MakeStack
from tests.doubles import FirstWordTier
from tests.generation.claude import GOLD, point_at
from tests.messages_api.server import MessagesApi

ASK = {"question": "How many days?"}
USAGE = Usage(input_tokens=800, cache_write_5m_tokens=250, cache_read_tokens=750, output_tokens=40)


class PaidTier(FirstWordTier):
    """Charges for its answers, as a frontier model does."""

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        spent = read_prices().spending("claude-haiku-5-5", USAGE)
        return Draft(
            text="27",
            citations=(evidence[0].cite(0, 5),),
            model="claude-haiku-5-5",
            confidence=None,
            confidence_source="none",
            spending=spent,
        )


class UntoldTier(FirstWordTier):
    """Breaks off before it has told what it charges."""

    def __init__(self, name: str, *, cost: int = 0) -> None:
        super().__init__(name)
        self._cost = cost

    async def generate(self, question: str, evidence: Evidence, *, deadline: float) -> Draft:
        raise TierFailed("it broke off", spending=Spending(cost_micro_usd=self._cost, untold_micro_usd=2_000))


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    return make_stack(tiers=(FirstWordTier("reader"), PaidTier("claude")))


def test_ledger_sums_the_answers_by_day(stack: Stack, make_client: MakeClient) -> None:
    client = make_client(stack)
    for mode in ("tuned", "frontier", "frontier"):
        client.post("/v1/answers", json=ASK | {"mode": mode})
    body = client.get("/v1/ledger").json()
    (line,) = body["lines"]
    assert set(line) == {
        "day", "mode", "tier", "tenant", "fault", "answers", "attempts", "unanswered", "usage", "cost_micro_usd", "uncached_micro_usd",
        "untold", "untold_micro_usd", "frontier_only_micro_usd", "cache_hit_rate",
    }  # fmt: skip
    assert (line["answers"], line["cost_micro_usd"], line["cache_hit_rate"], line["mode"]) == (3, 3 + 2 * 139, 0.75, None)
    assert line["frontier_only_micro_usd"] == 3 + 3 * 139
    assert body["total"] == line | {"day": None}
    assert (body["by"], body["since"], body["frontier_mean"]["attempts"]) == (["day"], None, 2)


def test_answer_over_http_tells_the_usage_that_the_ledger_sums(stack: Stack, make_client: MakeClient) -> None:
    client = make_client(stack)
    told = client.post("/v1/answers", json=ASK | {"mode": "frontier"}).json()
    total = client.get("/v1/ledger").json()["total"]
    assert (told["usage"], told["cost_micro_usd"]) == (total["usage"], total["cost_micro_usd"])
    assert told["usage"]["cache_write_5m_tokens"] == 250


def test_ledger_by_several_keeps_their_order(stack: Stack, make_client: MakeClient) -> None:
    client = make_client(stack)
    client.post("/v1/answers", json=ASK)
    body = client.get("/v1/ledger", params={"by": ["tier", "mode"], "since": "2026-01-01"}).json()
    assert (body["by"], body["since"]) == (["mode", "tier"], "2026-01-01")
    assert [(line["mode"], line["tier"], line["day"]) for line in body["lines"]] == [("tuned", "reader", None)]
    assert client.get("/v1/ledger", params={"since": "2999-01-01"}).json()["lines"] == []


def test_ledger_needs_an_admin_key_and_shows_its_tenant_alone(stack: Stack, make_client: MakeClient) -> None:
    client = make_client(stack)
    client.post("/v1/answers", json=ASK | {"mode": "frontier"})
    keys = {scope: create_key(stack.engine, "acme", [scope]).key for scope in ("ask", "admin")}
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    assert client.get("/v1/ledger").status_code == 401
    assert client.get("/v1/ledger", headers=headers["ask"]).status_code == 403
    assert client.get("/v1/ledger", headers=headers["admin"]).json()["total"]["attempts"] == 0
    own = {"Authorization": f"Bearer {create_key(stack.engine, 'default', ['admin']).key}"}
    assert client.get("/v1/ledger", headers=own).json()["total"]["attempts"] == 1


@pytest.mark.parametrize("sent", [{"by": "colour"}, {"since": "yesterday"}, {"since": "2026-13-01"}])
def test_wrong_input_is_422(make_client: MakeClient, sent: dict[str, str]) -> None:
    assert make_client().get("/v1/ledger", params=sent).status_code == 422


@pytest.fixture
def data(stack: Stack, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The command line's data folder, in which a question was answered by each tier."""
    for mode in ("tuned", "frontier"):
        make_client(stack).post("/v1/answers", json=ASK | {"mode": mode})
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(stack.settings.data_dir))
    return stack.settings


def test_command_prints_the_object_of_http(data: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", "--json", "--by", "tier", "--since", "2026-01-01"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(line["tier"], line["cost_micro_usd"]) for line in told["lines"]] == [("claude", 139), ("reader", 3)]
    assert told["total"]["frontier_only_micro_usd"] == 3 + 2 * 139


def test_command_shows_a_table_in_dollars(data: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", "--by", "mode"]) == 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("frontier only", "tuned", "$0.000139", "$0.000142", "75.0%", "all"))


def test_cost_that_was_not_told_is_said_everywhere(
    make_stack: MakeStack, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = make_stack(tiers=(UntoldTier("haiku"), PaidTier("claude")))
    client = make_client(stack)
    body = client.post("/v1/answers", json=ASK | {"mode": "frontier"}).json()
    assert (body["cost_micro_usd"], body["untold_micro_usd"]) == (139, 2_000)
    assert [tried["untold_micro_usd"] for tried in body["route"]] == [2_000, None]
    total = client.get("/v1/ledger").json()["total"]
    assert (total["cost_micro_usd"], total["untold"], total["untold_micro_usd"]) == (139, 1, 2_000)
    assert 'understudy_untold_attempts_total{mode="frontier"} 1.0' in client.get("/metrics").text
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(stack.settings.data_dir))
    assert run(["ledger"]) == 0
    shown = capsys.readouterr().out
    assert "$0.000139+ " in shown
    assert "+ at most $0.002000 by calls that ended before the API had told what they cost: 1." in shown


def test_question_that_ctrl_c_ends_is_recorded_with_what_it_may_have_cost(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    before = spent(since=None, by=(), tenant=None).total  # other tests have asked what this is a copy of
    with MessagesApi(gold=GOLD, seconds=60.0) as double:
        point_at(double.url, monkeypatch)
        command = [sys.executable, "-m", "api.cli", "ask", "How many days of leave?", "--mode", "frontier"]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_interrupts) as asking:
            for _ in range(600):
                if double.books.entries:
                    break
                time.sleep(0.1)
            asking.send_signal(signal.SIGINT)
            _, complaints = asking.communicate(timeout=30)
        [entry] = double.books.settled()
    assert (asking.returncode, len(complaints.splitlines()), entry.billed) == (130, 1, True)
    total = spent(since=None, by=(), tenant=None).total
    more = [
        getattr(total, name) - getattr(before, name) for name in ("answers", "unanswered", "untold", "cost_micro_usd", "untold_micro_usd")
    ]
    assert more[:3] == [1, 1, 1]
    assert sum(more[3:]) >= entry.micro_usd > 0


def _hear_interrupts() -> None:
    """A job that a shell runs in the background ignores them, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_metrics_count_what_a_failed_question_cost(make_stack: MakeStack, make_client: MakeClient) -> None:
    client = make_client(make_stack(tiers=(UntoldTier("haiku", cost=7),)))
    assert client.post("/v1/answers", json=ASK | {"mode": "frontier"}).status_code == 503
    assert 'understudy_cost_micro_usd_total{mode="frontier"} 7.0' in client.get("/metrics").text


def test_command_says_when_frontier_only_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path))
    assert run(["ledger", "--tenant", "acme", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frontier_mean"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--by", "colour"], "use day, mode, tier, tenant, fault"), (["--since", "soon"], "--since"), (["--tenant", "a/b"], "tenant")],
)
def test_mistake_is_one_line(data: Settings, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ledger", *arguments]) == 1
    error = capsys.readouterr().err
    assert (len(error.splitlines()), told in error) == (1, True)

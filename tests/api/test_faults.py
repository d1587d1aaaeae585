"""Every fault of the frontier, in every mode, streamed or not: its name, what is answered instead, and what it cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import pytest

from core.types import Fault as Name
from generation.breaker import Breaker
from generation.bulkhead import Bulkhead
from generation.cascade import WhenFailing
from tests.api.frontier import Reply, Served, served
from tests.generation.claude import GOLD, QUESTION, TEXT, point_at
from tests.messages_api.calls import HAIKU, SONNET
from tests.messages_api.faults import Always, ByModel, Fault, Share
from tests.messages_api.server import MessagesApi
from tests.messages_api.sockets import never_accepts, refuses


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    fault: Fault
    name: Name
    status: int
    retry_after: int = 5
    tries: int = 1
    shows: bool = False
    """A streamed answer has begun by then, and is not replaced."""
    hasty: bool = False
    """Only the deadline ends it."""

    @property
    def untold(self) -> bool:
        """The API may have charged more than it had told by then. What it answers with an error is not charged."""
        unsaid = ("reset", "hang", "cut_", "end_", "error_", "stall_", "malformed", "misordered")
        return self.fault.kind.startswith(unsaid) or (
            self.fault.kind == "refusal" and self.fault.category != "cyber" and not self.fault.partial
        )


CASES = {
    "400": Case(fault=Fault(kind="400"), name="bad_request", status=502),
    "401": Case(fault=Fault(kind="401"), name="unauthorized", status=502),
    "402": Case(fault=Fault(kind="402"), name="unpaid", status=502),
    "403": Case(fault=Fault(kind="403"), name="forbidden", status=502),
    "404": Case(fault=Fault(kind="404"), name="unknown_model", status=502),
    "413": Case(fault=Fault(kind="413"), name="too_large", status=502),
    "429 of a second": Case(fault=Fault(kind="429", retry_after=1), name="rate_limited", status=503, retry_after=1, hasty=True),
    "429 of an hour": Case(fault=Fault(kind="429", retry_after=3600), name="rate_limited", status=503, retry_after=3600),
    "500": Case(fault=Fault(kind="500"), name="server_error", status=502, tries=3),
    "503": Case(fault=Fault(kind="503"), name="server_error", status=502, tries=3),
    "504": Case(fault=Fault(kind="504"), name="server_error", status=502, tries=3),
    "529": Case(fault=Fault(kind="529"), name="overloaded", status=503, tries=3),
    "connection reset": Case(fault=Fault(kind="reset"), name="unreachable", status=502, tries=3),
    "read timeout": Case(fault=Fault(kind="hang"), name="read_timeout", status=504),
    "refusal": Case(fault=Fault(kind="refusal", category="cyber"), name="refused", status=502),
    "refusal of another category": Case(fault=Fault(kind="refusal", category="bio"), name="refused", status=502),
    "refusal in the middle": Case(fault=Fault(kind="refusal", partial=True), name="refused", status=502),
    "max_tokens": Case(fault=Fault(kind="max_tokens"), name="max_tokens", status=502),
    "pause_turn": Case(fault=Fault(kind="pause_turn"), name="paused", status=502),
    "empty message": Case(fault=Fault(kind="empty"), name="empty", status=502, tries=3),
    "cut before the start": Case(fault=Fault(kind="cut_before_start"), name="cut_before_text", status=502, tries=3),
    "end before the start": Case(fault=Fault(kind="end_before_start"), name="cut_before_text", status=502, tries=3),
    "cut before the text": Case(fault=Fault(kind="cut_before_text"), name="cut_before_text", status=502, tries=3),
    "cut after the text": Case(fault=Fault(kind="cut_after_text"), name="cut_after_text", status=502, tries=3, shows=True),
    "end before the text": Case(fault=Fault(kind="end_before_text"), name="cut_before_text", status=502, tries=3),
    "end after the text": Case(fault=Fault(kind="end_after_text"), name="cut_after_text", status=502, tries=3, shows=True),
    "error before the text": Case(fault=Fault(kind="error_before_text"), name="overloaded", status=503, tries=3),
    "error after the text": Case(fault=Fault(kind="error_after_text"), name="overloaded", status=503, tries=3, shows=True),
    "stall before the text": Case(fault=Fault(kind="stall_before_text"), name="deadline", status=504, hasty=True),
    "stall after the text": Case(fault=Fault(kind="stall_after_text"), name="deadline", status=504, shows=True, hasty=True),
    "malformed events": Case(fault=Fault(kind="malformed"), name="malformed", status=502, tries=3),
    "misordered events": Case(fault=Fault(kind="misordered"), name="malformed", status=502, tries=3),
}  # fmt: skip
ALONE = "frontier, one model"
MODES = (ALONE, "frontier, two models", "hybrid, the next", "hybrid, the reader", "hybrid, one model")
HASTY = 1.1
"""Seconds for an answer where only the deadline ends a fault."""


@pytest.fixture(scope="module")
def double() -> Iterator[MessagesApi]:
    with MessagesApi(gold=GOLD) as double, pytest.MonkeyPatch.context() as patch:
        point_at(double.url, patch)
        yield double


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def servers(double: MessagesApi, mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Served]]:
    """A patient and a hasty one."""
    models = [HAIKU] if "one model" in mode else [HAIKU, SONNET]
    folder = tmp_path_factory.mktemp("served")
    failing: WhenFailing = "reader" if "the reader" in mode else "next"
    with (
        served(folder / "patient", *models, when_failing=failing) as patient,
        served(folder / "hasty", *models, when_failing=failing, seconds=HASTY) as hasty,
    ):
        yield {False: patient, True: hasty}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fault_has_its_name_and_its_way_out(
    double: MessagesApi, servers: dict[bool, Served], mode: str, case: Case, streamed: bool
) -> None:
    server, before = servers[case.hasty], len(double.books.settled())
    double.plan = ByModel({HAIKU: Always(case.fault)})
    known = len(server.recorded())
    reply = server.ask(QUESTION, mode.partition(",")[0], streamed=streamed)
    new = [row for row in server.recorded()[known:] if row.tier != "reader"]
    failed = [row for row in new if row.tier == HAIKU]
    assert {row.reason.partition(":")[0] for row in failed} == {case.name}
    assert len(failed) == (1 if case.shows and streamed else case.tries)
    assert sum(row.cost_micro_usd for row in new) == sum(round(entry.told_micro_usd) for entry in double.books.settled()[before:])
    assert {row.untold_micro_usd is not None for row in failed} == {case.untold}
    assert {row.untold_micro_usd for row in new if row.tier != HAIKU} <= {None}
    truth, known = double.books.settled()[before:], sum(row.cost_micro_usd for row in new)
    assert known <= sum(round(entry.micro_usd) for entry in truth) <= known + sum(row.untold_micro_usd or 0 for row in new)
    if (case.shows and streamed) or mode == ALONE:
        return expect_problem(reply, case, streamed=streamed)
    assert reply.status == 200
    assert [each["fault"] for each in reply.body["route"] if each["tier"] == HAIKU] == [case.name] * len(failed)
    if mode == "hybrid, the reader":
        assert (reply.body["tier"], reply.body["answer"], reply.body["below_threshold"]) == ("reader", "Leave", True)
        assert reply.body["route"][0]["outcome"] == "below_threshold"
    elif mode == "hybrid, one model":
        assert (reply.body["abstained"], reply.body["below_threshold"]) == (True, False)
    else:
        assert (reply.body["tier"], reply.body["answer"]) == (SONNET, "twenty-seven days of leave")
    assert not streamed or reply.text == (reply.body["answer"] or "")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_answer_that_cites_nothing_that_stands_is_given_by_nobody(
    double: MessagesApi, servers: dict[bool, Served], mode: str, streamed: bool
) -> None:
    """The next model is asked; without one it is abstained, and nothing of it was ever shown."""
    double.plan, server = ByModel({HAIKU: Always(Fault(kind="bad_citation"))}), servers[False]
    reply = server.ask(QUESTION, mode.partition(",")[0], streamed=streamed)
    [tried] = [each for each in reply.body["route"] if each["tier"] == HAIKU]
    assert (reply.status, tried["outcome"], tried["fault"]) == (200, "uncited", None)
    assert (
        tried["reason"]
        == "uncited: nothing in the evidence proves its answer; 1 of its quotes stand nowhere in the evidence, and were dropped"
    )
    if "two models" in mode or mode in ("hybrid, the next", "hybrid, the reader"):
        assert (reply.body["tier"], reply.body["answer"]) == (SONNET, "twenty-seven days of leave")
    else:
        assert (reply.body["abstained"], reply.body["answer"], reply.body["tier"]) == (True, None, HAIKU)
        assert [each["quote"] for each in reply.body["citations"]] == [TEXT]
    assert not streamed or reply.text == (reply.body["answer"] or "")
    assert server.recorded()[-1 if reply.body["abstained"] else -2].outcome == "uncited"


def expect_problem(reply: Reply, case: Case, *, streamed: bool) -> None:
    assert reply.status == case.status
    assert f"{HAIKU}: {case.name}: " in reply.body["detail"]
    assert reply.body["retry_after"] == case.retry_after
    if not streamed:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["retry-after"] == str(case.retry_after)


def test_address_that_refuses_is_a_502_with_its_name(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(refuses(), monkeypatch)
    with served(tmp_path_factory.mktemp("refused"), HAIKU) as server:
        reply = server.ask(QUESTION, "frontier")
    assert (reply.status, "unreachable: " in reply.body["detail"], reply.headers["retry-after"]) == (502, True, "5")


def test_address_that_never_accepts_is_a_504_with_its_name(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with never_accepts() as url:
        point_at(url, monkeypatch)
        with served(tmp_path_factory.mktemp("silent"), HAIKU, seconds=3.0) as server:
            reply = server.ask(QUESTION, "frontier")
    assert (reply.status, "connect_timeout: " in reply.body["detail"]) == (504, True)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_dead_tier_is_left_alone_and_tried_again_later(double: MessagesApi, tmp_path_factory: pytest.TempPathFactory) -> None:
    clock = Clock()
    double.plan = Always(Fault(kind="401"))
    with served(tmp_path_factory.mktemp("breaker"), HAIKU, breaker=Breaker(faults=3, seconds=20.0, clock=clock)) as server:
        asked = [server.ask(QUESTION, "frontier").status for _ in range(3)]
        before = len(double.books.settled())
        refused = server.ask(QUESTION, "frontier")
        [tier] = [tier for tier in server.client.get("/v1/generator").json()["tiers"] if tier["name"] == HAIKU]
        assert (asked, refused.status, refused.headers["retry-after"]) == ([502] * 3, 503, "20")
        assert f"{HAIKU}: circuit_open: " in refused.body["detail"]
        assert (tier["ready"], "rests for 20 s" in tier["reason"], len(double.books.settled())) == (True, True, before)
        double.plan = Always(Fault(kind="slow", seconds=0.0))
        clock.now += 20.0
        assert "is tried again by the next question" in server.client.get("/v1/generator").text
        assert [server.ask(QUESTION, "frontier").status for _ in range(2)] == [200, 200]


def test_tier_without_a_place_is_busy(double: MessagesApi, tmp_path_factory: pytest.TempPathFactory) -> None:
    double.plan = Always(Fault(kind="slow", seconds=0.0))
    full = Bulkhead(places=1)
    with served(tmp_path_factory.mktemp("busy"), HAIKU, bulkhead=full) as server, full.place():
        reply = server.ask(QUESTION, "frontier")
    assert (reply.status, reply.headers["retry-after"], "busy: " in reply.body["detail"]) == (503, "1", True)


def test_books_of_the_double_are_the_ledger_to_the_micro_dollar(double: MessagesApi, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is lost and nothing counted twice: every call of the double is one attempt of ours, at its price."""
    before = len(double.books.settled())
    faults = [case.fault for case in CASES.values() if not case.hasty and case.name != "read_timeout"]
    double.plan = Share(share=0.2, seed=3, faults=faults)
    with served(tmp_path_factory.mktemp("books"), HAIKU, SONNET) as server:
        replies = [server.ask(QUESTION, "frontier" if n % 2 else "hybrid", streamed=n % 3 == 0) for n in range(300)]
        every = server.recorded()
        told = server.client.get("/v1/ledger").json()
    entries, rows = double.books.settled()[before:], [row for row in every if row.tier != "reader"]
    assert len(entries) == len(rows) > 320
    assert sum(row.cost_micro_usd for row in rows) == sum(round(entry.told_micro_usd) for entry in entries)
    assert told["total"]["cost_micro_usd"] == sum(row.cost_micro_usd for row in every)
    assert sum(reply.body.get("cost_micro_usd", 0) for reply in replies if reply.status == 200) <= told["total"]["cost_micro_usd"]
    assert {reply.status for reply in replies} <= {200, 502, 503}
    assert ceil(0.9 * len(replies)) <= sum(reply.status == 200 for reply in replies)

"""GET and PUT /v1/generator, and the mode behind them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.generator import set_generator, show_generator
from api.mode import keep_first_mode, parse_mode, read_mode, write_mode
from api.stack import open_engine
from core.database import open_database, sqlite_url
from core.errors import InvalidInput, NoReadyTier
from core.settings import Settings
from core.types import MODES
from tests.api.conftest import MakeClient, MakeStack
from tests.doubles import FirstWordTier


def test_mode_of_a_new_database_comes_from_the_settings_and_stays(tmp_path: Path) -> None:
    first = open_engine(Settings(data_dir=tmp_path, mode="hybrid"))
    again = open_engine(Settings(data_dir=tmp_path, mode="tuned"))
    assert read_mode(first, default="tuned") == read_mode(again, default="tuned") == "hybrid"


def test_mode_written_by_one_engine_is_read_by_another(tmp_path: Path) -> None:
    one, other = open_database(sqlite_url(tmp_path)), open_database(sqlite_url(tmp_path))
    for mode in MODES:
        write_mode(one, mode)
        assert read_mode(other, default="tuned") == mode


def test_mode_is_stored_once_by_processes_that_start_together(tmp_path: Path) -> None:
    engine = open_database(sqlite_url(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda mode: keep_first_mode(engine, mode), ["hybrid", "tuned"] * 8))
    assert read_mode(engine, default="frontier") in ("hybrid", "tuned")


def test_unknown_mode_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InvalidInput, match="'best': use one of tuned, frontier, hybrid"):
        parse_mode("best")


def test_show_names_every_tier_with_its_reason(make_stack: MakeStack) -> None:
    stack = make_stack(tiers=(FirstWordTier("reader"), FirstWordTier("claude", ready=False)))
    shown = show_generator(stack.engine, stack.answerer, default="tuned")
    assert [(tier.name, tier.ready, tier.reason) for tier in shown.tiers] == [
        ("reader", True, "the test wants it so"),
        ("claude", False, "the test wants it so"),
    ]
    assert shown.modes == {"tuned": True, "frontier": False, "hybrid": True}


def test_mode_without_a_ready_tier_is_refused_and_the_old_one_stays(make_stack: MakeStack) -> None:
    stack = make_stack(tiers=(FirstWordTier("reader"), FirstWordTier("claude", ready=False)))
    with pytest.raises(NoReadyTier, match=r"claude: the test wants it so.*tuned, hybrid"):
        set_generator(stack.engine, stack.answerer, "frontier")
    assert read_mode(stack.engine, default="frontier") == "tuned"


def test_http_toggle_holds_from_the_next_request(make_client: MakeClient) -> None:
    client = make_client(tiers=(FirstWordTier("reader"), FirstWordTier("claude")))
    assert client.get("/v1/generator").json()["mode"] == "tuned"
    assert client.put("/v1/generator", json={"mode": "frontier"}).json()["mode"] == "frontier"
    assert client.post("/v1/answers", json={"question": "How many days?"}).json()["tier"] == "claude"


def test_http_toggle_to_frontier_without_a_tier_is_409(make_client: MakeClient) -> None:
    client = make_client()
    reply = client.put("/v1/generator", json={"mode": "frontier"})
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:understudy:problem:no-ready-tier")
    assert "none is configured" in reply.json()["detail"]
    assert client.get("/v1/generator").json()["mode"] == "tuned"


@pytest.mark.parametrize("sent", [{}, {"mode": "best"}, {"mode": None}, {"mode": "tuned", "force": True}])
def test_http_toggle_refuses_wrong_input(make_client: MakeClient, sent: dict[str, object]) -> None:
    assert make_client().put("/v1/generator", json=sent).status_code == 422

"""The command line: what it prints, its exit codes, its one-line errors. Real parts, and a process each where state changes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from api.cli import run
from tests.api.conftest import ROOT, understudy
from tests.generation.claude import point_at
from tests.ingest.remains import files_holding
from tests.messages_api.sockets import refuses

QUESTION = "How many days of leave does everyone have?"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(ingested: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, on the indexed handbook: exit code, stdout, stderr."""
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(ingested / "data"))

    def run_here(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_here


@pytest.fixture
def there(library: Path, here: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The same on a copy, standing in its folder: for commands that change something."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(library / "data"))
    monkeypatch.chdir(library)
    yield here
    signal.signal(signal.SIGTERM, handler)


def report(text: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(text.splitlines()[-1])
    return last


def test_ask_prints_answer_sentence_place_and_facts(here: Run) -> None:
    code, out, _ = here("ask", QUESTION)
    assert code == 0
    for shown in (
        "27",
        "Everyone has 27 days of leave a year.",
        "handbook/people/leave.md",
        "characters",
        "confidence",
        "tier reader",
        " ms",
        "$0.0",
    ):
        assert shown in out


def test_ask_json_is_the_object_of_http(here: Run) -> None:
    code, out, _ = here("ask", QUESTION, "--json", "--top-k", "2", "--mode", "tuned")
    answer = report(out)
    assert (code, answer["mode"], answer["index_version"], answer["tier"]) == (0, "tuned", 1, "reader")
    assert set(answer) >= {"id", "answer", "abstained", "citations", "route", "usage", "cost_micro_usd", "timings_ms"}


def test_ask_in_hybrid_mode_says_that_it_abstains_and_shows_passages(here: Run) -> None:
    code, out, _ = here("ask", "Who won the football match on Sunday?", "--mode", "hybrid")
    assert code == 0
    assert "No answer that can be trusted" in out
    assert "The best passages:" in out
    assert "handbook/" in out


def test_search_prints_hits_best_first(here: Run) -> None:
    code, out, _ = here("search", "hotel price", "--top-k", "1")
    assert (code, "handbook/people/travel.md" in out, "140 euros" in out) == (0, True, True)
    assert report(here("search", "hotel price", "--json")[1])["hits"][0]["source"] == "handbook/people/travel.md"


def test_status_shows_what_is_indexed(here: Run) -> None:
    assert "Version 1" in here("status")[1]
    shown = report(here("status", "--json")[1])
    assert (shown["version"], shown["documents"], shown["chunks"] >= 3, shown["failed"]) == (1, 3, True, [])


@pytest.mark.parametrize("command", [("sync",), ("rebuild",)])
def test_command_that_writes_notes_how_far_it_is(there: Run, library: Path, command: tuple[str, ...]) -> None:
    (library / "handbook").mkdir(exist_ok=True)
    (library / "handbook" / "new.md").write_text("# Ferry\n\nThe ferry leaves at noon.\n", encoding="utf-8")
    assert there("ingest", "handbook")[0] == 0
    (library / "handbook" / "new.md").write_text("# Ferry\n\nThe ferry leaves at one.\n", encoding="utf-8")
    (library / "data" / "sync.lock").write_text("", encoding="utf-8")
    assert there(*command)[0] == 0
    noted = json.loads((library / "data" / "sync.lock").read_text(encoding="utf-8"))
    assert (noted["tenant"], noted["step"]) == ("default", "publishing")


def test_status_of_another_tenant_is_empty(here: Run) -> None:
    shown = report(here("status", "--json", "--tenant", "acme")[1])
    assert (shown["documents"], shown["chunks"], shown["sources"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ask",), "`understudy ask --help` shows how it is used"),
        (("generator", "set"), "`understudy generator set --help` shows how it is used"),
        (("ask", "x", "--top-k", "999"), "`understudy ask --help` shows how it is used"),
        (("rubbish",), "`understudy --help` shows the commands"),
    ],
)
def test_wrong_arguments_point_to_the_help_of_their_command(here: Run, arguments: tuple[str, ...], told: str) -> None:
    code, _, err = here(*arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert err.rstrip().endswith(told)


def test_reader_that_is_not_there_is_named_with_its_setting(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_READER__PATH", "/nowhere/at/all")
    code, _, err = here("ask", QUESTION)
    assert code == 1
    assert "/nowhere/at/all" in err and "UNDERSTUDY_READER__PATH" in err


def test_generator_set_and_show(there: Run) -> None:
    assert report(there("generator", "set", "hybrid", "--json")[1])["mode"] == "hybrid"
    _, out, _ = there("generator", "show")
    assert ("Mode hybrid" in out, "reader: ready" in out) == (True, True)


def test_prompt_shows_what_would_be_sent_the_breakpoint_and_the_bill(here: Run) -> None:
    code, out, _ = here("prompt", QUESTION, "--top-k", "2")
    assert code == 0
    for shown in ("You answer questions from the documents", "--- cache breakpoint, 5m ---", "[handbook/people/leave.md] Leave", QUESTION):
        assert shown in out
    assert out.index("cache breakpoint") < out.index("Everyone has 27 days of leave a year.") < out.index(f"Question: {QUESTION}")
    assert "estimated" in out
    assert all(bill in out for bill in ("model claude-haiku-5-5", "cold $0.000", "warm $0.000", "uncached $0.000"))


def test_prompts_of_two_questions_share_their_prefix(here: Run) -> None:
    one, other = (report(here("prompt", question, "--json")[1]) for question in (QUESTION, "Who changes the door code?"))
    assert json.dumps(one["system"]) == json.dumps(other["system"])
    assert one["prefix_fingerprint"] == other["prefix_fingerprint"]
    assert one["messages"] != other["messages"]
    assert (one["breakpoints"], one["tokens_estimated"], one["ttl"]) == (["system[0]"], True, "5m")


def test_prompt_warns_of_a_prefix_under_the_models_minimum(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_FRONTIER__MODELS", "claude-haiku-4-5:low:300")
    shown = report(here("prompt", QUESTION, "--json")[1])
    assert (shown["effort"], shown["max_tokens"]) == ("low", 300)
    assert shown["cold_micro_usd"] == shown["warm_micro_usd"] == shown["uncached_micro_usd"]
    assert "claude-haiku-4-5 caches none under 4,096" in shown["warnings"][0]
    assert "warning: the prefix has about" in here("prompt", QUESTION)[1]


def test_prompt_with_exemplars_is_cheaper_warm_than_cold(here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [json.dumps({"question": f"How many of {n}?", "answer": None}) for n in range(60)]
    (tmp_path / "exemplars.jsonl").write_text("\n".join(rows))
    monkeypatch.setenv("UNDERSTUDY_FRONTIER__EXEMPLARS", str(tmp_path / "exemplars.jsonl"))
    monkeypatch.setenv("UNDERSTUDY_FRONTIER__TTL", "1h")
    shown = report(here("prompt", QUESTION, "--json")[1])
    assert shown["warm_micro_usd"] < shown["uncached_micro_usd"] < shown["cold_micro_usd"]
    assert (shown["breakpoints"], shown["warnings"]) == (["system[1]"], [])
    assert shown["system"][1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_prompt_for_a_model_without_a_price_says_what_to_add(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_FRONTIER__MODELS", "claude-haiku-9")
    code, out, err = here("prompt", QUESTION)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert "no price for the model 'claude-haiku-9'" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ask", ""), "the question is empty"),
        (("prompt", ""), "the question is empty"),
        (("ask", "a" * 100_000), "100000 characters: shorten it to 2000"),
        (("ask", "a\x1b[31m"), "U+001B"),
        (("ask", "a\udcff"), "U+DCFF"),
        (("ask", QUESTION, "--mode", "best"), "unknown mode 'best': use one of tuned, frontier, hybrid"),
        (("ask", QUESTION, "--mode", "frontier"), "no ready tier"),
        (("ask", QUESTION, "--top-k", "0"), "--top-k"),
        (("ask", QUESTION, "--tenant", "a/b"), "cannot name a tenant"),
        (("ask", QUESTION, "--colour", "red"), "--colour"),
        (("ask",), "uestion"),
        (("generator", "set", "best"), "unknown mode 'best'"),
        (("generator", "set", "frontier"), "claude-haiku-5-5: no key: set ANTHROPIC_API_KEY"),
        (("keys", "create", "--scope", "root"), "unknown scope 'root'"),
        (("keys", "revoke", "nothing"), "no key 'nothing'"),
        (("serve", "--port", "99999"), "--port"),
        (("dance",), "No such command 'dance'"),
    ],
)
def test_mistake_is_one_line_on_stderr_and_exit_code_1(here: Run, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = here(*arguments)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert told in err
    assert len(err) < 1000


def test_mistake_with_json_is_a_problem_on_stdout_too(here: Run) -> None:
    code, out, err = here("ask", QUESTION, "--mode", "frontier", "--json")
    assert (code, report(out)["status"], report(out)["detail"] in err) == (1, 409, True)


def test_unknown_setting_is_one_line(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_COLOUR", "red")
    code, _, err = here("status")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "unknown setting UNDERSTUDY_COLOUR" in err


def test_database_of_a_newer_version_is_one_line(library: Path, there: Run) -> None:
    with sqlite3.connect(library / "data" / "understudy.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    code, _, err = there("status")
    assert (code, len(err.splitlines()), "update Understudy" in err) == (1, 1, True)


def test_corrupt_index_is_one_line_that_names_the_repair_which_works(library: Path, there: Run) -> None:
    for file in (library / "data" / "index" / "1").rglob("*.dat"):
        file.write_bytes(b"")
    code, _, err = there("search", "hotel")
    assert (code, len(err.splitlines()), "understudy rebuild" in err) == (1, 1, True)
    assert there("rebuild")[0] == 0
    assert "140 euros" in there("search", "hotel price")[1]


def test_ask_marks_an_answer_that_is_below_the_threshold(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(refuses(), monkeypatch)
    monkeypatch.setenv("UNDERSTUDY_FRONTIER__WHEN_FAILING", "reader")
    monkeypatch.setenv("UNDERSTUDY_READER__MAX_WRONG", "0.0001")
    code, out, _ = here("ask", QUESTION, "--mode", "hybrid")
    assert (code, out.splitlines()[0]) == (0, "27")
    assert "Not sure: below the reader's threshold, given because unreachable: " in " ".join(out.split())
    assert "Not sure" not in here("ask", QUESTION, "--mode", "tuned")[1]


def test_ask_before_anything_is_indexed_says_what_to_do(tmp_path: Path, here: Run, ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").symlink_to(ingested / "data" / "cache")
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path))
    code, _, err = here("ask", QUESTION)
    assert (code, err) == (1, "understudy: Nothing is indexed yet: run `understudy ingest PATH` first.\n")
    assert "Nothing is indexed yet" in here("status")[1]


def test_bug_is_one_line_unless_the_log_level_is_debug(here: Run, ingested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.catalog.read_published", lambda *_: "not a number")
    code, _, err = here("status")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "UNDERSTUDY_LOG_LEVEL=debug" in err
    monkeypatch.setenv("UNDERSTUDY_LOG_LEVEL", "debug")
    assert "Traceback" in here("status")[2]


def test_interrupt_is_one_line(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.catalog.read_published", interrupt)
    code, _, err = here("status")
    assert (code, len(err.splitlines()), "Traceback" in err) == (130, 1, False)


def test_help_lists_the_commands_and_names_no_hidden_one(here: Run) -> None:
    for arguments in ((), ("--help",)):
        code, out, _ = here(*arguments)
        assert code == 0
        commands = ("ingest", "sync", "ask", "search", "serve", "generator", "status", "keys", "tune", "prompt", "ledger")
        assert all(command in out for command in commands)
        assert "documents  " not in out


def test_keys_are_made_listed_and_revoked(tmp_path: Path, here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATA_DIR", str(tmp_path))
    assert "No keys yet" in here("keys", "list")[1]
    made = report(here("keys", "create", "--scope", "ask", "--scope", "admin", "--tenant", "acme", "--json")[1])
    assert made["key"].startswith(f"us_{made['key_id']}_")
    listed = here("keys", "list")[1]
    assert (made["key_id"] in listed, made["key"] in listed, "acme" in listed, "ask, admin" in listed) == (True, False, True, True)
    assert here("keys", "revoke", made["key_id"])[0] == 0
    assert "revoked" in here("keys", "list")[1]
    (kept,) = json.loads(here("keys", "list", "--json")[1])
    assert kept["revoked_at"] is not None


def test_ingest_tells_all_well_some_failed_and_nothing_done_apart(library: Path, there: Run) -> None:
    (library / "good").mkdir()
    (library / "good" / "a.md").write_text("# A\n\nOne sentence.\n")
    (library / "bad").mkdir()
    (library / "bad" / "broken.pdf").write_bytes(b"no pdf")
    well, some = there("ingest", "good", "--json"), there("ingest", "bad")
    nothing, alone = there("ingest", "nowhere"), there("ingest", "bad", "--tenant", "acme")
    assert [code for code, _, _ in (well, some, nothing, alone)] == [0, 2, 1, 1]
    assert report(well[1])["added"] == 1
    assert "failed: bad/broken.pdf" in some[1]
    assert (len(nothing[2].splitlines()), "there is no file or folder" in nothing[2]) == (1, True)
    assert report(there("status", "--json")[1])["failed"][0]["source"] == "bad/broken.pdf"


def test_progress_lines_come_before_the_report(there: Run) -> None:
    _, out, err = there("rebuild", "--json", "--progress-lines")
    *progress, last = [json.loads(line) for line in out.splitlines()]
    assert [told["step"] for told in progress] == ["building", "publishing"]
    assert (last["version"], last["unchanged"], last["chunks_embedded"], err) == (2, 3, 0, "")


def test_dry_run_says_what_would_change_and_publishes_nothing(library: Path, there: Run) -> None:
    (library / "more").mkdir()
    (library / "more" / "a.md").write_text("# A\n\nOne sentence.\n")
    assert there("ingest", "more")[0] == 0
    (library / "more" / "a.md").write_text("# A\n\nAnother sentence.\n")
    code, out, _ = there("sync", "--dry-run")
    assert (code, "changed: more/a.md" in out, "would embed 1 chunk (" in out, "about" in out) == (0, True, True, True)
    found = report(there("sync", "--dry-run", "--json")[1])
    assert (found["version"], found["changed"], found["chunks_to_embed"]) == (2, ["more/a.md"], 1)
    assert report(there("status", "--json")[1])["version"] == 2
    for other in ("--release", "--watch"):
        code, _, err = there("sync", "--dry-run", other)
        assert (code, "leave the other option out" in err) == (1, True)


def test_source_that_is_gone_keeps_its_documents_and_says_how_to_drop_them(library: Path, there: Run) -> None:
    (library / "more").mkdir()
    (library / "more" / "a.md").write_text("# A\n\nOne sentence.\n")
    assert there("ingest", "more")[0] == 0
    shutil.rmtree(library / "more")
    code, out, _ = there("sync")
    assert (code, "its documents stay" in out, "`understudy forget more` erases them" in out) == (2, True, True)
    assert (there("forget", "more")[0], there("sync")[0]) == (0, 0)


def test_version_is_shown(there: Run) -> None:
    assert there("--version")[:2] == (0, f"understudy {metadata.version('understudy')}\n")


def test_forget_drops_a_source_and_keeps_its_files(ingested: Path, there: Run) -> None:
    assert report(there("forget", "handbook", "--json")[1])["removed"] == 3
    assert (ingested / "handbook" / "office.txt").exists()
    code, _, err = there("forget", "handbook")
    assert (code, "no source 'handbook'" in err) == (1, True)


def test_forgotten_document_is_nowhere_and_stays_out_until_it_is_named(ingested: Path, library: Path, there: Run) -> None:
    """As somebody would type it, with an answer and a search before it; the log of the sync is on the terminal alone."""
    assert "140 euros" in there("ask", "How much may a hotel cost a night?")[1]
    assert files_holding(library / "data", "140 euros")
    code, out, _ = there("forget", "handbook/people/travel.md")
    assert (code, "Version 2: 1 document forgotten" in out, "not kept any more: 1" in out) == (0, True, True)
    assert files_holding(library / "data", "140 euros", "second class") == {}
    assert "140 euros" not in there("search", "hotel price")[1]
    assert "27" in there("ask", QUESTION)[1]
    assert "1 forgotten document was left out" in there("sync")[1]
    assert "1 forgotten document left out" in there("status")[1]
    assert report(there("status", "--json")[1])["sources"][0]["forgotten"] == 1
    assert report(there("ingest", str(ingested / "handbook" / "people" / "travel.md"), "--json")[1])["added"] == 1
    assert report(there("status", "--json")[1])["sources"][0]["forgotten"] == 0


def test_folders_named_like_ours_where_the_user_stands_are_not_imported(library: Path) -> None:
    for package in ("core", "ingest", "api"):
        (library / package).mkdir()
        (library / package / "__init__.py").write_text("raise RuntimeError('not ours')")
    assert understudy("status", folder=library).returncode == 0


ASK_ONCE = f"""
from api.cli import run
assert run(["ask", {QUESTION!r}]) == 0
"""
SERVE_ONCE = f"""
import api.serve
from api.app import create_app
from api.stack import build_stack
from core.settings import read_settings
from starlette.testclient import TestClient
client = TestClient(create_app(build_stack(read_settings())), base_url="http://localhost", client=("127.0.0.1", 1))
assert client.post("/v1/answers", json=dict(question={QUESTION!r})).status_code == 200
"""
HEAVY = ("torch", "transformers", "sentence_transformers", "llama_index", "onnx", "sklearn")


@pytest.mark.parametrize(("program", "banned"), [(ASK_ONCE, (*HEAVY, "fastapi", "ingest.sync")), (SERVE_ONCE, HEAVY)], ids=["ask", "serve"])
def test_answering_imports_no_training_library(ingested: Path, program: str, banned: tuple[str, ...]) -> None:
    code = f"import sys\n{program}\nassert not [name for name in {banned!r} if name in sys.modules]"
    env = os.environ | {"UNDERSTUDY_DATA_DIR": str(ingested / "data"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

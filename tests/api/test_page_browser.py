"""The page in a real browser, headless: Chromium of this machine, driven by Playwright."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import select, update

from api.app import create_app
from api.auth import create_key, local_scope
from api.mode import write_mode
from api.serve import listening
from api.stack import Stack
from core.protocols import Embedder
from core.schema import answers, attempts, documents, feedback
from core.types import Answer, Attempt, Hit, Spending, SyncProgress, Usage
from generation.journal import record_answer
from ingest.lock import only_writer
from ingest.progress import noted
from tests.api.conftest import ROOT, MakeStack, understudy
from tests.api.library import publish
from tests.doubles import FirstWordTier, WordByWordTier, make_hit

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `pip install -e .[dev]`")
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SENTENCE = "Twenty-seven days of leave a year, <b>and</b> not one more."
MARKUP = "😀 <script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> & so on."
BEFORE = f"{MARKUP}\n\n{SENTENCE} That was long ago.\n\n" + "Filler.\n\n" * 200
TEXT = f"{BEFORE}Leave\n\n{SENTENCE} What is left over goes.\n\nThe end."
Open = Callable[..., Page]


def cited_hit() -> Hit:
    hit = make_hit(SENTENCE)
    return replace(hit, chunk=replace(hit.chunk, start=len(BEFORE) + len("Leave\n\n"), end=len(BEFORE) + len("Leave\n\n") + len(SENTENCE)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser is found: install one of {', '.join(BROWSERS)}")
    expect.set_options(timeout=15_000)
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses root
        launched = driver.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@contextmanager
def running(stack: Stack, port: int = 0) -> Iterator[str]:
    with listening(stack.engine, "127.0.0.1", port) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(stack), log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens the page of a stack or address; whatever the browser's console complains of until it has closed fails the test."""
    complaints: list[str] = []
    wanted: list[str] = []
    with ExitStack() as opened:

        def visit(where: Stack | str, *, expected: str = "", **options: Any) -> Page:
            url = where if isinstance(where, str) else opened.enter_context(running(where))
            context = browser.new_context(**options)
            opened.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
            page.goto(url)
            if expected:
                wanted.append(expected)
            return page

        yield visit
    assert [each for each in complaints if not any(part in each for part in wanted)] == []


@pytest.fixture
def library(make_stack: MakeStack) -> Callable[..., Stack]:
    """A stack whose one document holds what would do harm as markup, and characters beyond sixteen bits before the sentence."""

    def make(**changed: Any) -> Stack:
        stack = make_stack((cited_hit(),), **changed)
        publish(stack.engine, version=7, texts={"d" * 32: TEXT})
        return stack

    return make


def ask(page: Page, question: str = "How many days?") -> None:
    page.get_by_label("What would you like to know?").fill(question)
    page.keyboard.press("Enter")


def test_cited_sentence_opens_marked_and_in_view_and_text_stays_text(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library())
    ask(page, "<img src=x onerror='window.hacked = 1'>")
    expect(page.locator("#facts-part")).to_be_visible()
    expect(page.locator("#asked")).to_have_text("<img src=x onerror='window.hacked = 1'>")
    expect(page.locator(".source .quote")).to_have_text(SENTENCE)
    page.get_by_role("button", name="Source 1").click()
    mark = page.locator("mark")
    expect(mark).to_have_text(SENTENCE)
    expect(page.locator("p", has=mark)).to_contain_text("What is left over goes.")  # not where it stands for the first time
    expect(mark).to_be_in_viewport(ratio=1)
    expect(mark).to_be_focused()
    expect(page.locator("#reader-text p").first).to_contain_text("<script>window.hacked = 1</script>")
    assert page.evaluate("window.hacked") is None
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Source 1")).to_be_focused()


def test_policy_stops_what_slips_through(library: Callable[..., Stack], open_page: Open) -> None:
    """Even code of ours that made markup of text would be refused."""
    page = open_page(library(), expected="TrustedHTML")
    said = page.evaluate("() => { try { document.body.innerHTML = '<b>'; return 'made' } catch (error) { return error.name } }")
    assert said == "TypeError"


WATCH_ANSWER = """
() => {
  const text = document.getElementById("answer-text");
  window.seen = [];
  const note = () => window.seen.push([text.textContent.trim(), text.getAttribute("aria-busy")]);
  new MutationObserver(note).observe(text, { childList: true });
}
"""


def test_answer_is_streamed_with_facts_route_and_feedback(library: Callable[..., Stack], open_page: Open) -> None:
    tiers = (FirstWordTier(confidence=0.1), WordByWordTier("claude", seconds=0.15))
    stack = library(tiers=tiers)
    page = open_page(stack)
    page.get_by_role("radio", name="hybrid").check()
    expect(page.locator("#mode-said")).to_contain_text("Hybrid")
    page.evaluate(WATCH_ANSWER)
    ask(page)
    expect(page.locator("#answer-text")).to_have_text(f"{SENTENCE}1")
    expect(page.locator("#answer-text")).to_have_attribute("aria-busy", "false")
    assert ["Twenty-seven days", "true"] in page.evaluate("window.seen")
    facts = page.locator("#facts").inner_text().split("\n")
    assert [facts[i] for i in (0, 1, 3, 4, 5)] == ["Answered by", "claude", "hybrid", "Confidence", "unknown"], facts
    page.get_by_text("Which tiers were asked, and why").click()
    expect(page.locator("#route li").first).to_contain_text("below the threshold")
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("button", name="Yes")).to_have_attribute("aria-pressed", "true")
    with stack.engine.connect() as connection:
        assert connection.execute(select(feedback.c.correct)).scalar_one() is True


def test_stop_cancels_the_call(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library(tiers=(WordByWordTier("claude", seconds=1.0),), mode="frontier")
    page = open_page(stack)
    ask(page)
    expect(page.locator("#answer-text")).to_contain_text("Twenty-seven")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#answer-text")).to_contain_text("Stopped.")
    until(lambda: outcomes(stack) == ["cancelled"])


def test_answer_that_is_cut_says_why(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library(tiers=(WordByWordTier("claude", fails="the stream was cut"),), mode="frontier"))
    ask(page)
    expect(page.locator(".failure")).to_contain_text("cut short: claude: the stream was cut")
    expect(page.locator("#answer-text")).to_have_attribute("aria-busy", "false")


def test_abstention_shows_the_nearest_passages(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library(tiers=(FirstWordTier(confidence=0.1),), mode="hybrid"))
    ask(page)
    expect(page.locator("#answer-text")).to_contain_text("no answer that can be relied on")
    expect(page.locator("#sources-title")).to_have_text("The nearest passages")
    expect(page.locator("#facts")).to_contain_text("Asked last")
    expect(page.locator("#facts")).not_to_contain_text("Answered by")
    expect(page.locator("#feedback-asked")).to_have_text("Was it right not to answer?")
    page.locator("button.source").click()
    expect(page.locator("mark")).to_have_text(SENTENCE)


def test_toggle_to_a_mode_without_a_tier_is_refused_with_the_reason(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library(), expected="status of 409")
    page.get_by_role("radio", name="frontier").click()
    expect(page.locator("#mode-said")).to_contain_text("no ready tier")
    expect(page.get_by_role("radio", name="tuned")).to_be_checked()
    expect(page.locator("#tiers")).to_contain_text("the test wants it so")


SYNC = """
import json, os, time
while not os.path.exists({gate!r}):
    print(json.dumps({{"step": "embedding", "documents": 2, "documents_total": 2, "chunks": 3, "chunks_total": 4}}), flush=True)
    time.sleep(0.2)
report = dict.fromkeys(["renamed", "removed", "unchanged", "chunks_embedded", "chunks_reused"], 0)
print(json.dumps(report | {{"version": 8, "added": 2, "changed": 1, "failed": [], "seconds": 2.4}}))
"""


def test_sync_shows_its_progress_and_its_report(library: Callable[..., Stack], open_page: Open, tmp_path: Path) -> None:
    page = open_page(library(script=SYNC.format(gate=str(tmp_path / "go"))))
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_role("button", name="Sync now")).to_be_disabled()
    expect(page.locator("#sync-step")).to_have_text("Embedding · 3 of 4")
    expect(page.get_by_role("progressbar", name="Embedding")).to_be_visible()
    (tmp_path / "go").touch()
    expect(page.locator("#sync-said")).to_have_text("Version 8: 2 added, 1 changed, in 2.4 s.")
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()


def test_sync_that_fails_says_why(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library(script="raise SystemExit(3)"))
    page.get_by_role("button", name="Sync now").click()
    expect(page.locator("#sync-said")).to_contain_text("ended with code 3")


def test_sync_of_another_process_shows_its_progress(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library()
    page = open_page(stack)
    expect(page.locator("#summary")).to_contain_text("version 7")
    note = noted(stack.settings.data_dir, local_scope(), lambda _: None)
    with only_writer(stack.settings.data_dir):
        note(SyncProgress(step="parsing", documents=3, documents_total=9))
        expect(page.locator("#sync-step")).to_have_text("Reading files · 3 of 9")
        expect(page.get_by_role("button", name="Sync now")).to_be_disabled()
        note(SyncProgress(step="embedding", chunks=5, chunks_total=8))
        expect(page.locator("#sync-step")).to_have_text("Embedding · 5 of 8")
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    expect(page.get_by_role("progressbar")).to_be_hidden()


def test_empty_index_says_what_to_do_and_the_page_follows_what_others_do(make_stack: MakeStack, open_page: Open) -> None:
    stack = make_stack()
    page = open_page(stack)
    expect(page.locator("#empty")).to_contain_text("understudy ingest PATH")
    expect(page.get_by_role("button", name="Sync now")).to_be_disabled()
    for part in ("#folders-part", "#catalogue", "#history"):
        expect(page.locator(part)).to_be_hidden()
    publish(stack.engine, version=7, texts={"d" * 32: TEXT})
    write_mode(stack.engine, "hybrid")
    expect(page.locator("#summary")).to_have_text("version 7 · 1 document · hybrid mode")
    expect(page.get_by_role("radio", name="hybrid")).to_be_checked()
    expect(page.locator("#empty")).to_be_hidden()
    expect(page.get_by_role("button", name="Sync now")).to_be_enabled()
    expect(page.locator("#folders")).to_contain_text("/srv/handbook")


def test_server_that_goes_and_comes_back_is_noticed(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library()
    with running(stack) as url:
        page = open_page(url, expected="ERR_CONNECTION_REFUSED")
        expect(page.locator("#summary")).to_contain_text("version 7")
    expect(page.locator("#summary")).to_have_text("The server cannot be reached")
    ask(page)
    expect(page.locator("#phase.refused")).to_contain_text("is it still running?")
    page.get_by_role("radio", name="hybrid").click()
    expect(page.locator("#mode-said")).to_contain_text("cannot be reached")
    expect(page.get_by_role("radio", name="tuned")).to_be_checked()
    with running(stack, int(url.rpartition(":")[2])):
        expect(page.locator("#summary")).to_contain_text("version 7 · 1 document · tuned mode")
        for part in ("#phase", "#mode-said"):
            expect(page.locator(part)).to_be_empty()
        page.close()


def test_key_is_asked_for_and_kept_in_the_tab_only(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library()
    key = create_key(stack.engine, "default", ["ask", "admin"]).key
    page = open_page(stack, expected="status of 401")
    expect(page.get_by_role("heading", name="This server needs an API key")).to_be_visible()
    page.get_by_label("API key", exact=True).fill("us_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-reason")).to_contain_text("not a key of this server")
    page.get_by_label("API key", exact=True).fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text("version 7")
    expect(page.get_by_role("heading", name="This server needs an API key")).to_be_hidden()
    assert page.evaluate("[localStorage.length, document.cookie, Object.values(sessionStorage)]") == [0, "", [key]]
    page.reload()
    expect(page.locator("#summary")).to_contain_text("version 7")
    page.get_by_role("button", name="Forget the API key").click()
    expect(page.get_by_role("heading", name="This server needs an API key")).to_be_visible()


def test_key_that_is_made_later_is_asked_for_once(library: Callable[..., Stack], open_page: Open) -> None:
    """The page looks for news every other second; it must not pull whoever writes a question to the key each time."""
    stack = library()
    page = open_page(stack, expected="status of 401")
    expect(page.locator("#summary")).to_contain_text("version 7")
    key = create_key(stack.engine, "default", ["ask", "admin"]).key
    expect(page.get_by_role("heading", name="This server needs an API key")).to_be_visible()
    ask(page)
    expect(page.locator("#phase")).to_contain_text("needs an API key")
    expect(page.get_by_label("API key", exact=True)).to_be_focused()
    page.locator("#question").focus()
    page.wait_for_timeout(2_500)
    expect(page.locator("#question")).to_be_focused()
    page.get_by_label("API key", exact=True).fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This server needs an API key")).to_be_hidden()
    expect(page.locator("#phase")).to_be_empty()


def test_page_can_be_used_by_keyboard_alone(library: Callable[..., Stack], open_page: Open) -> None:
    page = open_page(library())
    expect(page.locator("#summary")).to_contain_text("version 7")
    page.keyboard.type("How many days?")
    page.keyboard.press("Enter")
    expect(page.locator("#facts-part")).to_be_visible()
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className || document.activeElement.value"))
    assert reached[:7] == ["send", "mark", "source", reached[3], "right", "wrong", "tuned"]
    assert "sync" in reached


def test_costs_are_drawn_beside_what_the_frontier_alone_would_cost(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library()
    now = time.time()
    for days, mode in ((2, "frontier"), (1, "tuned"), (0, "frontier")):
        spend(stack, at=now - 86_400 * days, cost=1_500_000 if mode == "frontier" else 0)
    page = open_page(stack)
    expect(page.locator("#spent")).to_contain_text("$3.00")
    expect(page.locator("#spent")).to_contain_text("$4.50")
    curve = page.get_by_role("img", name="Running total")
    expect(curve).to_have_attribute("aria-label", re.compile("frontier only \\$4.50, spent \\$3.00"))
    heights = [y for _, y in points_of(curve)]
    assert heights[0] > heights[1] == heights[2] > heights[3]


def test_costs_are_flat_over_days_without_an_answer(library: Callable[..., Stack], open_page: Open) -> None:
    stack = library()
    now = time.time()
    for days in (9, 0):
        spend(stack, at=now - 86_400 * days, cost=1_500_000)
    points = points_of(open_page(stack).get_by_role("img", name="Running total"))
    (left, bottom), (one, half), (nine, still), (right, top) = points
    assert (half, bottom - half) == (still, half - top)
    assert [round(10 * (x - left) / (right - left)) for x in (one, nine)] == [1, 9]


def points_of(curve: Locator) -> list[tuple[float, float]]:
    drawn = curve.locator(".spent").get_attribute("d") or ""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+) (\S+?)(?=L|$)", drawn)]


def spend(stack: Stack, *, at: float, cost: int) -> None:
    price = {"input": "1.00"} if cost else None
    spending = Spending(cost_micro_usd=cost, uncached_micro_usd=cost, price=price)
    attempt = Attempt(tier="claude", outcome="accepted", reason="", confidence=None, latency_ms=1.0, spending=spending)
    answer = Answer(
        id=uuid.uuid4().hex, question="?", answer="!", abstained=False, citations=(), mode="hybrid", tier="claude", model=None,
        confidence=None, confidence_source=None, route=(attempt,), index_version=7, usage=Usage(), cost_micro_usd=cost, timings_ms={},
    )  # fmt: skip
    record_answer(stack.engine, local_scope(), answer)
    with stack.engine.begin() as connection:
        connection.execute(update(answers).where(answers.c.id == answer.id).values(at=at))


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_page_is_never_wider_than_the_screen(library: Callable[..., Stack], open_page: Open, width: int) -> None:
    page = open_page(library(), viewport={"width": width, "height": 740})
    ask(page, "Donaudampfschifffahrtsgesellschaftskapitän" * 10)
    expect(page.locator("#facts-part")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("button.source").click()
    expect(page.locator("mark")).to_be_in_viewport()
    assert page.evaluate("document.querySelector('dialog').getBoundingClientRect().width") <= width


def test_long_title_leaves_room_for_the_passage(make_stack: MakeStack, open_page: Open) -> None:
    title = "An extraordinarily long title about the maintenance of pneumatic brakes " * 6
    stack = make_stack((replace(cited_hit(), title=title),))
    publish(stack.engine, version=7, texts={"d" * 32: TEXT})
    with stack.engine.begin() as connection:
        connection.execute(update(documents).values(title=title, source=f"handbook/{'long-name-' * 30}.md"))
    page = open_page(stack, viewport={"width": 320, "height": 480})
    ask(page)
    page.locator("button.source").click()
    expect(page.locator("mark")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.getElementById('reader-text').clientHeight") > 240


def test_text_from_right_to_left_is_set_so(make_stack: MakeStack, open_page: Open) -> None:
    sentence = "כל עובד מקבל עשרים ושבעה ימי חופשה."
    hit = cited_hit()
    hit = replace(hit, chunk=replace(hit.chunk, text=sentence, start=0, end=len(sentence)))
    stack = make_stack((hit,))
    publish(stack.engine, version=7, texts={"d" * 32: sentence})
    page = open_page(stack)
    ask(page)
    begins, stops, edge = page.locator(".quote").evaluate(ENDS)
    assert stops < begins > edge - 40
    page.locator("button.source").click()
    begins, stops, edge = page.locator("mark").evaluate(ENDS)
    assert stops < begins > edge - 40


ENDS = """
node => {
  const at = (from) => {
    const range = document.createRange();
    range.setStart(node.firstChild, from);
    range.setEnd(node.firstChild, from + 1);
    return range.getBoundingClientRect().left;
  };
  return [at(0), at(node.firstChild.data.length - 1), (node.closest("p") ?? node).getBoundingClientRect().right];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(library: Callable[..., Stack], open_page: Open, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text."""
    page = open_page(library(), color_scheme=scheme)
    ask(page)
    expect(page.locator("#facts-part")).to_be_visible()
    pairs = [("--ink", "--paper"), ("--ink", "--card"), ("--soft", "--paper"), ("--soft", "--card"), ("--accent", "--card"),
             ("--accent", "--tint"), ("--accent-ink", "--accent"), ("--warn", "--card"), ("--ink", "--mark")]  # fmt: skip
    for ink, ground in pairs:
        colours = [
            page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", name) for name in (ink, ground)
        ]
        assert contrast(*map(luminance, colours)) >= 4.5, (ink, ground)


def colour_of(page: Page, name: str) -> str:
    return str(page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", name))


def luminance(colour: str) -> float:
    digits = colour.strip().removeprefix("#")
    full = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (int(full[i : i + 2], 16) / 255 for i in (0, 2, 4))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.slow
def test_examples_are_asked_opened_and_synced(open_page: Open, embedder_cache: Path, minilm: Embedder, tmp_path: Path) -> None:
    """The real thing: the examples, the real reader, the real command line behind the sync button."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(embedder_cache)
    shutil.copytree(ROOT / "examples" / "corpus", tmp_path / "corpus")
    assert understudy("ingest", "corpus", "--json", folder=tmp_path).returncode == 0
    with serving(tmp_path) as url:
        page = open_page(url)
        ask(page, "How long will we keep supplying parts for Dock 3?")
        expect(page.locator("#answer-text")).to_contain_text("31 December 2030", timeout=30_000)
        page.get_by_role("button", name="Source 1").click()
        expect(page.locator("mark")).to_contain_text("until 31 December 2030")
        expect(page.locator("mark")).to_be_in_viewport()
        page.keyboard.press("Escape")
        (tmp_path / "corpus" / "new.md").write_text("# Ferry\n\nThe ferry leaves at noon.\n", encoding="utf-8")
        page.get_by_role("button", name="Sync now").click()
        expect(page.locator("#sync-said")).to_contain_text("Version 2: 1 added", timeout=60_000)
        ask(page, "When does the ferry leave?")
        expect(page.locator("#answer-text")).to_contain_text("noon", timeout=30_000)
        look_back(page, tmp_path)
        page.close()  # before its server, which it asks for news every other second


def look_back(page: Page, folder: Path) -> None:
    """A sync of the command line is followed; an earlier version is asked and read as it was; the newest is rolled back."""
    (folder / "corpus" / "new.md").write_text("# Ferry\n\nThe ferry leaves at midnight.\n", encoding="utf-8")
    assert understudy("sync", "--json", folder=folder).returncode == 0
    expect(page.locator("#summary")).to_contain_text("version 3", timeout=15_000)
    expect(page.locator("#latest")).to_have_text("Sync: 1 changed.")
    page.get_by_text("Earlier versions").click()
    page.get_by_role("button", name="Ask version 2").click()
    expect(page.locator("#as-of")).to_contain_text("You are asking version 2")
    ask(page, "When does the ferry leave?")
    expect(page.locator("#answer-text")).to_contain_text("noon", timeout=30_000)
    page.get_by_role("button", name="Source 1").click()
    expect(page.locator("mark")).to_have_text("The ferry leaves at noon.")
    expect(page.locator("#reader-said")).to_be_empty()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Back to the newest").click()
    ask(page, "When does the ferry leave?")
    expect(page.locator("#answer-text")).to_contain_text("midnight", timeout=30_000)
    page.get_by_role("button", name="Roll back to version 2").click()
    expect(page.get_by_role("heading", name="Roll back to version 2?")).to_be_visible()
    page.get_by_role("button", name="Roll back", exact=True).click()
    expect(page.locator("#summary")).to_contain_text("version 4", timeout=60_000)
    expect(page.get_by_text("Earlier versions")).to_be_focused()
    expect(page.locator("#held")).to_contain_text("Rolled back to version 2")
    ask(page, "When does the ferry leave?")
    expect(page.locator("#answer-text")).to_contain_text("noon", timeout=30_000)
    page.get_by_role("button", name="Release and sync").click()
    expect(page.locator("#sync-said")).to_contain_text("Version 5: 1 changed", timeout=60_000)
    expect(page.locator("#held")).to_be_empty()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UNDERSTUDY_", "ANTHROPIC_"))}
    env = clean | {"UNDERSTUDY_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "api.cli", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def outcomes(stack: Stack) -> list[str]:
    with stack.engine.connect() as connection:
        return list(connection.execute(select(attempts.c.outcome)).scalars())


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, "it did not happen within 10 s"
        time.sleep(0.05)

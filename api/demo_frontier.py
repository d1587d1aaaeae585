"""`make demo-frontier`: the frontier model's part in it, played by the stand-in of tests/messages_api, as every line says."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.demo import COMMAND, FOLDER, example_questions, expect, make_fresh_folder, say, understudy

ROOT = Path(__file__).parents[1]
LABEL = "[stand-in] "
INSIDE = "--inside"
CERTAIN, UNSURE, UNANSWERABLE = "q068", "q049", "q005"
CERTAIN_ANSWER, UNSURE_ANSWER = "F-12", "every hour"
NO_ANSWER = "No answer that can be trusted"


def main() -> None:
    """Runs itself once more and labels all that comes out, so that no line can be mistaken for Claude's, an error's neither."""
    if INSIDE in sys.argv[1:]:
        show()
        return
    command = [sys.executable, "-u", "-m", "api.demo_frontier", INSIDE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as inside:
        for line in inside.stdout or ():
            print(f"{LABEL}{line}".rstrip(), flush=True)
    sys.exit(inside.returncode)


def show() -> None:
    started = time.perf_counter()
    print("No real model is asked here, and nothing is paid. A stand-in on this machine plays the Messages API: it knows the answers of")
    print("examples/questions.jsonl and looks them up. What it says and what it costs shows how Understudy works, not what Claude does.")
    make_fresh_folder()
    with stand_in() as url:
        point_to(url)
        show_modes(example_questions())
    say(f"That was the demo, in {time.perf_counter() - started:.0f} s, with a stand-in. With a key of your own, in {FOLDER}:")
    command = os.path.relpath(COMMAND, FOLDER)
    print(f"\nANTHROPIC_API_KEY=... {command} ask {shlex.quote(example_questions()[CERTAIN])} --mode frontier")


def show_modes(questions: dict[str, str]) -> None:
    understudy("ingest", "handbook")
    say("1. Frontier: every question goes to the model, here to the stand-in. The citations are checked against our own texts.")
    expect(CERTAIN_ANSWER, understudy("ask", questions[CERTAIN], "--mode", "frontier"))
    say("2. Hybrid, a question that the reader is sure of: it answers alone, and nobody else is asked.")
    expect("tier reader", understudy("ask", questions[CERTAIN], "--mode", "hybrid"))
    say("3. Hybrid, a question that the reader is not sure of: the stand-in answers.")
    expect(UNSURE_ANSWER, understudy("ask", questions[UNSURE], "--mode", "hybrid"))
    say("4. Not in the documents: the stand-in says so, and that is no answer, in either mode.")
    expect(NO_ANSWER, understudy("ask", questions[UNANSWERABLE], "--mode", "hybrid"))
    expect(NO_ANSWER, understudy("ask", questions[UNANSWERABLE], "--mode", "frontier"))
    say("5. The ledger: real prices for the stand-in's tokens. Nobody was charged.")
    understudy("ledger", "--by", "mode", "--by", "tier")


@contextmanager
def stand_in() -> Iterator[str]:
    """Its address; it ends with the block."""
    with subprocess.Popen([sys.executable, "-m", "tests.messages_api"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as double:
        announced = double.stdout.readline().strip() if double.stdout else ""
        print(announced)
        try:
            if not announced:
                raise SystemExit("the demo stops here: the stand-in did not start; `make install` brings what it needs")
            yield announced.rpartition("=")[2]
        finally:
            double.terminate()


def point_to(url: str) -> None:
    """From here on the SDK finds the stand-in only: no key of the user's is left that could reach it, or a real model."""
    for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
        del os.environ[name]
    os.environ |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "stand-in", "NO_PROXY": "127.0.0.1", "COLUMNS": "100"}


if __name__ == "__main__":
    main()

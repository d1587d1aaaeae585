"""`make demo`: ask, re-index, toggle, typed as a user would, on a copy of examples/ in a fresh folder."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDER = Path(".understudy-demo")
COMMAND = Path(sys.executable).with_name("understudy")
ASKED = ("q016", "q119", "q081", "q091", "q068")  # from Markdown, plain text, PDF, DOCX and JSON
UNANSWERABLE = "q005"
SHOWN = ("answer", "abstained", "confidence", "mode", "tier", "cost_micro_usd", "timings_ms")


def main() -> None:
    started = time.perf_counter()
    questions = example_questions()
    make_fresh_folder()
    say(f"{FOLDER}/handbook is a copy of examples/corpus. Ingest it: no key, no GPU, everything stays on this machine.")
    understudy("ingest", "handbook")
    say("1. Ask. The tuned reader answers with a verbatim piece of a document, in the sentence that says so.")
    for chosen in ASKED:
        understudy("ask", questions[chosen])
    say("2. Re-index. A fact changes in one document; only the chunks that it touches are embedded again.")
    show_edit()
    say("3. Toggle, here under a running server. Nobody wrote this down; in tuned mode the reader is alone, and may try.")
    show_toggle(questions[UNANSWERABLE])
    say_what_next(time.perf_counter() - started)


def example_questions() -> dict[str, str]:
    rows = map(json.loads, (EXAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["id"]: row["question"] for row in rows}


def make_fresh_folder() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(EXAMPLES / "corpus", FOLDER / "handbook")


def show_edit() -> None:
    edit = json.loads((EXAMPLES / "edit.json").read_text(encoding="utf-8"))
    document = FOLDER / "handbook" / Path(edit["document"]).relative_to("corpus")
    expect(edit["before"], understudy("ask", edit["question"]))
    text = document.read_text(encoding="utf-8")
    document.write_text(text.replace(edit["find"], edit["replace"]), encoding="utf-8")
    print(f"\n(in {document.relative_to(FOLDER)}, {edit['find']!r} is now {edit['replace']!r})")
    understudy("sync")
    expect(edit["after"], understudy("ask", edit["question"]))


def show_toggle(question: str) -> None:
    with serving() as url:
        post(url, question)
        print("\nIn hybrid mode an answer that it is not sure of goes to the frontier model. Where none is set up, it is not given:")
        understudy("generator", "set", "hybrid")
        post(url, question)
        understudy("generator", "set", "tuned")


@contextmanager
def serving() -> Iterator[str]:
    """A server on a free port, with its log in the folder; it ends with the block."""
    command = ["serve", "--port", "0", "--json"]
    print(f"\n$ understudy {shlex.join(command)} 2> serve.log &", flush=True)
    with (FOLDER / "serve.log").open("w") as log, subprocess.Popen(
        [COMMAND.absolute(), *command], cwd=FOLDER, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
    ) as server:  # fmt: skip
        announced = server.stdout.readline() if server.stdout else ""
        print(announced.rstrip())
        if not announced:
            raise SystemExit(f"the demo stops here: the server did not start; {FOLDER}/serve.log says why")
        try:
            yield json.loads(announced)["url"]
        finally:
            server.terminate()


def post(url: str, question: str) -> None:
    """Ask over HTTP, and show the main fields of the reply."""
    body = json.dumps({"question": question})
    print(f"\n$ curl -s {url}/v1/answers -H 'Content-Type: application/json' -d {shlex.quote(body)}", flush=True)
    request = Request(f"{url}/v1/answers", body.encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as reply:
        answer = json.load(reply)
    print("\n".join(f"  {name}: {json.dumps(answer[name])}" for name in SHOWN))


def understudy(*arguments: str) -> str:
    """Show the command and run it as a user would; progress goes straight to the terminal."""
    print(f"\n$ understudy {shlex.join(arguments)}", flush=True)
    done = subprocess.run([COMMAND.absolute(), *arguments], cwd=FOLDER, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout.rstrip(), flush=True)
    if done.returncode != 0:
        raise SystemExit(f"the demo stops here: that ended with exit code {done.returncode}")
    return done.stdout


def environment() -> dict[str, str]:
    """The default settings, whatever is set outside, and colours where there is somebody to see them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    return inherited | ({"FORCE_COLOR": "1"} if sys.stdout.isatty() else {})


def expect(answer: str, shown: str) -> None:
    if answer not in shown:
        raise SystemExit(f"the demo stops here: the answer should have been {answer!r}")


def say(text: str) -> None:
    print(f"\n\n== {text}", flush=True)


def say_what_next(seconds: float) -> None:
    command = os.path.relpath(COMMAND, FOLDER)
    say(f"That was the demo, in {seconds:.0f} s. What you can do next:")
    print(f"""
cd {FOLDER}
{command} ask "Who may approve an exception to the travel policy for Portugal?"
{command} serve               # the API; http://127.0.0.1:8377/docs describes it
{command} ingest PATH         # your own documents; edit them and sync""")


if __name__ == "__main__":
    main()

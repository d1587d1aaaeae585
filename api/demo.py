"""`make demo`: ask, re-index, toggle, typed as a user would, on a copy of examples/ in a fresh folder."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDER = Path(".understudy-demo")
COMMAND = Path(sys.executable).with_name("understudy")
ASKED = ("q016", "q030", "q081", "q091", "q068")  # from Markdown, from the newer of two that disagree, from PDF, DOCX and JSON
UNANSWERABLE = "q118"


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
    say("3. Toggle. Nobody wrote this down. In tuned mode the reader is alone, and tries:")
    understudy("ask", questions[UNANSWERABLE])
    print("\nIn hybrid mode an answer it is not sure of goes to the frontier model; where none is set up, it is not given:")
    understudy("generator", "set", "hybrid")
    understudy("ask", questions[UNANSWERABLE])
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

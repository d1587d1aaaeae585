"""`python -m tests.messages_api --port N`: the double as a process, for demos and benches; `GET /stand-in/books` shows its books."""

import argparse
import signal
import threading
from pathlib import Path

from tests.messages_api.answers import read_gold
from tests.messages_api.faults import NoFaults, Share, every_fault
from tests.messages_api.server import NOT_FOUND, MessagesApi

EXAMPLES = Path(__file__).parents[2] / "examples" / "questions.jsonl"


def main() -> None:
    options = _options()
    plan = (
        Share(share=options.fault_share, seed=options.seed, faults=every_fault(options.fault_seconds))
        if options.fault_share
        else NoFaults()
    )
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    gold = read_gold(options.questions)
    with MessagesApi(
        gold=gold, not_found=options.not_found, plan=plan, seconds=options.seconds, pace=options.pace, port=options.port
    ) as double:
        print(f"stand-in for the Messages API (not Claude, knows {len(gold)} questions): ANTHROPIC_BASE_URL={double.url}", flush=True)  # noqa: T201
        stopped.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.messages_api", description="A stand-in for Anthropic's Messages API.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--questions", type=Path, default=EXAMPLES, help="JSONL with question, answers, document")
    parser.add_argument("--seconds", type=float, default=0.0, help="before an answer begins")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two deltas of a stream")
    parser.add_argument("--fault-share", type=float, default=0.0, help="0 to 1: how many requests go wrong")
    parser.add_argument("--fault-seconds", type=float, default=3600.0, help="how long hanging answers hang")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    parser.add_argument("--not-found", default=NOT_FOUND, help="what it says when the answer is not in the search results")
    return parser.parse_args()


if __name__ == "__main__":
    main()

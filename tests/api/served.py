"""A server for tests, in a process of its own: `python -m tests.api.served DATA_DIR SECONDS`, with a tier that takes that long."""

import json
import sys
from pathlib import Path

from api.serve import listening, serve
from api.stack import Stack, open_engine
from api.worker import Worker
from core.settings import Settings
from generation.answer import Answerer
from tests.doubles import FirstWordTier, FixedRetriever, make_hit


def main() -> None:
    settings = Settings(data_dir=Path(sys.argv[1]))
    engine = open_engine(settings)
    retriever = FixedRetriever([make_hit("Twenty-seven days of leave a year.")])
    tiers = {name: FirstWordTier(name, seconds=float(sys.argv[2])) for name in ("reader", "claude")}
    answerer = Answerer(retriever=retriever, tiers=tiers, hybrid_threshold=0.5)
    stack = Stack(settings=settings, engine=engine, retriever=retriever, answerer=answerer, worker=Worker(engine, ["false"]))
    with listening(engine, "127.0.0.1", 0) as listener:
        serve(stack, listener, lambda url, keys: print(json.dumps({"url": url, "keys": keys}), flush=True))  # noqa: T201


if __name__ == "__main__":
    main()

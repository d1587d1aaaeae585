"""A folder of many files that are in the index at once: their vectors are drawn, since embedding them would take longer than the rest."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tests.bench.bench_api import ROOT, environment
from tests.bench.bench_embedding import random_words
from tests.bench.public_data import passages

_FILL = """
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from api.auth import local_scope
from api.stack import open_target
from core.settings import read_settings
from ingest.sync import sync
from ingest.target import ignore_progress


class Drawn:
    def __init__(self, real):
        self.fingerprint, self.dimensions, self.max_tokens = real.fingerprint, real.dimensions, real.max_tokens
        self.count_tokens, self.embed_query = real.count_tokens, real.embed_query
        self._dice = np.random.default_rng(11)

    def embed_documents(self, texts, on_batch=lambda _: None):
        rows = self._dice.normal(size=(len(texts), self.dimensions)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


target = open_target(read_settings(), local_scope(), ignore_progress)
report = sync(replace(target, embedder=Drawn(target.embedder)), [Path(sys.argv[1])])
assert not report.failed, report.failed
"""


def write_files(folder: Path, number: int, *, sections: int, words: int) -> None:
    """A hundred files a folder, each with so many headings and so many words under each."""
    texts = _texts(words)
    for at in range(number):
        file = folder / f"{at // 100:03}" / f"{at:05}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = (f"## Part {part} of {at}\n\n{text}.\n" for part, text in enumerate(islice(texts, sections)))
        file.write_text(f"# Note {at}\n\n" + "\n".join(parts), encoding="utf-8")


def fill(docs: Path, data: str) -> float:
    """One sync with the settings' own parts, but for the vectors. Seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _FILL, str(docs)], env=environment(data), cwd=ROOT, check=True)
    return time.perf_counter() - began


def reported(*arguments: str, data: str) -> dict[str, Any]:
    """The last line that the command line prints."""
    command = [sys.executable, "-P", "-m", "api.cli", *arguments, "--json"]
    done = subprocess.run(command, env=environment(data), stdout=subprocess.PIPE, check=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _texts(words: int) -> Iterator[str]:
    yield from passages(words)
    seed = 0
    while True:
        yield " ".join(random_words(words, seed=seed))
        seed += 1

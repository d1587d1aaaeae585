"""The graph of the reader that ships: what a window gives does not hang on what is read beside it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from generation.reader.graph import Graph, Window

READER = Path(__file__).parents[2] / "models" / "reader"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph(READER / "reader.xml", tmp_path_factory.mktemp("compiled"))


def window(tokens: int) -> Window:
    """[CLS] question [SEP] context [SEP], of words at random."""
    ids = [101, *np.random.default_rng(tokens).integers(1996, 20000, tokens - 3).tolist(), 102, 102]
    return Window(0, ids, (tokens // 4, tokens - 1), [])


WINDOWS = [window(tokens) for tokens in (30, 200, 16, 17, 90, 384, 45, 90, 120, 61, 33)]


def test_windows_read_together_give_what_each_gives_alone(graph: Graph) -> None:
    together = graph.infer(WINDOWS)
    for made, logits in zip(WINDOWS, together, strict=True):
        assert logits.shape[0] >= len(made.ids)
        (alone,) = graph.infer([made])
        assert logits == pytest.approx(alone, abs=1e-5)


def test_no_windows_give_nothing(graph: Graph) -> None:
    assert graph.infer([]) == []


def test_several_questions_at_once_do_not_mix(graph: Graph) -> None:
    expected = [logits[0] for logits in graph.infer(WINDOWS)]
    with ThreadPoolExecutor(6) as threads:
        for found in threads.map(lambda _: graph.infer(WINDOWS), range(6)):
            assert np.array([logits[0] for logits in found]) == pytest.approx(np.array(expected), abs=1e-5)


def test_warm_graph_reads_the_same(graph: Graph) -> None:
    before = graph.infer(WINDOWS[:3])
    graph.warm_up(64)
    for cold, warm in zip(before, graph.infer(WINDOWS[:3]), strict=True):
        assert warm == pytest.approx(cold, abs=1e-5)

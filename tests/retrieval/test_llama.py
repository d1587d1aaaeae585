import asyncio

import pytest

from core.database import open_database, sqlite_url
from core.types import Filters, Scope
from retrieval.llama import UnderstudyRetriever
from retrieval.search import HybridRetriever
from tests.doubles import MemoryIndex, WordEmbedder
from tests.retrieval.corpus import ACME, TEXTS, publish


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> HybridRetriever:
    engine, index = open_database(sqlite_url(tmp_path_factory.mktemp("llama"))), MemoryIndex()
    publish(engine, index, WordEmbedder(), ACME, 1, TEXTS, base=None)
    return HybridRetriever(engine, index, WordEmbedder(), dense_weight=0.5, candidates=100)


def test_nodes_are_our_hits(hybrid: HybridRetriever) -> None:
    hits = hybrid.retrieve("days of leave", ACME, hybrid.published(), top_k=3, filters=Filters())
    nodes = UnderstudyRetriever(hybrid, ACME, top_k=3).retrieve("days of leave")
    assert [(found.node.node_id, found.node.get_content(), found.score) for found in nodes] == [
        (hit.chunk.chunk_id, hit.chunk.text, hit.score) for hit in hits
    ]
    assert nodes[0].node.metadata["source"] == "people/leave.md"
    assert nodes[0].node.metadata["index_version"] == 1


def test_node_has_the_offsets_of_its_chunk(hybrid: HybridRetriever) -> None:
    node = UnderstudyRetriever(hybrid, ACME, top_k=1).retrieve("days of leave")[0].node.to_dict()
    assert TEXTS["people/leave.md"][node["start_char_idx"] : node["end_char_idx"]] == node["text"]


def test_filters_and_scope_hold(hybrid: HybridRetriever) -> None:
    narrowed = UnderstudyRetriever(hybrid, ACME, filters=Filters(source=("it/",)))
    assert {found.node.metadata["source"] for found in narrowed.retrieve("leave")} == {"it/laptops.md", "it/passwords.md"}
    assert UnderstudyRetriever(hybrid, Scope(tenant="nobody")).retrieve("leave") == []


def test_asynchronous_retrieval_gives_the_same(hybrid: HybridRetriever) -> None:
    retriever = UnderstudyRetriever(hybrid, ACME, top_k=2)
    found = asyncio.run(retriever.aretrieve("laptop"))
    assert [node.node_id for node in found] == [node.node_id for node in retriever.retrieve("laptop")]

"""Every chunker: ours, ours as LlamaIndex's node parser, and a node parser of LlamaIndex in its place."""

from collections.abc import Callable, Sequence

import pytest
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, MetadataMode, TextNode

from core.errors import InvalidInput
from ingest.chunk import ContentChunker, NodeParserCuts
from ingest.cuts import Chunker, ContentCuts
from ingest.outline import outline
from ingest.parse import parse

TEXT = (
    "# Leave\n\n"
    + "The same sentence again and again. " * 30
    + "\n\n## France\n\n- Two days more.\n- Ask first.\n\n```\n# no heading\n```\n"
)


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


CHUNKERS: dict[str, Callable[[], Chunker]] = {
    "content": lambda: ContentCuts(count_words, window=60, min_tokens=8, max_tokens=40),
    "content as node parser": lambda: NodeParserCuts(content_chunker()),
    "sentence splitter": lambda: NodeParserCuts(SentenceSplitter(chunk_size=64, chunk_overlap=0)),
}


def content_chunker() -> ContentChunker:
    return ContentChunker(count_tokens=count_words, min_tokens=8, max_tokens=40, window=60)


@pytest.fixture(params=CHUNKERS)
def chunker(request: pytest.FixtureRequest) -> Chunker:
    return CHUNKERS[request.param]()


def test_cuts_are_in_order_and_hold_text(chunker: Chunker) -> None:
    parsed = parse(TEXT.encode(), "text/markdown")
    cuts = chunker.cut(parsed)
    assert len(cuts) > 2
    assert [cut.start for cut in cuts] == sorted(cut.start for cut in cuts)
    assert all(parsed.text[cut.start : cut.end].strip() for cut in cuts)
    assert chunker.cut(parsed) == cuts


def test_cuts_of_nothing_are_none(chunker: Chunker) -> None:
    assert chunker.cut(parse(b"---\ntitle: x\n---\n", "text/markdown")) == []


def test_fingerprint_follows_the_settings(chunker: Chunker) -> None:
    assert chunker.fingerprint == chunker.fingerprint
    other = ContentCuts(count_words, window=60, min_tokens=8, max_tokens=39)
    assert chunker.fingerprint != other.fingerprint


def test_nodes_have_exact_places_lasting_ids_and_headings() -> None:
    document = Document(text=TEXT, id_="doc")
    nodes = content_chunker().get_nodes_from_documents([document])
    for node in nodes:
        assert isinstance(node, TextNode)
        assert TEXT[node.start_char_idx : node.end_char_idx] == node.get_content(metadata_mode=MetadataMode.NONE)
        assert node.ref_doc_id == "doc"
    assert len({(node.start_char_idx, node.end_char_idx) for node in nodes if isinstance(node, TextNode)}) == len(nodes)
    assert [node.node_id for node in nodes] == [node.node_id for node in content_chunker().get_nodes_from_documents([document])]
    assert nodes[-1].metadata["heading"] == "Leave > France"
    assert nodes[0].next_node is not None and nodes[0].next_node.node_id == nodes[1].node_id


def test_node_parser_that_rewrites_text_is_refused() -> None:
    class Shouting(SentenceSplitter):
        def split_text_metadata_aware(self, text: str, metadata_str: str) -> list[str]:
            return [text.upper()]

    with pytest.raises(InvalidInput, match="Shouting rewrites"):
        NodeParserCuts(Shouting()).cut(parse(TEXT.encode(), "text/markdown"))


def test_outline_counts_the_characters_of_its_text() -> None:
    found = [(block.kind, TEXT[block.start : block.end][:14]) for block in outline(TEXT).blocks]
    assert found == [
        ("heading", "Leave"), ("paragraph", "The same sente"), ("heading", "France"), ("item", "- Two days mor"), ("item", "- Ask first."),
        ("code", "```\n# no headi"),
    ]  # fmt: skip

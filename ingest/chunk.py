"""The door to LlamaIndex: our chunker as its node parser, and its node parsers as chunkers of ours."""

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.node_parser import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode
from pydantic import Field, PrivateAttr

from core.errors import InvalidInput
from ingest.cuts import ContentCuts, Cut, make_chunks
from ingest.outline import outline
from ingest.parsed import Parsed
from ingest.units import CountTokens


class ContentChunker(NodeParser):
    """Cuts by content, within the window of the embedder whose `count_tokens` it is given.

    Nodes have lasting ids, exact `start_char_idx` and `end_char_idx`, and `heading` in their metadata.
    """

    min_tokens: int = Field(default=48, ge=1)
    max_tokens: int = Field(default=200, ge=16)
    window: int = Field(default=254, ge=16, description="Tokens that the embedder reads of one text.")
    _count_tokens: CountTokens = PrivateAttr()

    def __init__(self, *, count_tokens: CountTokens, **fields: Any) -> None:
        super().__init__(**fields)
        self._count_tokens = count_tokens

    @classmethod
    def class_name(cls) -> str:
        return "ContentChunker"

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any) -> list[BaseNode]:
        cuts = ContentCuts(self._count_tokens, window=self.window, min_tokens=self.min_tokens, max_tokens=self.max_tokens)
        return [piece for node in nodes for piece in _nodes(node, cuts)]

    def _postprocess_parsed_nodes(self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]) -> list[BaseNode]:
        """The base class looks offsets up by searching for the text, which goes astray where text repeats; ours are exact."""
        exact = [(node.start_char_idx, node.end_char_idx) for node in nodes if isinstance(node, TextNode)]
        processed = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, (start, end) in zip(processed, exact, strict=True):
            assert isinstance(node, TextNode)
            node.start_char_idx, node.end_char_idx = start, end
        return processed


def _nodes(node: BaseNode, cuts: ContentCuts) -> Iterator[TextNode]:
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    chunks = make_chunks("", node.node_id, text, cuts.cut(outline(text)))
    built = build_nodes_from_splits([chunk.text for chunk in chunks], node, id_func=lambda index, _: chunks[index].chunk_id)
    for chunk, piece in zip(chunks, built, strict=True):
        piece.start_char_idx, piece.end_char_idx = chunk.start, chunk.end
        piece.metadata["heading"] = chunk.heading
        yield piece


class NodeParserCuts:
    """Another node parser in the place of our chunker: `Target(..., custom_chunker=NodeParserCuts(SentenceSplitter()))`."""

    def __init__(self, parser: NodeParser) -> None:
        self._parser = parser

    @property
    def fingerprint(self) -> str:
        return f"{type(self._parser).__name__} {self._parser.to_json()}"

    def cut(self, parsed: Parsed) -> list[Cut]:
        """Raises InvalidInput for a parser that rewrites the text: a citation must be found in the document."""
        cuts: list[Cut] = []
        search_from = 0
        for node in self._parser.get_nodes_from_documents([Document(text=parsed.text)]):
            piece = node.get_content(metadata_mode=MetadataMode.NONE)
            start = parsed.text.find(piece, search_from)
            if start < 0:
                raise InvalidInput(f"{type(self._parser).__name__} rewrites the text, so its chunks have no place in the document")
            if piece.strip():
                cuts.append(Cut(heading="", start=start, end=start + len(piece)))
            search_from = start + 1
        return cuts

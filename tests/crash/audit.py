"""What is on the disk, against what a fresh index of the same documents holds: nothing lost, nothing left over, nothing twice."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import models
from sqlalchemy import Connection, Table, select

from core.database import open_database, read_state, sqlite_url
from core.schema import chunks, documents, embeddings
from core.types import Point, Scope
from core.versions import alive, kept_versions
from ingest.documents import put_document
from ingest.target import Target
from ingest.versions import read_published
from retrieval.index.server import ServerIndex, ServerVersion
from retrieval.index.server import _alive as _alive_points
from retrieval.sparse import Bm25Encoder
from tests.crash.place import OTHER, SCOPE, Place, sync
from tests.doubles import MemoryIndex, WordEmbedder

_DATA = {"understudy.db", "understudy.db-wal", "understudy.db-shm", "sync.lock", "index"}
_LIFE = ("from_version", "to_version")
_SLACK_SECONDS = 120.0


@dataclass
class Findings:
    """Each list names what is wrong; all empty is what there should be."""

    lost: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What is published."""

    version: int
    documents: dict[str, str]
    """Text by source."""
    previous: dict[str, str]
    """Of the version before."""


Rows = dict[tuple[str, str], tuple[Any, ...]]
"""By tenant and id."""
Held = tuple[tuple[str, str], tuple[Any, ...]]
"""Tenant and id, and what the index has of the chunk."""


def state_of(target: Target) -> State:
    with target.engine.connect() as connection:
        kept = kept_versions(connection)
        version, before = (kept[0], kept[:2][-1]) if kept else (0, 0)
        return State(version=version, documents=_texts(connection, version), previous=_texts(connection, before))


def _texts(connection: Connection, version: int) -> dict[str, str]:
    here = select(documents.c.source, documents.c.text).where(documents.c.tenant == SCOPE.tenant, alive(documents, version))
    return {row.source: row.text for row in connection.execute(here)}


def audit(place: Place, target: Target, notes: dict[str, str], erased: Sequence[str] = ()) -> Findings:
    """`notes` are the documents that came over the API; `erased` are texts that were forgotten."""
    findings = Findings()
    _check_erased(findings, place, target, erased)
    fresh = _fresh(place, notes)
    with target.engine.connect() as connection, fresh.engine.connect() as other:
        published = read_published(connection).version or 0
        kept = kept_versions(connection)
        for table in (documents, chunks):
            _compare(findings, table.name, _alive(connection, table), _alive(other, table))
            _check_lives(findings, connection, table, kept, published)
        _check_embeddings(findings, connection, place)
        held = {version: _chunk_ids(connection, version) for version in kept}
    points = _newest_points(fresh.index)
    _check_index(findings, target, published, points)
    _check_kept(findings, target, held)
    if isinstance(target.index, ServerIndex):
        _check_server(findings, target.index, target.embedder.fingerprint, kept)
    else:
        _check_index_files(findings, place, kept)
    findings.orphans += [f"{path.name} is left over" for path in place.data.iterdir() if path.name not in _DATA]
    fresh.engine.dispose()
    return findings


def _fresh(place: Place, notes: dict[str, str]) -> Target:
    """The same documents, synced for the first time somewhere else."""
    data = place.root / "fresh"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    shutil.copy(place.root.parent / "understudy.db", data)
    target = Target(
        engine=open_database(sqlite_url(data)),
        index=MemoryIndex(),
        embedder=WordEmbedder(),
        scope=SCOPE,
        data_dir=data,
        limits=place.limits,
    )
    sync(place, target)
    sync(place, replace(target, scope=OTHER))
    for note, text in notes.items():
        put_document(target, note, text.encode(), "text/plain")
    return target


def _alive(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    """Tenant and id first; the version in which a row began is not a matter of content."""
    columns = [column for column in table.columns if column.name not in _LIFE]
    return [tuple(row) for row in connection.execute(select(*columns).where(table.c.to_version.is_(None)))]


def _compare(findings: Findings, what: str, found: Sequence[tuple[Any, ...]], wanted: Sequence[tuple[Any, ...]]) -> None:
    counted = Counter(row[:2] for row in found)
    findings.duplicates += [f"{what}: {key} {count} times" for key, count in counted.items() if count > 1]
    _compare_rows(findings, what, {row[:2]: row for row in found}, {row[:2]: row for row in wanted})


def _compare_rows(findings: Findings, what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> None:
    findings.lost += [f"{what}: {key} is missing" for key in wanted if key not in found]
    findings.lost += [f"{what}: {found[key]} is not {wanted[key]}" for key in wanted if key in found and found[key] != wanted[key]]
    findings.orphans += [f"{what}: {key} should not be there" for key in found if key not in wanted]


def _check_lives(findings: Findings, connection: Connection, table: Table, kept: Sequence[int], published: int) -> None:
    key = table.c.document_id if table is documents else table.c.chunk_id
    lives: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in connection.execute(select(table.c.tenant, key, table.c.from_version, table.c.to_version)):
        lives.setdefault((row[0], row[1]), []).append((row[2], row[3] or float("inf")))
    for identity, spans in lives.items():
        spans.sort()
        findings.duplicates += [f"{table.name}: {identity} twice from {two[0]} on" for one, two in pairwise(spans) if two[0] < one[1]]
        for start, end in spans:
            if start > published or end <= min(kept):
                findings.orphans.append(f"{table.name}: {identity} from {start} to {end}, in none of the versions {list(kept)}")


def _check_embeddings(findings: Findings, connection: Connection, place: Place) -> None:
    used = {tuple(row) for row in connection.execute(select(chunks.c.tenant, chunks.c.embedded_hash).distinct())}
    known = {tuple(row[:2]): row.unused_since for row in connection.execute(select(*list(embeddings.c)[:2], embeddings.c.unused_since))}
    findings.lost += [f"vector of {key} is missing" for key in used if key not in known]
    oldest = time.time() - place.keep_vectors_days * 86_400 - _SLACK_SECONDS
    for key, since in known.items():
        if key not in used and since is None:
            findings.orphans.append(f"vector of {key}, which no chunk has, would be kept for ever")
        elif key not in used and since < oldest:
            findings.orphans.append(f"vector of {key} outlived its retention")
        elif key in used and since is not None:
            findings.lost.append(f"vector of {key}, which is in use, is marked as unused")


def _newest_points(index: object) -> dict[tuple[str, str], Point]:
    assert isinstance(index, MemoryIndex)
    return index.versions[max(index.versions)][1]


def _check_index(findings: Findings, target: Target, published: int, points: dict[tuple[str, str], Point]) -> None:
    opened = target.index.open(published, embedder=target.embedder.fingerprint)
    found = [_from_server(record) for record in _alive_on(opened)] if isinstance(opened, ServerVersion) else _from_shard(opened)
    opened.close()
    counted = Counter(key for key, _ in found)
    findings.duplicates += [f"index: {key} {count} times" for key, count in counted.items() if count > 1]
    encoder = Bm25Encoder()
    wanted = {key: _comparable(key, point, encoder) for key, point in points.items()}
    _compare_rows(findings, "index", dict(found), wanted)


def _alive_on(opened: ServerVersion) -> list[Any]:
    """Every tenant's points of a version."""
    conditions = models.Filter(must=_alive_points(opened._version))
    return opened._client.scroll(opened._collection, scroll_filter=conditions, limit=10_000, with_vectors=True)[0]


def _from_server(record: Any) -> Held:
    payload, vector = record.payload, record.vector
    key = (payload["tenant"], payload["chunk_id"])
    fields = {name: payload[name] for name in ("document_id", "source", "media_type")}
    sparse = vector.get("bm25")
    return key, (tuple(sorted(fields.items())), _rounded(vector["dense"]), _words(sparse.indices, sparse.values) if sparse else ())


def _from_shard(opened: Any) -> list[Held]:
    shard: edge.EdgeShard = opened._shard
    records, _ = shard.scroll(edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=True))
    return [_from_edge(record) for record in records]


def _from_edge(record: Any) -> Held:
    payload, vector = record.payload, record.vector
    key = (payload.pop("tenant"), record.id.replace("-", "") if isinstance(record.id, str) else record.id.hex)
    sparse = vector.get("bm25")
    words = _words(sparse.indices, sparse.values) if sparse else ()
    return key, (tuple(sorted(payload.items())), _rounded(vector["dense"]), words)


def _comparable(key: tuple[str, str], point: Point, encoder: Bm25Encoder) -> tuple[Any, ...]:
    weights = encoder.encode_document(point.embedded_text)
    payload = {"document_id": point.document_id, "source": point.source, "media_type": point.media_type}
    return tuple(sorted(payload.items())), _rounded(point.dense), _words(weights.indices, weights.values)


def _rounded(vector: Any) -> tuple[float, ...]:
    return tuple(float(number) for number in np.round(np.asarray(vector, dtype=np.float64), 4) + 0.0)


def _words(indices: Iterable[int], values: Iterable[float]) -> tuple[tuple[int, float], ...]:
    return tuple(sorted((index, round(float(value), 3)) for index, value in zip(indices, values, strict=True)))


def _chunk_ids(connection: Connection, version: int) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {scope.tenant: set() for scope in (SCOPE, OTHER)}
    for row in connection.execute(select(chunks.c.tenant, chunks.c.chunk_id).where(alive(chunks, version))):
        held[row.tenant].add(row.chunk_id)
    return held


def _check_kept(findings: Findings, target: Target, held: dict[int, dict[str, set[str]]]) -> None:
    """The older versions that are kept, each against its rows."""
    for version in sorted(held)[-4:-1]:
        opened = target.index.open(version, embedder=target.embedder.fingerprint)
        for tenant, wanted in held[version].items():
            found = opened.chunk_ids(Scope(tenant=tenant))
            findings.lost += [f"version {version}: {key} is not in its index" for key in wanted - found]
            findings.orphans += [f"version {version}: {key} is not in SQL" for key in found - wanted]
        opened.close()


def _check_erased(findings: Findings, place: Place, target: Target, erased: Sequence[str]) -> None:
    """In no file; or, where a reader was in the way, there is still the mark that tells the next writer to try again."""
    with target.engine.connect() as connection:
        is_marked = bool(read_state(connection, "erasing"))
    files = [Path(folder, name) for folder, _, names in os.walk(place.data) for name in names]
    contents = {path: _bytes_of(path) for path in files}
    for text in erased:
        holders = [path.name for path, content in contents.items() if text.encode() in content]
        if holders and not is_marked:
            findings.orphans.append(f"the forgotten {text!r} is still in {holders}")


def _check_index_files(findings: Findings, place: Place, kept: Sequence[int]) -> None:
    index = {path.name for path in (place.data / "index").iterdir()} - {".lock"}
    findings.orphans += [f"index/{name} is left over" for name in sorted(index - set(map(str, kept)))]
    findings.lost += [f"index/{name} is missing" for name in sorted(set(map(str, kept)) - index)]


def _check_server(findings: Findings, index: ServerIndex, embedder: str, kept: Sequence[int]) -> None:
    """Its records are those of the kept versions, and each of its points is in one of them."""
    records = set(index._all_records())
    findings.orphans += [f"record {version} is left over on the server" for version in records - set(kept)]
    findings.lost += [f"record {version} is missing on the server" for version in set(kept) - records]
    for record in index._client.scroll(index._collection(embedder), limit=10_000)[0]:
        payload: Any = record.payload
        if not any(payload["from"] <= version < payload["to"] for version in kept):
            findings.orphans.append(f"a point from {payload['from']} to {payload['to']} is left over on the server")


def _bytes_of(path: Path) -> bytes:
    """Nothing of a file that goes meanwhile: the engine makes some for an instant while a reader opens a version."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""

"""Kept versions whose index is built again in its place, from SQL and the kept vectors: nothing is embedded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine, delete, select

from core.errors import CorruptIndex, EmbedderMismatch
from core.schema import chunks, embeddings, index_versions
from core.types import BuiltBy, Matrix, Scope, Vector
from core.versions import alive, built_by, kept_versions
from ingest.store import read_points, read_searchables, vector_length
from ingest.target import Target
from ingest.versions import Published, read_published, reserve_version


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerEmbedder:
    """The embedder of a version that was built before, of which only the vectors are at hand."""

    fingerprint: str
    dimensions: int
    max_tokens: int = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        raise EmbedderMismatch()

    def embed_query(self, text: str) -> Vector:
        raise EmbedderMismatch()

    def embed_documents(self, texts: Sequence[str], on_batch: object = None) -> Matrix:
        raise EmbedderMismatch()


def as_built(target: Target, published: Published) -> Target:
    """Writes to the published version what needs no new vector, whichever embedder the settings name by now."""
    if published.builder is None or published.embedder == target.embedder.fingerprint:
        return target
    return replace(target, embedder=_former(target, published.builder.fingerprint), embedder_name=published.builder.name)


def is_lost(target: Target, published: Published, *, whole: bool = False) -> bool:
    """Whether the published version cannot be read, or has no record; `whole` reads every byte of it."""
    if published.version is None:
        return False
    return published.builder is None or _cannot_open(target, published.version, published.builder, whole=whole)


def restore_lost(target: Target) -> None:
    """Kept versions whose index cannot be opened are built again; what cannot be, is not kept any more."""
    with target.engine.connect() as connection:
        builders = {version: built_by(connection, version) for version in kept_versions(connection)}
    for version, builder in builders.items():
        if builder is None or not _cannot_open(target, version, builder):
            continue
        if not target.index.stands_apart or not build_again(target, version):
            drop_version(target, version)


def drop_version(target: Target, version: int) -> None:
    with target.engine.begin() as connection:
        connection.execute(delete(index_versions).where(index_versions.c.version == version))


def _cannot_open(target: Target, version: int, builder: BuiltBy, *, whole: bool = False) -> bool:
    try:
        target.index.open(version, embedder=builder.fingerprint, whole=whole).close()
    except CorruptIndex:
        return True
    return False


def build_again(target: Target, version: int) -> bool:
    """In its own number, for every tenant that it has; False where the scope of one is not at hand. Needs an index of versions apart."""
    with target.engine.connect() as connection:
        fingerprint = connection.execute(select(index_versions.c.embedder).where(index_versions.c.version == version)).scalar_one()
        tenants = connection.execute(select(chunks.c.tenant).where(alive(chunks, version)).distinct()).scalars().all()
        published = read_published(connection).version
    known = {scope.tenant: scope for scope in (target.scope, *target.everyone)}
    if not known.keys() >= set(tenants):
        return False
    scopes = [known[tenant] for tenant in sorted(tenants)] or [target.scope]
    numbers = [*(reserve_version(target.engine, published) for _ in scopes[1:]), version]
    base: int | None = None
    for scope, number in zip(scopes, numbers, strict=True):
        _build(target, scope, number, base, version, _former(target, fingerprint))
        base = number
    return True


def _build(target: Target, scope: Scope, number: int, base: int | None, content_of: int, embedder: FormerEmbedder) -> None:
    with target.engine.connect() as connection:
        content = read_searchables(connection, scope, version=content_of)
    points = read_points(target.engine, scope, embedder.fingerprint, content)
    target.index.build(
        scope, number, base=base, embedder=embedder.fingerprint, dimensions=embedder.dimensions, added=points, removed=()
    ).close()


def _former(target: Target, fingerprint: str) -> FormerEmbedder:
    return FormerEmbedder(fingerprint=fingerprint, dimensions=_dimensions(target.engine, fingerprint) or target.embedder.dimensions)


def _dimensions(engine: Engine, fingerprint: str) -> int | None:
    with engine.connect() as connection:
        vector = connection.execute(select(embeddings.c.vector).where(embeddings.c.embedder == fingerprint).limit(1)).scalar_one_or_none()
    return None if vector is None else vector_length(vector)

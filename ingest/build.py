"""A plan becomes a finished, verified version of the index that nobody reads yet."""

from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import select

from core.errors import Conflict, CorruptIndex
from core.protocols import IndexVersion
from core.schema import chunks
from core.types import Scope, SyncProgress
from ingest.diff import Plan
from ingest.embed import Embedded, embed_unknown
from ingest.store import Searchable, count_chunks, planned_searchables, read_chunk_ids, read_points, read_searchables
from ingest.target import Target
from ingest.versions import reserve_version


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    version: int
    embedded: Embedded
    concerned: int
    """Chunks of the documents that were new, different or built again."""


def embed(target: Target, plan: Plan) -> Embedded:
    return embed_unknown(target, target.scope, planned_searchables(plan))


def carry_on(target: Target, plan: Plan, base: int, embedded: Embedded) -> Built:
    """The base version with the plan's differences, which are embedded."""
    added = planned_searchables(plan)
    version = reserve_version(target.engine, base)
    with closing(_build(target, version, target.scope, base, added, plan.removed_points)) as opened:
        _verify_change(target, plan, opened)
    return Built(version=version, embedded=embedded, concerned=plan.chunks_concerned)


def build_afresh(target: Target, plan: Plan, published: int | None) -> Built:
    """From SQL and the kept vectors alone; every tenant's content must come along, so each tenant's scope is needed."""
    content = [(scope, _content(target, scope, plan)) for scope in _scopes(target)]
    embedded = sum((embed_unknown(target, scope, searchables) for scope, searchables in content), Embedded())
    base: int | None = None
    for scope, searchables in content:
        version = reserve_version(target.engine, published)
        with closing(_build(target, version, scope, base, searchables, ())) as opened:
            if scope == content[-1][0]:
                _verify_whole(target, plan, opened)
        base = version
    return Built(version=version, embedded=embedded, concerned=sum(len(searchables) for _, searchables in content))


def _build(
    target: Target, version: int, scope: Scope, base: int | None, added: Sequence[Searchable], removed: Collection[str]
) -> IndexVersion:
    target.on_progress(SyncProgress(step="building", chunks_total=len(added)))
    fingerprint = target.embedder.fingerprint
    points = read_points(target.engine, scope, fingerprint, added)
    return target.index.build(
        scope, version, base=base, embedder=fingerprint, dimensions=target.embedder.dimensions, added=points, removed=removed
    )


def _content(target: Target, scope: Scope, plan: Plan) -> list[Searchable]:
    with target.engine.connect() as connection:
        if scope != target.scope:
            return read_searchables(connection, scope, without=())
        planned = planned_searchables(plan)
        replaced = {*plan.removed_points, *(row.chunk_id for row in planned)}
        return read_searchables(connection, scope, without=replaced) + planned


def _scopes(target: Target) -> list[Scope]:
    others = {scope.tenant: scope for scope in target.everyone if scope != target.scope}
    with target.engine.connect() as connection:
        tenants = set(connection.execute(select(chunks.c.tenant).where(chunks.c.to_version.is_(None)).distinct()).scalars())
    left_out = tenants - {target.scope.tenant, *others}
    if left_out:
        raise Conflict(f"the index also holds the content of {len(left_out)} other tenants, which a rebuild for this one alone would drop")
    return [target.scope, *(others[tenant] for tenant in sorted(tenants & set(others)))]


def _verify_change(target: Target, plan: Plan, opened: IndexVersion) -> None:
    """That what changed is there or gone, and as many chunks in all as there should be: the price of the change, not of the corpus."""
    added = {chunk.chunk_id for chunk in plan.opened_chunks}
    removed = set(plan.removed_points) - added
    with target.engine.connect() as connection:
        expected = count_chunks(connection, target.scope) - len(set(plan.closed_chunks)) + len(added)
    held, lost = opened.held(target.scope, added | removed), expected - opened.count(target.scope)
    if lost or held != added:
        raise _not_as_planned(max(lost, len(added - held)), max(-lost, len(held - added)))


def _verify_whole(target: Target, plan: Plan, opened: IndexVersion) -> None:
    with target.engine.connect() as connection:
        expected = read_chunk_ids(connection, target.scope) - set(plan.closed_chunks) | {chunk.chunk_id for chunk in plan.opened_chunks}
    found = opened.chunk_ids(target.scope)
    if (opened.count(target.scope), found) != (len(expected), expected):
        raise _not_as_planned(len(expected - found), len(found - expected))


def _not_as_planned(lacking: int, too_many: int) -> CorruptIndex:
    return CorruptIndex(
        f"the new index version lacks {lacking} chunks and has {too_many} too many, so it was not published."
        " Run `understudy rebuild`, which builds the index again from the database without a model call."
    )

"""A fresh index from SQL: no source is read, and no model is asked where the embedder is the same."""

from core.errors import NothingPublished
from core.types import SyncReport
from ingest.history import orphans
from ingest.publication import Account, bring_up_to, plan_for, published_state, writing
from ingest.recut import recut
from ingest.target import Target


def rebuild(target: Target) -> SyncReport:
    """Publish the same content again, built from nothing for all tenants, with chunks as the kept texts are cut now.

    With another embedder than the published version's every text without a vector is embedded first, while the old version goes on
    answering. Raises NothingPublished, SyncRunning and StorageFull.
    """
    account = Account(cause="rebuild")
    with writing(target):
        published, stored = published_state(target, rebuild=True)
        if published.version is None:
            raise NothingPublished()
        incoming = recut(target, stored)
        plan = plan_for(target, stored, incoming, (), unchanged=len(stored) - len(incoming))
        with target.engine.connect() as connection:
            plan.closed_chunks += orphans(connection, target.scope, published.version)
        return bring_up_to(target, plan, published, account, rebuild=True)

"""Costs: `GET /v1/ledger`."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import AdminScope, StackDep
from api.ledger import LedgerReply, show_spending
from api.problems import responses
from generation.ledger import Dimension

router = APIRouter(prefix="/v1", tags=["costs"])


@router.get("/ledger", summary="Show what was spent", response_model=LedgerReply, responses=responses(401, 403, 422))
def get_ledger(
    scope: AdminScope, stack: StackDep,
    since: Annotated[date | None, Query(description="First day, UTC; otherwise everything.", examples=["2026-11-01"])] = None,
    by: Annotated[list[Dimension] | None, Query(description="What to sum by; repeat it for several. Otherwise by day.")] = None,
) -> LedgerReply:  # fmt: skip
    """Tokens and cost of every call for the key's tenant, failed and cancelled ones too.

    Beside them stands what the same traffic would have cost without a prompt cache, and without the small model.
    """
    return show_spending(stack.engine, scope, since=since, by=by or ["day"])

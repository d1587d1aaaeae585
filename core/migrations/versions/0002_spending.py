"""Every attempt with its tokens by class, its model and its price; calls that only warm the prompt cache."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TOKENS = ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens")
_OLD = {
    "input_tokens": "input_tokens", "cache_write_tokens": "cache_write_5m_tokens", "cache_read_tokens": "cache_read_tokens",
    "output_tokens": "output_tokens",
}  # fmt: skip
"""Names in the JSON of 0001, which did not tell the two cache writes apart, and what they are called now."""


def upgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        for column in _spending():
            table.add_column(column)
    _move_usage()
    with op.batch_alter_table("attempts") as table:
        table.drop_column("usage")
    op.create_table(
        "prewarms",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("tier", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float()),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        *_spending(),
        sa.Column("cost_micro_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prewarms"),
    )
    op.create_index("ix_prewarms_at", "prewarms", ["tenant", "at"])


def _spending() -> list[sa.Column[Any]]:
    return [
        sa.Column("model", sa.Text()),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in _TOKENS),
        sa.Column("price", sa.JSON()),
        sa.Column("uncached_micro_usd", sa.BigInteger(), nullable=False, server_default="0"),
    ]


def _move_usage() -> None:
    """The tokens out of their JSON; a cost of before was one without a cache."""
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE attempts SET uncached_micro_usd = cost_micro_usd"))
    kept = connection.execute(sa.text("SELECT answer_id, position, usage FROM attempts")).mappings().all()
    moved = [_moved(row) for row in kept]
    spent = [row for row in moved if any(row[name] for name in _TOKENS)]
    if spent:
        changed = ", ".join(f"{name} = :{name}" for name in _TOKENS)
        connection.execute(sa.text(f"UPDATE attempts SET {changed} WHERE answer_id = :answer_id AND position = :position"), spent)


def _moved(row: Mapping[Any, Any]) -> dict[str, Any]:
    usage = json.loads(row["usage"]) if isinstance(row["usage"], str) else row["usage"]
    tokens = {new: int(usage.get(old, 0)) for old, new in _OLD.items()}
    return {"answer_id": row["answer_id"], "position": row["position"], **dict.fromkeys(_TOKENS, 0), **tokens}


def downgrade() -> None:
    op.drop_table("prewarms")
    with op.batch_alter_table("attempts") as table:
        for name in ("model", *_TOKENS, "price", "uncached_micro_usd"):
            table.drop_column(name)
        table.add_column(sa.Column("usage", sa.JSON(), nullable=False, server_default="{}"))

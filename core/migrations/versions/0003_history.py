"""What looking back, git sources, forgetting and kept vectors need, the name of an attempt's fault, and what of its cost is not known."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ADDED: dict[str, tuple[tuple[str, sa.types.TypeEngine[Any]], ...]] = {
    "documents": (("outline", sa.Text()), ("cut_by", sa.String(32))),
    "sources": (("ref", sa.Text()), ("revision", sa.Text())),
    "embeddings": (("unused_since", sa.Float()),),
    "index_versions": (("embedder_model", sa.Text()), ("embedder_runtime", sa.String(16))),
    "attempts": (("fault", sa.String(32)), ("untold_micro_usd", sa.BigInteger())),
    "prewarms": (("fault", sa.String(32)), ("untold_micro_usd", sa.BigInteger())),
}


def upgrade() -> None:
    for name, columns in _ADDED.items():
        with op.batch_alter_table(name) as table:
            for column, kind in columns:
                table.add_column(sa.Column(column, kind))
    with op.batch_alter_table("index_versions") as table:
        table.add_column(sa.Column("cause", sa.String(16), nullable=False, server_default="sync"))
    op.create_index("ix_embeddings_unused", "embeddings", ["unused_since"])
    op.create_table(
        "forgotten",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("document_id", sa.String(32), nullable=False),
        sa.Column("source_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "document_id", name="pk_forgotten"),
    )
    op.create_table(
        "holds",
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_holds"),
    )


def downgrade() -> None:
    op.drop_table("holds")
    op.drop_table("forgotten")
    op.drop_index("ix_embeddings_unused", "embeddings")
    with op.batch_alter_table("index_versions") as table:
        table.drop_column("cause")
    for name, columns in _ADDED.items():
        with op.batch_alter_table(name) as table:
            for column, _ in columns:
                table.drop_column(column)

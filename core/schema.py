"""The SQL tables: the truth from which every index is derived.

Documents and chunks are rows with a life: `from_version <= v < to_version` (or no `to_version`) means "in version v".
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

sources = Table(
    "sources",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("source_id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),  # folder, file, git or api
    Column("location", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("ref", Text),  # of a git source: the branch, tag or commit that it follows; null: the remote's own choice
    Column("revision", Text),  # of a git source: the commit that is published
)

documents = Table(
    "documents",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(32), primary_key=True),
    Column("from_version", BigInteger, primary_key=True),
    Column("to_version", BigInteger),
    Column("source_id", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", String(80), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("file_hash", String(64)),  # of the unparsed bytes and of what parsed and cut them: an equal one spares the parsing
    Column("text", Text, nullable=False),
    Column("outline", Text),  # its own title and the blocks of its text, so that it can be cut again without its file
    Column("cut_by", String(32)),  # hash of the chunker and the embedder whose tokens it counts
)
Index("ix_documents_life", documents.c.tenant, documents.c.to_version)

chunks = Table(
    "chunks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("chunk_id", String(32), primary_key=True),
    Column("from_version", BigInteger, primary_key=True),
    Column("to_version", BigInteger),
    Column("document_id", String(32), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("heading", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("embedded_hash", String(64), nullable=False),
)
Index("ix_chunks_document", chunks.c.tenant, chunks.c.document_id)
Index("ix_chunks_life", chunks.c.tenant, chunks.c.to_version)
Index("ix_chunks_embedded_hash", chunks.c.tenant, chunks.c.embedded_hash)

embeddings = Table(
    "embeddings",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("embedded_hash", String(64), primary_key=True),
    Column("embedder", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian
    Column("unused_since", Float),  # when the last chunk with this text went, or it was made for one; null while there is one
)

Index("ix_embeddings_unused", embeddings.c.unused_since)

forgotten = Table(
    "forgotten",
    metadata,  # documents that a sync leaves out though their file is still there
    Column("tenant", String(64), primary_key=True),
    Column("document_id", String(32), primary_key=True),
    Column("source_id", String(32), nullable=False),
    Column("at", Float, nullable=False),
)

holds = Table(
    "holds",
    metadata,  # tenants whose sources are not read since a rollback
    Column("tenant", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),  # whose content was brought back
    Column("since", Float, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("source_id", String(32), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

index_versions = Table(
    "index_versions",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", String(64), nullable=False),  # whose sync made it
    Column("cause", String(16), nullable=False, server_default="sync"),  # sync, put, delete, forget, rollback or rebuild
    Column("embedder", String(64), nullable=False),
    Column("embedder_model", Text),  # the settings that open that embedder again; null for versions of before
    Column("embedder_runtime", String(16)),
    Column("documents", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("published_at", Float, nullable=False),
    Column("report", JSON, nullable=False),
)

state = Table(
    "state",
    metadata,
    Column("key", String(32), primary_key=True),  # published_version, last_version, installation, mode, erasing, last_forgotten
    Column("value", Text, nullable=False),
    Column("changed_at", Float, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text),
    Column("abstained", Boolean, nullable=False),
    Column("mode", String(16), nullable=False),
    Column("tier", String(64)),
    Column("model", Text),
    Column("confidence", Float),
    Column("index_version", BigInteger, nullable=False),
    Column("cost_micro_usd", BigInteger, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("citations", JSON, nullable=False),
)
Index("ix_answers_at", answers.c.tenant, answers.c.at)


def _spending() -> tuple[Column[Any], ...]:
    """What a call used and cost; `price` holds the prices that were applied, null where nothing is charged.

    `untold_micro_usd`: the API did not tell all that it charges for; it may be so much more at most, by estimate.
    """
    tokens = ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens")
    return (
        Column("model", Text),
        *(Column(name, BigInteger, nullable=False, server_default="0") for name in tokens),
        Column("price", JSON(none_as_null=True)),
        Column("cost_micro_usd", BigInteger, nullable=False),
        Column("uncached_micro_usd", BigInteger, nullable=False, server_default="0"),
        Column("untold_micro_usd", BigInteger),
    )


attempts = Table(
    "attempts",
    metadata,
    Column("answer_id", String(32), ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("tier", String(64), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("fault", String(32)),
    Column("reason", Text, nullable=False),
    Column("confidence", Float),
    Column("latency_ms", Float, nullable=False),
    *_spending(),
)

prewarms = Table(
    "prewarms",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("tier", String(64), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("fault", String(32)),
    Column("reason", Text, nullable=False),
    Column("confidence", Float),
    Column("latency_ms", Float, nullable=False),
    *_spending(),
)
Index("ix_prewarms_at", prewarms.c.tenant, prewarms.c.at)

feedback = Table(
    "feedback",
    metadata,
    Column("answer_id", String(32), ForeignKey("answers.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("correct", Boolean, nullable=False),
    Column("better_answer", Text),
    Column("at", Float, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("scopes", String(64), nullable=False),  # comma-separated: ask, admin
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # running, done or failed
    Column("progress", JSON, nullable=False),
    Column("report", JSON),
    Column("error", Text),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
)

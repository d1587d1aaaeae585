"""Run by alembic: migrates the engine that `core.database` hands over, all of it or nothing of it."""

from alembic import context

from core.schema import metadata

# Two processes that open a new database at once migrate one after the other; the second finds nothing left to do.
_TAKE_TURNS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(8377)"}

with context.config.attributes["engine"].begin() as connection:
    if connection.dialect.name in _TAKE_TURNS:
        connection.exec_driver_sql(_TAKE_TURNS[connection.dialect.name])
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()

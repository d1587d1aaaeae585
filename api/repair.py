"""The commands that look after the index: `understudy verify` and `rebuild`."""

from typing import Annotated

import typer

from api.auth import DEFAULT_TENANT
from api.options import Json, Lines, Tenant

app = typer.Typer()


@app.command()
def verify(
    everything: Annotated[bool, typer.Option("--all", help="Every kept version, not the published one alone.")] = False,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
    lines: Lines = False,
) -> None:
    """Compare the index with the database, and say what differs; changes nothing. Exit code 2 where something does."""
    from api.verifying import run_verify

    raise typer.Exit(run_verify(everything=everything, tenant=tenant, as_json=as_json))


@app.command()
def rebuild(tenant: Tenant = DEFAULT_TENANT, as_json: Json = False, lines: Lines = False) -> None:
    """Make a fresh index from the database, without reading a source; embeds only for another embedder or chunker."""
    from api.writing import run_rebuild

    raise typer.Exit(run_rebuild(tenant=tenant, as_json=as_json, lines=lines))

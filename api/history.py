"""The commands that look back and go back: `understudy versions`, `diff` and `rollback`."""

from typing import Annotated

import typer

from api.auth import DEFAULT_TENANT
from api.options import Json, Lines, Tenant, Version
from core.versions import LARGEST_VERSION

app = typer.Typer()


@app.command()
def versions(
    before: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_VERSION, help="Only those below this number.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many are shown.")] = 50,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Show the kept versions, newest first, and what each of them changed."""
    from api.output import tell
    from api.terminal_history import show_versions
    from api.versions import kept

    tell(kept(before=before, limit=limit, tenant=tenant), show_versions, as_json=as_json)


@app.command()
def diff(
    from_version: Version,
    to_version: Version,
    show: Annotated[str, typer.Option(help="Of each document's chunks: numbers, headings, or text.")] = "numbers",
    chunks: Annotated[int, typer.Option(min=1, max=1000, help="How many chunks are listed of a document.")] = 20,
    offset: Annotated[int, typer.Option(min=0, max=LARGEST_VERSION, help="How many documents to pass over.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many documents are shown.")] = 50,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Show which documents and chunks differ between two kept versions."""
    from api.differences import between
    from api.output import tell
    from api.terminal_history import show_diff

    found = between(from_version, to_version, show=show, chunks=chunks, offset=offset, limit=limit, tenant=tenant)
    tell(found, show_diff, as_json=as_json)


@app.command()
def rollback(version: Version, tenant: Tenant = DEFAULT_TENANT, as_json: Json = False, lines: Lines = False) -> None:
    """Publish a kept version's content again, and hold the sources until `understudy sync --release`."""
    from api.writing import run_rollback

    raise typer.Exit(run_rollback(version, tenant=tenant, as_json=as_json, lines=lines))

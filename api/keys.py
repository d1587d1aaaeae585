"""`understudy keys`: who may use the server."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from api.auth import DEFAULT_TENANT
from api.options import Json, Tenant

app = typer.Typer(help="Make, list and revoke API keys. Once one exists, every request needs one.", no_args_is_help=True)


@app.command()
def create(
    scope: Annotated[list[str] | None, typer.Option("--scope", help="ask or admin; repeat it for both.")] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Make a key and show it, once."""
    from api.auth import create_key
    from api.stack import open_engine
    from core.settings import read_settings

    made = create_key(open_engine(read_settings()), tenant, scope or ["ask"])
    if as_json:
        typer.echo(json.dumps(asdict(made)))
        return
    typer.echo(made.key)
    typer.echo(
        f"Keep it: it is shown this once. Tenant {made.tenant}, scopes {', '.join(made.scopes)}. From now on every request needs a key.",
        err=True,
    )


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Show the keys that exist, without their secrets."""
    from rich.console import Console

    from api.auth import list_keys
    from api.stack import open_engine
    from api.terminal import show_keys
    from core.settings import read_settings

    keys = list_keys(open_engine(read_settings()))
    if as_json:
        typer.echo(json.dumps([asdict(key) for key in keys]))
    else:
        show_keys(Console(highlight=False), keys)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="As `understudy keys list` shows it.")], as_json: Json = False) -> None:
    """Refuse a key from its next request on."""
    from api.auth import revoke_key
    from api.stack import open_engine
    from core.settings import read_settings

    revoked = revoke_key(open_engine(read_settings()), key_id)
    typer.echo(json.dumps(asdict(revoked)) if as_json else f"Revoked {revoked.key_id}.")

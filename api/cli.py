"""The command line: `understudy`. Imports are inside the commands, so that each pays only for what it uses."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from api import history, keys, repair, tune
from api.auth import DEFAULT_TENANT
from api.errors import problem, problem_of
from api.options import AsOf, Json, Lines, Release, Tenant, TopK
from core.errors import InvalidInput, UnderstudyError

app = typer.Typer(
    help="Answers questions from your documents, with the exact sentence each answer rests on.",
    add_completion=False, pretty_exceptions_enable=False,
)  # fmt: skip
generator = typer.Typer(help="Show or set who answers: tuned, frontier or hybrid.", no_args_is_help=True)
documents = typer.Typer(hidden=True)
app.add_typer(generator, name="generator")
app.add_typer(keys.app, name="keys")
app.add_typer(tune.app, name="tune")
app.add_typer(documents, name="documents")
app.add_typer(history.app)
app.add_typer(repair.app)

_INTERRUPTED = 130


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"understudy {metadata.version('understudy')}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and end.")] = False,
) -> None: ...


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Exit code: 0 all well, 2 some files failed, 1 nothing done; a user's mistake is one line on stderr."""
    as_json = "--json" in arguments
    try:
        code = app(list(arguments) or ["--help"], standalone_mode=False, prog_name="understudy")
    except UnderstudyError as error:
        return _fail(str(error), problem_of(error) if as_json else None)
    except typer.TyperException as error:
        if not error.format_message():
            return 0  # a group without a command, which has shown its help
        told = f"{error.format_message().rstrip('.')}; {_where_to_look(error)}"
        return _fail(told, problem("usage", "Usage", 422, told) if as_json else None)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except Exception as error:
        return _fail_unexpectedly(error, as_json)
    if code == _INTERRUPTED:
        return _interrupted()
    return code if isinstance(code, int) else 0


def _where_to_look(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    if context is None or context.parent is None:
        return "`understudy --help` shows the commands"
    return f"`{context.command_path} --help` shows how it is used"


def _interrupted() -> int:
    return _fail("interrupted; what was published before is still there", None, code=_INTERRUPTED)


def _fail(told: str, as_problem: dict[str, object] | None, code: int = 1) -> int:
    typer.echo(f"understudy: {' '.join(told.split())}", err=True)
    if as_problem is not None:
        typer.echo(json.dumps(as_problem))
    return code


def _fail_unexpectedly(error: Exception, as_json: bool) -> int:
    import os
    import traceback

    if os.environ.get("UNDERSTUDY_LOG_LEVEL") == "debug":
        traceback.print_exc()
    told = f"a bug: {type(error).__name__}: {error}; UNDERSTUDY_LOG_LEVEL=debug shows where"
    return _fail(told, problem("unexpected", "Unexpected error", 500, told) if as_json else None)


@app.command()
def ingest(
    places: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Folders, files, git repositories (git+https://host/repo@main).", show_default=False),
    ],
    release: Release = False,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
    lines: Lines = False,
) -> None:
    """Add folders, files or git repositories as sources, then sync."""
    from api.writing import run_sync

    raise typer.Exit(run_sync(places, release=release, tenant=tenant, as_json=as_json, lines=lines))


@app.command()
def sync(
    release: Release = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change and what it would cost; write nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and sync after every change until Ctrl-C.")] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
    lines: Lines = False,
) -> None:
    """Read every source again, index what changed and publish."""
    from api.writing import run_preview, run_sync

    if (dry_run or watch) and (release or dry_run is watch):
        raise InvalidInput("--dry-run and --watch go with no other way to sync: leave the other option out")
    if dry_run:
        raise typer.Exit(run_preview(tenant=tenant, as_json=as_json, lines=lines))
    if watch:
        from api.watching import run_watch

        raise typer.Exit(run_watch(tenant=tenant, as_json=as_json, with_parent=with_parent))
    raise typer.Exit(run_sync((), release=release, tenant=tenant, as_json=as_json, lines=lines))


@app.command()
def forget(
    name: Annotated[str, typer.Argument(help="A source or a document: its name, as status and citations show it, its id, or its path.")],
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
    lines: Lines = False,
) -> None:
    """Erase a document, or a source with its documents, from everything that is kept; the files stay, and are not read again."""
    from api.writing import run_forget

    raise typer.Exit(run_forget(name, tenant=tenant, as_json=as_json, lines=lines))


@documents.command()
def put(
    document_id: str,
    path: Path,
    title: str = "",
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
    lines: Lines = False,
) -> None:
    """What PUT /v1/documents/{id} runs."""
    from api.writing import run_put

    raise typer.Exit(run_put(document_id, path, title=title, tenant=tenant, as_json=as_json, lines=lines))


@documents.command(name="forget")
def forget_document(document_id: str, tenant: Tenant = DEFAULT_TENANT, as_json: Json = False, lines: Lines = False) -> None:
    """What POST /v1/documents/{id}/forget runs."""
    from api.writing import run_forget

    raise typer.Exit(run_forget(document_id, by_id=True, tenant=tenant, as_json=as_json, lines=lines))


@documents.command()
def delete(document_id: str, tenant: Tenant = DEFAULT_TENANT, as_json: Json = False, lines: Lines = False) -> None:
    """What DELETE /v1/documents/{id} runs."""
    from api.writing import run_delete

    raise typer.Exit(run_delete(document_id, tenant=tenant, as_json=as_json, lines=lines))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="In your own words.")],
    mode: Annotated[str | None, typer.Option(help="tuned, frontier or hybrid, for this question alone.", show_default=False)] = None,
    top_k: TopK = None,
    as_of: AsOf = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Answer a question from the documents."""
    from api.commands import ask as answer
    from api.output import tell
    from api.terminal import show_answer

    tell(answer(question, mode=mode, top_k=top_k, as_of=as_of, tenant=tenant), show_answer, as_json=as_json)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: TopK = None,
    as_of: AsOf = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Show the best passages for a question, without an answer."""
    from api.commands import search as find
    from api.output import tell
    from api.terminal import show_hits

    tell(find(question, top_k=top_k, as_of=as_of, tenant=tenant), show_hits, as_json=as_json)


@app.command()
def prompt(
    question: Annotated[str, typer.Argument(help="In your own words.")],
    top_k: TopK = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Show what the first frontier model would be sent, and what it would cost; sends nothing."""
    from api.output import tell
    from api.prompt import would_send
    from api.terminal import show_prompt

    tell(would_send(question, top_k=top_k, tenant=tenant), show_prompt, as_json=as_json)


@app.command()
def ledger(
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.", show_default=False)] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="day, mode, tier, tenant or fault; repeat it for several.", show_default="day")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.", show_default="all")] = None,
    as_json: Json = False,
) -> None:
    """Show what was spent, and what the same traffic would have cost without a cache, or without the small model."""
    from api.ledger import spent
    from api.output import tell
    from api.terminal import show_ledger

    tell(spent(since=since.date() if since else None, by=by or ["day"], tenant=tenant), show_ledger, as_json=as_json)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine only once a key exists.", show_default=False)
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535, show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Sync after every change of the documents, in a process beside it.")] = False,
    as_json: Json = False,
) -> None:
    """Serve the HTTP API until Ctrl-C; its description is at /docs."""
    from contextlib import nullcontext

    from api.serve import listening
    from api.serve import serve as run_server
    from api.stack import build_stack, open_engine, writing_command, writing_environment
    from api.watching import Watcher
    from core.settings import read_settings

    def announce(url: str, keys_needed: bool) -> None:
        told = f"Understudy listens on {url}, described at {url}/docs"
        local = "" if keys_needed else ". No API key exists, so only this machine is answered; `understudy keys create` makes one"
        typer.echo(json.dumps({"url": url, "keys": keys_needed}) if as_json else told + local, err=not as_json)

    settings = read_settings()
    chosen = settings.server
    with listening(open_engine(settings), chosen.host if host is None else host, chosen.port if port is None else port) as listener:
        stack = build_stack(settings)
        with Watcher(writing_command(), environment=writing_environment()) if watch else nullcontext():
            run_server(stack, listener, announce)


@app.command()
def status(tenant: Tenant = DEFAULT_TENANT, as_json: Json = False) -> None:
    """Show what is indexed, from where, and what failed."""
    from api.commands import index_status
    from api.output import tell
    from api.terminal import show_index

    tell(index_status(tenant), show_index, as_json=as_json)


@generator.command()
def show(as_json: Json = False) -> None:
    """Show the mode and which tiers are ready, with the reason."""
    from api.commands import generator_status
    from api.output import tell
    from api.terminal import show_generator

    tell(generator_status(), show_generator, as_json=as_json)


@generator.command(name="set")
def set_(mode: Annotated[str, typer.Argument(help="tuned, frontier or hybrid.")], as_json: Json = False) -> None:
    """Set who answers; every process sees it at its next request."""
    from api.commands import toggle
    from api.output import tell
    from api.terminal import show_generator

    tell(toggle(mode), show_generator, as_json=as_json)


if __name__ == "__main__":
    main()

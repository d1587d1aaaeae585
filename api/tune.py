"""`understudy tune`: the commands that train."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.auth import DEFAULT_TENANT, local_scope
from api.options import Json, Tenant

app = typer.Typer(help="Train the small model on your own questions.", no_args_is_help=True)

_LINE_SECONDS = 10.0


@app.callback()
def _group() -> None:
    """Keeps `reader` a command of its own while it is the only one."""


@app.command()
def reader(
    data: Annotated[list[Path], typer.Option(help="A folder with questions*.jsonl and paragraphs*.jsonl; give it as often as there are.")],
    out: Annotated[Path, typer.Option(help="Where the run is kept; the same folder again resumes it.")] = Path("runs/reader"),
    recipe: Annotated[Path | None, typer.Option(help="A TOML recipe; without one that of the reader that ships.")] = None,
    start: Annotated[Path | None, typer.Option("--from", help="A reader's folder to train further, instead of the bare encoder.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    tenant: Tenant = DEFAULT_TENANT,
    as_json: Json = False,
) -> None:
    """Train, calibrate and measure a reader; then set UNDERSTUDY_READER__PATH to OUT/reader."""
    from api.stack import open_the_embedder
    from core.settings import read_settings
    from retrieval.embedder import model_source
    from tuning.corpus import Limits
    from tuning.reader import tune_reader
    from tuning.recipe import DEFAULT, read_recipe

    settings = read_settings()
    chosen = read_recipe(recipe or DEFAULT)
    chosen = chosen if seed is None else chosen.model_copy(update={"seed": seed})
    tuned = tune_reader(
        data=data,
        out=out,
        base=Path(model_source(settings.embedder.model)),
        recipe=chosen,
        embedder=open_the_embedder(settings),
        scope=local_scope(tenant),
        limits=Limits(
            min_tokens=settings.ingest.min_chunk_tokens,
            max_tokens=settings.ingest.max_chunk_tokens,
            dense_weight=settings.retrieval.dense_weight,
        ),
        on_step=_steps(),
        on_part=_parts(),
        start=start,
    )
    report = {"reader": str(tuned.folder), "figures": {name: asdict(f) for name, f in tuned.figures.items()}}
    typer.echo(json.dumps(report) if as_json else f"the reader is in {tuned.folder}: UNDERSTUDY_READER__PATH={tuned.folder} serves it")


def _steps() -> Callable[[str, int, int, float, float], None]:
    began: dict[str, tuple[float, int]] = {}

    def show(stage: str, step: int, steps: int, loss: float, rate: float) -> None:
        since, first = began.setdefault(stage, (time.monotonic(), step))
        left = (time.monotonic() - since) / max(1, step - first) * (steps - step)
        typer.echo(f"{stage}: step {step} of {steps}, loss {loss:.3f}, {rate:,.0f} tokens/s, {left / 60:.0f} min left", err=True)

    return show


def _parts() -> Callable[[str, int, int], None]:
    last = ("", 0.0)

    def show(part: str, done: int, total: int) -> None:
        nonlocal last
        if part != last[0] or done == total or time.monotonic() - last[1] > _LINE_SECONDS:
            last = (part, time.monotonic())
            typer.echo(f"{part}: {done:,} of {total:,}", err=True)

    return show

"""How a sync shows that it moves: a bar on a terminal, a few lines elsewhere, JSON lines for the server."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer

from core.protocols import OnProgress
from core.types import SyncProgress

_LINE_SECONDS = 0.2


@contextmanager
def shown_progress(*, lines: bool, quiet: bool) -> Iterator[OnProgress]:
    """`lines` writes JSON to stdout for the process that started this one; `quiet` leaves stderr to errors."""
    if lines:
        yield _json_lines()
    elif _is_terminal():
        with _bar() as on_progress:
            yield on_progress
    else:
        yield _nothing if quiet else _step_lines()


def _is_terminal() -> bool:
    return typer.get_text_stream("stderr").isatty()


def _nothing(_: SyncProgress) -> None: ...


def _json_lines() -> OnProgress:
    import json

    last = ("", 0.0)

    def write(progress: SyncProgress) -> None:
        nonlocal last
        if progress.step != last[0] or time.monotonic() - last[1] >= _LINE_SECONDS:
            last = (progress.step, time.monotonic())
            typer.echo(json.dumps(asdict(progress)))

    return write


def _step_lines() -> OnProgress:
    last = ""

    def write(progress: SyncProgress) -> None:
        nonlocal last
        if progress.step != last:
            last = progress.step
            typer.echo(f"{progress.step} {counted(progress)}".rstrip(), err=True)

    return write


@contextmanager
def _bar() -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<11}"), BarColumn(), TextColumn("{task.fields[counts]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, counts="")
        rate = _Rate()
        step = ""

        def update(progress: SyncProgress) -> None:
            nonlocal step
            if progress.step != step:
                step = progress.step
                bar.reset(task)
            done, total = measured(progress)
            bar.update(task, description=step, completed=done, total=total, counts=f"{counted(progress)}{rate.of(progress)}")

        yield update


def measured(progress: SyncProgress) -> tuple[int, int | None]:
    """What the bar measures: chunks while embedding, documents before."""
    if progress.step == "embedding":
        return progress.chunks, progress.chunks_total
    return progress.documents, progress.documents_total


def number_of(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def counted(progress: SyncProgress) -> str:
    counts = (("document", progress.documents, progress.documents_total), ("chunk", progress.chunks, progress.chunks_total))
    return " ".join(number_of(done, name) if total is None else f"{done}/{total} {name}s" for name, done, total in counts if done or total)


class _Rate:
    """Chunks a second since embedding began."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, int] | None = None

    def of(self, progress: SyncProgress) -> str:
        if progress.step != "embedding":
            return ""
        if self._began is None:
            self._began = (self._clock(), progress.chunks)
        seconds, chunks = self._clock() - self._began[0], progress.chunks - self._began[1]
        return f" {chunks / seconds:.0f}/s" if seconds > 0.5 else ""

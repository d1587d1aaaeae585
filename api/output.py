"""What a command prints: one JSON line for programs, or text for a person."""

from collections.abc import Callable
from typing import TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console

_Reply = TypeVar("_Reply", bound=BaseModel)


def tell(reply: _Reply, show: Callable[[Console, _Reply], None], *, as_json: bool) -> None:
    if as_json:
        typer.echo(reply.model_dump_json())
    else:
        show(Console(highlight=False, soft_wrap=True), reply)

"""Options that several commands share."""

from typing import Annotated, TypeAlias

import typer

from core.versions import LARGEST_VERSION

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON on the last line, for programs.")]
Tenant: TypeAlias = Annotated[str, typer.Option("--tenant", help="Whose documents; a key made for a tenant sees only these.")]
TopK: TypeAlias = Annotated[int | None, typer.Option("--top-k", min=1, max=50, help="How many chunks are read.", show_default=False)]
AsOf: TypeAlias = Annotated[
    int | None, typer.Option(min=1, max=LARGEST_VERSION, help="A kept version, as `understudy versions` shows them.", show_default="newest")
]
Version: TypeAlias = Annotated[int, typer.Argument(min=1, max=LARGEST_VERSION, help="A kept version.", show_default=False)]
Release: TypeAlias = Annotated[bool, typer.Option("--release", help="Also where a rollback holds the sources, which ends that.")]
Lines: TypeAlias = Annotated[bool, typer.Option("--progress-lines", hidden=True)]

"""`understudy tune`: the commands that train."""

import typer

app = typer.Typer(help="Train the small model on your own questions.", no_args_is_help=True)

"""agentos task block: stop it."""

from typing import Annotated

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def block(ref: Ref, reason: Annotated[list[str], typer.Argument(help="What it waits for.")]) -> None:
    """Stop a task, and say why.

    Example: agentos task block 12 waiting for the API key
    """
    context.act(lambda draft: tasks.block(draft, ref, " ".join(reason)))

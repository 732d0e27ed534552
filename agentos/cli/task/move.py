"""agentos task move: to another column."""

from typing import Annotated

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref
from agentos.model.words import Resolution, Status

app = typer.Typer()


@app.command()
def move(
    ref: Ref,
    status: Annotated[str, typer.Argument(help=f"One of {', '.join(Status)}.")],
    resolution: Annotated[Resolution | None, typer.Option("--as", help="Why it is done.")] = None,
) -> None:
    """Move a task to another column.

    Example: agentos task move 12 done --as cancelled
    """
    context.act(lambda draft: tasks.move(draft, ref, status, resolution))

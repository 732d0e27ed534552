"""agentos task unblock: let it go on."""

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def unblock(ref: Ref) -> None:
    """Let a blocked task go on.

    Example: agentos task unblock 12
    """
    context.act(lambda draft: tasks.unblock(draft, ref))

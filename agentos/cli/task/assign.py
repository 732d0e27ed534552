"""agentos task assign: who works on it."""

from typing import Annotated

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def assign(
    ref: Ref,
    names: Annotated[list[str] | None, typer.Argument(help="Agents or people; none gives it back.")] = None,
) -> None:
    """Say who works on a task; the first of several works, the others watch.

    Example: agentos task assign 12 technical
    """
    context.act(lambda draft: tasks.assign(draft, ref, names or ()))

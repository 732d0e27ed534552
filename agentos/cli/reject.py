"""agentos reject: send work back to its author."""

from typing import Annotated

import typer

from agentos.actions import judgement
from agentos.cli import context
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def reject(
    ref: Ref,
    message: Annotated[str, typer.Option("-m", "--message", help="What is wrong with it.")] = "",
) -> None:
    """Send a task's work back, with the reason; the author's next run reads it.

    Example: agentos reject 12 -m "It needs a test for an empty name"
    """
    store = context.store()
    context.report(judgement.reject(store, ref, store.person(), message))

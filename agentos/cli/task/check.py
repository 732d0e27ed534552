"""agentos task check: tick an acceptance criterion."""

from typing import Annotated

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def check(
    ref: Ref,
    number: Annotated[int, typer.Argument(help="Which acceptance criterion, 1 being the first.")],
    clear: Annotated[bool, typer.Option("--clear", help="Take the tick away.")] = False,
) -> None:
    """Tick an acceptance criterion.

    Example: agentos task check 12 1
    """
    context.act(lambda draft: tasks.check(draft, ref, number, not clear))

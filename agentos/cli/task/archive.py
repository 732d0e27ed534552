"""agentos task archive: done tasks out of the way."""

from typing import Annotated, Any

import typer

from agentos.actions import tasks
from agentos.cli import context
from agentos.errors import Usage
from agentos.model.records import Task

app = typer.Typer()


@app.command()
def archive(
    refs: Annotated[list[str] | None, typer.Argument(help="Done tasks.")] = None,
    everything: Annotated[bool, typer.Option("--done", help="All that are done.")] = False,
) -> None:
    """Move done tasks out of the way, into board/archive/.

    Example: agentos task archive --done
    """

    def run(draft: Any) -> list[Task]:
        names = [t.id for t in draft.board.tasks.values() if not t.is_open and not t.is_archived]
        return tasks.archive(draft, names if everything else refs or ())

    if not refs and not everything:
        raise Usage("Say which tasks, or --done for all that are done.")
    context.say(f"{len(context.act(run))} archived.")

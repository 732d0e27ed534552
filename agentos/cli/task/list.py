"""agentos task list: the tasks, a line each."""

from typing import Annotated

import typer

from agentos.cli import context, show
from agentos.model import rules
from agentos.model.records import Task
from agentos.model.words import Status

app = typer.Typer()


@app.command()
def list_(
    status: Annotated[Status | None, typer.Option(help="Only this column.")] = None,
    assignee: Annotated[str | None, typer.Option(help="Only this agent's or person's.")] = None,
    label: Annotated[str | None, typer.Option(help="Only with this label.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Only what could be started now.")] = False,
    blocked: Annotated[bool, typer.Option("--blocked", help="Only what something stops.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Done ones as well.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 50,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """List tasks, the open ones by number.

    Example: agentos task list --ready --limit 5
    """
    store = context.store()
    board = store.board(at)

    def wanted(task: Task) -> bool:
        shown = status is task.status if status else everything or task.is_open
        return (
            shown
            and (assignee is None or assignee in task.assignees)
            and (label is None or label in task.labels)
            and (not ready or (rules.is_ready(board, task) and task.status in ("inbox", "assigned")))
            and (not blocked or (task.is_open and rules.obstacle(board, task) is not None))
        )

    found = sorted(filter(wanted, board.tasks.values()), key=lambda task: (task.number or 0, task.id))
    shown = found[:limit] if limit else found
    if as_json:
        context.print_json(context.plain_list(store, shown, at))
    else:
        show.task_list(board, shown)
    if len(shown) < len(found):
        context.say(f"{len(shown)} of {len(found)}; --limit 0 shows all.")
    context.warn_of_problems(board)

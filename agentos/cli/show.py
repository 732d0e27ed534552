"""How tasks and agents look: aligned and coloured on a terminal, tab-separated for a script."""

from collections.abc import Sequence

import typer

from agentos.cli import context
from agentos.model import explaining, rules
from agentos.model.activity import short
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Status

COLOURS = {
    Status.INBOX: "bright_black",
    Status.ASSIGNED: "cyan",
    Status.IN_PROGRESS: "yellow",
    Status.REVIEW: "magenta",
    Status.DONE: "green",
}
"""One colour a column, the same everywhere."""


def task_list(board: Board, tasks: Sequence[Task]) -> None:
    """A line a task."""
    if not context.is_terminal():
        if tasks:
            context.rows(
                (task.id, task.status, str(task.priority), ",".join(task.assignees), task.title)
                for task in tasks
            )
        return
    if not tasks:
        done = sum(not task.is_open for task in board.tasks.values())
        also = f" {done} done (--all shows them)." if done else " agentos task add TITLE makes the first."
        typer.echo(f"No such tasks.{also}")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "STATUS", "P", "WHO", "TITLE"):
        table.add_column(name, no_wrap=name != "TITLE", overflow="ellipsis")
    for task in tasks:
        stopped = rules.obstacle(board, task) if task.is_open and task.status is not Status.REVIEW else None
        title = Text(context.clean(task.title))
        if stopped:
            title.append(f"  {context.clean(short(stopped))}", style="dim")
        table.add_row(
            Text(task.short, style="bold"),
            Text(task.status.replace("_", " "), style=COLOURS[task.status]),
            Text(str(task.priority), style="red" if task.priority == 1 else ""),
            Text(", ".join(task.assignees), style="blue"),
            title,
        )
    context.console().print(table)


def task(board: Board, task: Task, body: str, updated: str | None, messages: int) -> None:
    """One task in full."""
    facts = [
        ("status", f"{task.status}{f' ({task.resolution})' if task.resolution else ''}"),
        ("priority", str(task.priority)),
        ("assignees", ", ".join(task.assignees)),
        ("parent", task.parent),
        ("children", ", ".join(child.short for child in board.children.get(task.id, ()))),
        ("depends on", ", ".join(task.depends_on)),
        ("needs", " + ".join(task.needs)),
        ("labels", ", ".join(task.labels)),
        ("estimate", task.estimate),
        ("due", task.due),
        ("blocked", task.blocked),
        ("messages", str(messages) if messages else None),
        ("updated", updated),
        ("next", explaining.next_step(board, task) if task.is_open else None),
    ]
    lines = [(name, context.clean(value)) for name, value in facts if value]
    if not context.is_terminal():
        typer.echo(f"{task.id}: {context.clean(task.title)}")
        typer.echo("\n".join(f"{name:<11}{value}" for name, value in lines))
        typer.echo("\n" + context.printable(body), nl=not body.endswith("\n"))
        return
    from rich.markdown import Markdown
    from rich.text import Text

    out = context.console()
    out.print(Text.assemble((task.short, "bold"), " ", (context.clean(task.title), "bold")))
    for name, value in lines:
        style = COLOURS[task.status] if name == "status" else "red" if name == "blocked" else ""
        out.print(Text.assemble((f"{name:<11}", "dim"), (value, style)))
    out.print()
    out.print(Markdown(context.printable(body)))

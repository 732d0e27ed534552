"""agentos task add: a new task."""

from typing import Annotated

import typer

from agentos.actions import tasks
from agentos.cli import context

app = typer.Typer()


@app.command()
def add(
    title: str,
    body: Annotated[str | None, typer.Option(help="The description; - reads standard input.")] = None,
    priority: Annotated[int, typer.Option(min=1, max=5, help="1 is highest.")] = 3,
    assign: Annotated[list[str] | None, typer.Option(help="An agent or a person.")] = None,
    need: Annotated[list[str] | None, typer.Option(help="A capability it takes; a/b for either.")] = None,
    depends: Annotated[list[str] | None, typer.Option(help="A task that must be completed first.")] = None,
    parent: Annotated[str | None, typer.Option(help="The task it is a part of.")] = None,
    label: Annotated[list[str] | None, typer.Option()] = None,
    touches: Annotated[list[str] | None, typer.Option(help="A path the work will change.")] = None,
    due: Annotated[str | None, typer.Option(help="A date, such as 2026-12-24.")] = None,
    estimate: Annotated[str | None, typer.Option()] = None,
    check: Annotated[list[str] | None, typer.Option(help="A command that must pass.")] = None,
) -> None:
    """Add a task; its name is printed.

    Example: agentos task add "Add a login" --priority 2 --need backend-developer --check "pytest -q"
    """
    text = typer.get_text_stream("stdin").read() if body == "-" else body or ""
    task = context.act(
        lambda draft: tasks.add(
            draft, title, body=text, checks=check or (), priority=priority, assignees=assign, needs=need,
            depends_on=depends, parent=parent, labels=label, touches=touches, due=due, estimate=estimate,
        )
    )  # fmt: skip
    typer.echo(task.id)

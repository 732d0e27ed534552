"""agentos board: the columns side by side in the terminal."""

from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.cli.show import COLOURS
from agentos.model import rules, working
from agentos.model.board import Board
from agentos.model.words import Status

app = typer.Typer()


@app.command()
def board(
    limit: Annotated[int, typer.Option(min=1, help="Tasks a column.")] = 12,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """Show the board: a column a status, the most important tasks first.

    Example: agentos board --limit 5
    """
    store = context.store()
    shown = store.board(at)
    problems = store.located(working.all_problems(shown)[: working.MOST_LINES], at)
    if as_json:
        columns = working.by_status(shown)
        context.print_json(
            {
                status: context.plain_list(store, [shown.tasks[name] for name in columns[status]], at)
                for status in Status
            }
            | {"problems": [str(problem) for problem in problems]}
        )
        return
    from rich.text import Text

    out = context.console()
    out.print(picture(shown, limit, out.width))
    for problem in problems:
        out.print(Text.assemble(("! ", "red"), context.clean(str(problem))), soft_wrap=True)


def picture(board: Board, limit: int, width: int) -> Any:
    """The columns as something rich can print; stacked where the terminal is too narrow for five."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = working.by_status(board)
    if not any(columns.values()):
        return Text("No tasks yet: agentos task add TITLE, or agentos import ROADMAP.md")
    cells = {status: _column(board, status, len(columns[status]), limit) for status in Status}
    heads = {
        status: Text.assemble(
            (status.name.replace("_", " "), f"bold {COLOURS[status]}"), (f"  {len(columns[status])}", "dim")
        )
        for status in Status
    }
    if width < 90:
        return Group(*(part for status in Status for part in (heads[status], cells[status], Text())))
    table = Table(expand=True, box=box.SIMPLE_HEAD, border_style="bright_black", pad_edge=False)
    for status in Status:
        table.add_column(heads[status], ratio=1)
    table.add_row(*(cells[status] for status in Status))
    return table


def _column(board: Board, status: Status, count: int, limit: int) -> Any:
    """A column's tasks: number and title, who has it, and what is to be known of it."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for task in working.in_order(board, status, context.now(), limit):
        text = Text(context.clean(task.title), style="" if task.is_open else "dim")
        if task.assignees and task.is_open:
            text.append(f" @{task.assignees[0]}", style="blue")
        if task.blocked:
            text.append(" blocked", style="red")
        if rules.SIMULATED in task.labels:
            text.append(" (simulated)", style="dim italic")
        grid.add_row(Text(task.short.removeprefix("TASK-"), style="bold"), text)
    if count > limit:
        grid.add_row("", Text(f"… and {count - limit} more", style="dim"))
    return grid

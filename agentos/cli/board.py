"""agentos board: the columns side by side in the terminal."""

from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.cli.show import COLOURS
from agentos.model import rules, working
from agentos.model.board import Board
from agentos.model.records import Status, Task

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
    shown = context.store().board(at)
    if as_json:
        columns = working.by_status(shown)
        context.print_json(
            {status: [context.plain(task) for task in columns[status]] for status in Status}
            | {"problems": [str(problem) for problem in shown.problems]}
        )
        return
    out = context.console()
    out.print(picture(shown, limit, out.width))
    for problem in shown.problems:
        out.print(f"[red]![/] {context.clean(str(problem))}", markup=True)


def picture(board: Board, limit: int, width: int) -> Any:
    """The columns as something rich can print; stacked where the terminal is too narrow for five."""
    from rich.columns import Columns
    from rich.table import Table

    columns = working.by_status(board)
    now = context.now()
    cells = {status: _column(board, rules.ranked(board, columns[status], now), limit) for status in Status}
    heads = {status: f"{status.name.replace('_', ' ')}  {len(columns[status])}" for status in Status}
    if width < 90:
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = []
        for status in Status:
            parts += [Text(heads[status], style=f"bold {COLOURS[status]}"), cells[status], Text()]
        return Group(*parts)
    table = Table(expand=True, show_lines=False, border_style="bright_black", pad_edge=False)
    for status in Status:
        table.add_column(heads[status], ratio=1, header_style=f"bold {COLOURS[status]}")
    table.add_row(*(cells[status] for status in Status))
    return table if any(columns.values()) else Columns([table, "No tasks yet: agentos task add TITLE"])


def _column(board: Board, tasks: list[Task], limit: int) -> Any:
    from rich.text import Text

    text = Text()
    for task in tasks[:limit]:
        text.append(task.short.removeprefix("TASK-"), style="bold")
        text.append(f" {context.clean(task.title)}", style="" if task.is_open else "dim")
        if task.assignees and task.is_open:
            text.append(f" @{task.assignees[0]}", style="blue")
        if task.blocked:
            text.append(" blocked", style="red")
        if rules.SIMULATED in task.labels:
            text.append(" (simulated)", style="dim italic")
        text.append("\n")
    if len(tasks) > limit:
        text.append(f"… and {len(tasks) - limit} more\n", style="dim")
    return text

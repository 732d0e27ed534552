"""agentos task show: one task in full."""

import typer

from agentos.cli import context, show
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def show_(ref: Ref, at: context.At = None, as_json: context.Json = False) -> None:
    """Show one task in full, and what moves it next.

    Example: agentos task show 12
    """
    store = context.store()
    board = store.board(at)
    task = board.task(ref)
    body = store.body(task, at)
    updated = store.updated([task.path], at).get(task.path)
    if as_json:
        context.print_json(context.plain(task, updated=updated, body=body))
        return
    show.task(board, task, body, updated, len(board.messages_of(task.id)))

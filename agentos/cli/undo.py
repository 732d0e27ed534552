"""agentos undo: one commit taken back, keeping what came later."""

from typing import Annotated

import typer

from agentos.actions import undo as undoing
from agentos.cli import context
from agentos.model import times
from agentos.model.activity import subject

app = typer.Typer()


@app.command()
def undo(
    commit: Annotated[
        str | None, typer.Argument(help="Which; by default the last that changed the board.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Even where later work was built on it.")] = False,
) -> None:
    """Undo one heartbeat, command or hand edit, and keep what was changed since.

    It is undone by a new commit, which can be undone as well.

    Example: agentos undo 1a2b3c4d5
    """
    store = context.store()
    found, adopted = undoing.chosen(store, commit)
    if adopted:
        context.say(f"{subject(adopted)}  (by hand)")
    context.say(f"Undoing {found.commit[:9]}, {times.stamp(found.time)}, {found.actor}: {found.subject}")
    result = undoing.undo(store, found.commit, force=force)
    for line in (*result.notes, *(f"! {line}" for line in result.value.kept)):
        context.say(line)
    if result.value.outside:
        paths = result.value.outside
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        context.say(f"! {paths[0]}{more}: no record, left as it is; git revert is for code")
    context.say(f"{subject(result.changes)}  ({(result.commit or '')[:9]})")

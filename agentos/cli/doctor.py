"""agentos doctor: what is wrong with the board, its files and this clone."""

from typing import Annotated

import typer

from agentos.actions import health, mending
from agentos.cli import context
from agentos.runtime import sandbox

app = typer.Typer()


@app.command()
def doctor(
    mend: Annotated[bool, typer.Option("--mend", help="Mend what is safe to mend, then look.")] = False,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """Look at every file and at this clone. Leaves with 4 where a file has a problem.

    It changes nothing without --mend.

    Example: agentos doctor --mend
    """
    store = context.store()
    for done in mending.mend(store) if mend else ():
        context.say(done)
    found = health.examine(store, at)
    notes = [*found.notes, *sandbox.notes(store.board(at))]
    if as_json:
        problems = [
            {"path": p.path, "line": p.line, "reason": p.reason, "unreadable": p.is_fatal}
            for p in found.problems
        ]
        context.print_json({"problems": problems, "notes": notes})
    else:
        for problem in found.problems:
            typer.echo(context.clean(str(problem)))
        for note in notes:
            context.say(f"note: {note}")
        if not found.problems:
            context.say("Every file is sound.")
    if found.problems:
        raise typer.Exit(4)

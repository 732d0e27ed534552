"""agentos runs replay: a run played again from its answers, without anything coming of it."""

import dataclasses

import typer

from agentos.cli import context, patches
from agentos.cli.runs import ref as runs

app = typer.Typer()


@app.command()
def replay(ref: runs.Ref = None, as_json: context.Json = False) -> None:
    """Play a run again on its task, from the commit it began at, in a fresh workspace.

    Answers come from its log; tools, commands and sandbox are real. The board and the task's branch stay as
    they are: what it would propose and change is shown.

    Example: agentos runs replay 20260202T103000Z-technical
    """
    from agentos.runtime import rehearsal
    from agentos.runtime.outbox import ACTIONS

    store = context.store()
    done = rehearsal.rehearse(store, runs.find(store, ref))
    names = {kind: name for name, kind in ACTIONS.items()}
    proposed = [{"action": names.get(type(a), "tick")} | dataclasses.asdict(a) for a in done.outbox.actions]
    if as_json:
        context.print_json({"log": done.log, "actions": proposed, "diff": done.change})
        return
    for line in done.log:
        typer.echo("\n".join(runs.lines(line)))
    for action in proposed:
        typer.echo("\n".join(runs.lines({"kind": action.pop("action")} | action)))
    for text in patches.shown((done.change or "").encode(errors="surrogateescape")):
        typer.echo(text)

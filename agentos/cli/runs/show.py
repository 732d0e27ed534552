"""agentos runs show: one run in full."""

import json

import typer

from agentos.cli import context
from agentos.cli.runs import ref as runs
from agentos.runtime import runlog

app = typer.Typer()


@app.command()
def show(ref: runs.Ref = None, as_json: context.Json = False) -> None:
    """Show what one run was given, what it did, and what it came to.

    Example: agentos runs show 20260202T103000Z-technical
    """
    store = context.store()
    run = runs.find(store, ref)
    facts = {"run": run} | runlog.facts(store.local, run)
    said, _ = runlog.lines(store.local, run)
    if as_json:
        context.print_json(facts | {"log": said})
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        typer.echo(context.clean(f"{key:<{width}}  {shown}"))
    for line in said:
        typer.echo(runs.line(line))

"""agentos runs tail: follow a run while it is at work."""

import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.cli.runs import ref as runs
from agentos.runtime import runlog

app = typer.Typer()

PAUSE = 0.2
"""Seconds between two looks at the log."""


@app.command()
def tail(
    ref: runs.Ref = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the last lines first.")] = 20,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Leave at the end of the log.")] = False,
    as_json: context.Json = False,
) -> None:
    """Print the log of a run as it grows, until the run is over.

    Example: agentos runs tail --no-follow
    """
    store = context.store()
    run = runs.find(store, ref)
    said, place = runlog.lines(store.local, run)
    said = said[-lines:] if lines else []
    context.say(_about(run, runlog.facts(store.local, run)))
    while True:
        is_over = no_follow or "outcome" in runlog.facts(store.local, run)
        for line in said:
            typer.echo(json.dumps(line, ensure_ascii=True) if as_json else "\n".join(runs.lines(line)))
        if is_over and not said:
            if not no_follow:
                context.say(_end(runlog.facts(store.local, run)))
            return
        if not is_over:
            time.sleep(PAUSE)
        said, place = runlog.lines(store.local, run, place)


def _about(run: str, facts: Mapping[str, Any]) -> str:
    """Whose run it is, since a log may have nothing in it for a long time."""
    began = f", since {facts['start']}" if "start" in facts and "outcome" not in facts else ""
    return f"{run}: {facts.get('agent', '?')} on {facts.get('task', '?')}{began}"


def _end(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('outcome')}: {facts.get('text') or 'nothing was said'}"

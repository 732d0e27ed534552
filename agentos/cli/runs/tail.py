"""agentos runs tail: follow a run while it is at work."""

import json
import socket
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.cli.runs import ref as runs
from agentos.runtime import liveness, runlog
from agentos.store.repository import Store

app = typer.Typer()

PAUSE = 0.2
"""Seconds between two looks at the log."""

QUIET = 5
"""Looks at a log without a new line between two looks at who holds the claim."""


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
    quiet = 0
    while True:
        quiet = 0 if said else quiet + 1
        is_gone = quiet % QUIET == 1 and _is_gone(store, run)
        is_over = no_follow or is_gone or "outcome" in runlog.facts(store.local, run)
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
    if "outcome" not in facts:
        return (
            "Its process is gone; the next agentos tick saves what it left, and another run goes on from it."
        )
    return f"{facts['outcome']}: {facts.get('text') or 'nothing was said'}"


def _is_gone(store: Store, run: str) -> bool:
    """Whether a process of this machine held the run's claim and is dead: nobody will write the log's end."""
    host = socket.gethostname()
    return any(claim.run == run and liveness.is_dead(claim, host) for claim in store.claims())

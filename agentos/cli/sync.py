"""agentos sync: exchange with the remote what was done here and there."""

import dataclasses
from typing import Annotated

import typer

from agentos.cli import context
from agentos.errors import AgentOSError, Conflict, NotFound
from agentos.store import remote
from agentos.store import sync as syncing
from agentos.store.sync import Report

app = typer.Typer()


@app.command()
def sync(
    name: Annotated[str | None, typer.Option("--remote", help="The remote to sync with.")] = None,
    as_json: context.Json = False,
) -> None:
    """Take over what others did, merge it, and publish what was done here.

    Your own code is never published, and a file you have changed is never overwritten.

    Example: agentos sync
    """
    store = context.store()
    there = remote.find(store, name)
    if there is None:
        raise NotFound("There is no remote to sync with, or `remote: none` is set: git remote add origin URL")
    report = syncing.sync(store, there, store.person())
    if as_json:
        context.print_json(dataclasses.asdict(report))
    else:
        _show(report)
    if report.state == "away":
        raise AgentOSError(report.notes[-1])
    if report.state == "blocked":
        raise Conflict(report.notes[-1])


def _show(report: Report) -> None:
    is_error = report.state in ("away", "blocked")
    for note in report.notes[:-1] if is_error else report.notes:
        context.say(f"! {note}")
    if report.taken:
        context.say(f"from {report.remote}: {report.taken}")
    if report.published:
        what = "1 commit" if report.published == 1 else f"{report.published} commits"
        context.say(f"to {report.remote}/{report.branch}: {what}")
    if report.state == "even" and not report.taken and not report.published:
        context.say(f"Even with {report.remote}.")

"""agentos pr: push a task's branch, and open a pull request for it."""

import os
from typing import Annotated

import typer

from agentos.actions import pulls
from agentos.cli import context, keys
from agentos.cli.task.ref import Ref

app = typer.Typer()


@app.command()
def pr(
    ref: Ref,
    remote: Annotated[str | None, typer.Option(help="Where to; by default the branch's, or origin.")] = None,
    allow_protected: Annotated[
        bool, typer.Option("--allow-protected", help="Even where it changes the board, policy or CI.")
    ] = False,
) -> None:
    """Push a task's branch and open a pull request on GitHub, or bring the open one up to date.

    The token is in GITHUB_TOKEN or GH_TOKEN. Ticks ask what became of it: merged, and the task is done;
    closed, and it goes back to its author.

    Example: agentos pr 12
    """
    store = context.store()
    _, access = keys.parted(os.environ)
    task = context.report(
        pulls.request(store, ref, store.person(), access, to=remote, allow_protected=allow_protected)
    )
    typer.echo(task.pr)

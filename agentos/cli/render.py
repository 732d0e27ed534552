"""agentos render: WORKING.md, on stdout or back in its place."""

from typing import Annotated

import typer

from agentos.actions import pages
from agentos.cli import context

app = typer.Typer()


@app.command()
def render(
    at: context.At = None,
    write: Annotated[bool, typer.Option("--write", help="Put WORKING.md back as the board has it.")] = False,
) -> None:
    """Print WORKING.md as the board has it now, or had it at a commit.

    Example: agentos render --at HEAD~10
    """
    store = context.store()
    if write:
        commit = pages.restore(store, store.person())
        context.say(f"WORKING.md is as the board has it{f'  ({commit[:9]})' if commit else ''}.")
        return
    typer.echo(pages.text(store, at), nl=False)

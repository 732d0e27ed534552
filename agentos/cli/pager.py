"""The pager: long output through `$PAGER`, on a terminal only, and never through a shell."""

import os
import shlex
import subprocess
from contextlib import suppress

import typer

from agentos.cli import context


def page(text: str) -> None:
    """Show a text that may have colours of ours in it; straight where there is no terminal or no pager."""
    argv = _command() if context.is_terminal() else []
    if not argv:
        typer.echo(text, nl=False)
        return
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, env={"LESS": "FRX", "LV": "-c"} | dict(os.environ)
        )
    except OSError:
        typer.echo(text, nl=False)
        return
    with suppress(BrokenPipeError, KeyboardInterrupt):
        process.communicate(text.encode(errors="replace"))
    process.wait()


def _command() -> list[str]:
    """The pager as a list of words; empty for none, or for one that can't be read as a command."""
    try:
        argv = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:
        return []
    return [] if argv == ["cat"] else argv

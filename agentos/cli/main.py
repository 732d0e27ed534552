"""The door of the command line: the commands by name, and every error as one line with its exit code."""

import errno
import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agentos import __version__
from agentos.cli import context
from agentos.cli.lazy import group
from agentos.errors import AgentOSError, NotFound, notes

COMMANDS = {
    "init": "agentos.cli.init",
    "import": "agentos.cli.imports",
    "tick": "agentos.cli.tick",
    "run": "agentos.cli.run",
    "cron": "agentos.cli.cron",
    "sync": "agentos.cli.sync",
    "board": "agentos.cli.board",
    "log": "agentos.cli.log",
    "undo": "agentos.cli.undo",
    "review": "agentos.cli.review",
    "approve": "agentos.cli.approve",
    "reject": "agentos.cli.reject",
    "pr": "agentos.cli.pr",
    "task": "agentos.cli.task",
    "agent": "agentos.cli.agent",
    "message": "agentos.cli.message",
    "doc": "agentos.cli.doc",
    "settle": "agentos.cli.settle",
    "inbox": "agentos.cli.inbox",
    "runs": "agentos.cli.runs",
    "doctor": "agentos.cli.doctor",
    "render": "agentos.cli.render",
    "schema": "agentos.cli.schema",
    "demo": "agentos.cli.demo",
}
"""Each command's module, imported only when the command is named; its `app` is the command."""


app = group(COMMANDS)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentos {__version__}")
        raise typer.Exit


@app.callback()
def agentos(
    directory: Annotated[
        Path | None, typer.Option("-C", "--directory", help="Work as if started in this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; fail instead.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A team of AI agents that lives in a git repository.

    Start with: agentos init --team full --runner simulated, agentos import ROADMAP.md, agentos tick
    """
    if directory is not None:
        if not directory.is_dir():
            raise NotFound(f"{directory} is no folder.")
        os.chdir(directory)
    context.SESSION.quiet = context.SESSION.quiet or quiet
    context.SESSION.no_input = no_input


_SAID = {
    errno.ENOSPC: "there is no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
}


def run() -> None:
    """Run the command line and leave with the exit code of DESIGN.md, section 10.

    A command is over before the garbage collector could be of use. Pydantic looks through every installed
    package for plug-ins when it is imported: 14 ms, for none of ours.
    """
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        sys.exit(app(standalone_mode=False))
    except AgentOSError as error:
        _say_before(error)
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        what = _SAID.get(error.errno or 0, error.strerror or str(error))
        where = f" ({error.filename})" if error.filename else ""
        _say_before(error)
        _fail(f"{what}{where}. Nothing was half written; try again when that is mended.", 1)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _fail(_usage(error), 2)


def _say_before(error: Exception) -> None:
    """What had happened by then, and stands."""
    for note in notes(error):
        context.say(note)


def _usage(error: Any) -> str:
    """What typer has against a command line, and whose help to read."""
    where = getattr(error, "ctx", None)
    command = where.command_path if where else "agentos"
    return f"{error.format_message() or 'One of its commands is missing.'} ({command} --help)"


def _fail(message: str, code: int) -> None:
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(context.clean(" ".join(message.split())), err=True)
    sys.exit(code)

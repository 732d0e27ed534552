"""agentos cron: have the system's cron start the ticks. The keeper of crontab."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentos.cli import context
from agentos.errors import AgentOSError, Invalid, NotFound

if TYPE_CHECKING:
    from agentos.store.repository import Store

app = typer.Typer(no_args_is_help=True, help="Cron: show, install, remove.")

PATHS = "/usr/local/bin:/usr/bin:/bin"
"""Where git, bubblewrap and their like are looked for; cron itself knows only the last two."""

Every = Annotated[int, typer.Option(min=1, max=30, help="Minutes between two ticks.")]


@app.command()
def install(every: Every = 5) -> None:
    """Have cron tick this board, in place of an earlier line of its own; your other lines stay as they are.

    A tick waits until hand edits were left alone for 30 s, since an autosave is half a sentence. Keys for it
    stand in ~/.config/agentos/env (mode 0600). The line ticks this checkout; for a clone of its own, which
    syncs with this one by their remote, install it in that clone.

    Example: agentos cron install --every 10
    """
    store = context.store()
    line = _line(store, every)
    table = _table()
    lines = [each for each in table if not _is_ours(each, store)]
    if table == [*lines, line]:
        context.say("Nothing changed.")
        return
    _write([*lines, line])
    typer.echo(line)


@app.command()
def show(every: Every = 5, as_json: context.Json = False) -> None:
    """Show the line that ticks this board, or the one that `install` would write.

    Example: agentos cron show
    """
    store = context.store()
    found = next((line for line in _table() if _is_ours(line, store)), None) if _program() else None
    line = found or _line(store, every)
    if as_json:
        context.print_json({"line": line, "installed": found is not None})
        return
    typer.echo(context.clean(line))
    if found is None:
        context.say("It is not installed; agentos cron install does.")


@app.command()
def remove() -> None:
    """Take this board's line out of cron.

    Example: agentos cron remove
    """
    store = context.store()
    table = _table()
    lines = [line for line in table if not _is_ours(line, store)]
    if lines == table:
        context.say("Nothing changed.")
        return
    _write(lines)
    context.say("Cron ticks this board no more.")


def _line(store: "Store", every: int) -> str:
    """One line of a crontab, in which `%` would begin a new one. Raises Invalid for a folder it can't say."""
    folder = str(_folder(store))
    if not folder.isprintable():
        raise Invalid(f"{context.clean(folder)!r} can't stand in a crontab; move the board elsewhere.")
    program = Path(shutil.which(sys.argv[0]) or Path(sys.executable).with_name("agentos")).absolute()
    command = [str(program), "-C", folder, "tick", "--quiet", "--settle", "30s"]
    text = f"PATH={shlex.quote(f'{program.parent}:{PATHS}')} {shlex.join(command)} {_mark(store)}"
    return f"*/{every} * * * * {text.replace('%', chr(92) + '%')}"


def _folder(store: "Store") -> Path:
    """The board's root, whichever folder below it this is."""
    root = store.root(store.refs())
    if root is None:
        raise NotFound(f"{store.branch} is checked out nowhere, so there is no folder for cron to start in.")
    return root.absolute()


def _mark(store: "Store") -> str:
    """How this board's line is known again; a comment to the shell that runs it."""
    return f"# agentos {_folder(store)}"


def _is_ours(line: str, store: "Store") -> bool:
    return line.endswith(_mark(store).replace("%", "\\%"))


def _program() -> str | None:
    return shutil.which("crontab")


def _run(*args: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    program = _program()
    if program is None:
        raise NotFound(
            "There is no crontab here; have another scheduler start `agentos tick --quiet --settle 30s` in "
            "this folder, or keep `agentos run` going."
        )
    return subprocess.run(
        [program, *args], input=text, capture_output=True, text=True, errors="surrogateescape", check=False
    )


def _table() -> list[str]:
    """The person's crontab. Raises AgentOSError where it can't be read, so that it is never overwritten."""
    done = _run("-l")
    if done.returncode and "no crontab" not in done.stderr.lower():
        raise AgentOSError(f"crontab -l left with {done.returncode}: {context.clean(done.stderr.strip())}")
    return [] if done.returncode else done.stdout.splitlines()


def _write(lines: list[str]) -> None:
    done = _run("-", text="".join(f"{line}\n" for line in lines))
    if done.returncode:
        raise AgentOSError(f"crontab left with {done.returncode}: {context.clean(done.stderr.strip())}")

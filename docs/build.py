"""The generated parts of docs/: the command reference, and the picture of a board."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from agentos.actions import setup
from agentos.cli.board import picture
from agentos.cli.main import app
from agentos.orchestrator import planning
from agentos.orchestrator import tick as ticking
from agentos.store import clone
from agentos.store.repository import Store
from agentos.store.transaction import transact

DOCS = Path(__file__).parent
ROADMAP = DOCS.parent / "agentos" / "examples" / "roadmap.md"

_INTRO = """\
# Commands

Data goes to stdout, messages to stderr. Everything that reads takes `--json`, and `--at` for the board of a
commit (`HEAD~10`) or of a time: `2026-02-02` (the end of that day, UTC), `2026-02-02T10:30Z`, `yesterday`,
`2 days ago`. A time means the last commit at or before it. A task may be named by any unique part: `12`,
`TASK-012`, `add-login`.

Exit codes: 0 done · 1 something failed · 2 usage · 3 not found · 4 the board or a file is invalid ·
5 changed meanwhile, or a conflict · 6 refused by a rule.

This page is made from the commands themselves by `make docs`.
"""


def reference() -> str:
    """The command reference, from the commands' own help."""
    group = typer.main.get_command(app)
    return _INTRO + "".join(_command(path, command) for path, command in _walk("agentos", group))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    names = command.list_commands(None) if hasattr(command, "list_commands") else []
    if not names or path == "agentos":
        yield path, command
    for name in names:
        yield from _walk(f"{path} {name}", command.get_command(None, name))


def _command(path: str, command: Any) -> str:
    """One command: what it does, its arguments and options, its example."""
    words = (command.help or "").strip()
    text, _, example = words.partition("Example: ")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    names = " ".join(p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments)
    lines = [f"\n## {path} {names}".rstrip(), "", " ".join(text.split("\n\n")[0].split())]
    lines += ["", *(" ".join(part.split()) for part in text.split("\n\n")[1:] if part.strip())]
    rows = [
        _row(p) for p in command.params if p.name not in ("help", "install_completion", "show_completion")
    ]
    lines += ["", "| | |", "| --- | --- |", *rows] if rows else []
    lines += ["", f"    {example.strip()}"] if example else []
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _row(parameter: Any) -> str:
    said = " ".join((parameter.help or "").split()).replace("|", "\\|")
    if parameter.param_type_name == "argument":
        return f"| `{parameter.name.upper()}` | {said} |"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return f"| {names} | {said} |"


def board_svg() -> str:
    """A board halfway through the example roadmap, as a terminal shows it."""
    with tempfile.TemporaryDirectory() as folder:
        store = _demo(Path(folder) / "demo")
        console = Console(record=True, width=140, force_terminal=True, file=open(os.devnull, "w"))  # noqa
        console.print("[dim]$[/] agentos board --limit 6")
        console.print(picture(store.board(), 6, 140))
        return console.export_svg(title="agentos board")


def _demo(place: Path) -> Store:
    """The example roadmap, some ticks in; a fixed clock, and one heartbeat at a time, make it repeatable."""
    env = dict(os.environ)
    clone.ensure_repository(place, env)
    with (place / ".git" / "config").open("a") as config:
        config.write("[user]\n\tname = Ada Lovelace\n\temail = ada@example.com\n")
    store, _ = clone.set_up(place, env, lambda: datetime(2026, 2, 2, 10, 30, tzinfo=UTC), "main")
    person = store.person()
    transact(store, lambda d: setup.init(d, "main", "full", "simulated", lambda path: None), person)
    plan = planning.read(ROADMAP.read_text())
    transact(store, lambda d: planning.apply(d, plan, "roadmap.md"), person)
    for _ in range(23):
        ticking.tick(store, ticking.Options(jobs=1))
    return store


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(reference())
    (DOCS / "board.svg").write_text(board_svg())

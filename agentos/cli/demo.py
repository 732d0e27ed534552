"""agentos demo: a real roadmap worked off by a simulated team, in a scratch repository."""

import os
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from agentos.actions import setup
from agentos.cli import context
from agentos.cli.board import picture
from agentos.errors import Refused
from agentos.model.words import Status
from agentos.model.working import by_status
from agentos.orchestrator import planning
from agentos.orchestrator import tick as ticking
from agentos.store import clone
from agentos.store.repository import Store
from agentos.store.transaction import transact

app = typer.Typer()

MOST_TICKS = 200
ROADMAP = "roadmap.md"


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(help="An empty or new folder; else a scratch one.")] = None,
) -> None:
    """Turn a roadmap of 28 work packages into tasks and let ten simulated agents work it off.

    Offline, without a key, in a scratch repository that stays for you to look at.

    Example: agentos demo /tmp/demo
    """
    place = folder or Path(tempfile.mkdtemp(prefix="agentos-demo-"))
    if place.exists() and any(place.iterdir()):
        raise Refused(f"{place} is not empty; the demo wants a new folder.")
    store = _prepare(place)
    out = context.console()
    out.rule("[bold]the roadmap as a board", style="bright_black")
    out.print(picture(store.board(), 8, out.width))
    ticks = _work_off(store)
    out.rule(f"[bold]after {ticks} ticks", style="bright_black")
    out.print(picture(store.board(), 8, out.width))
    for title, args in (
        ("WORKING.md", ["show", "HEAD:WORKING.md"]),
        ("git log", ["log", "--oneline", "-12"]),
    ):
        out.rule(f"[bold]{title}", style="bright_black")
        shown = store.git.text(*args).splitlines()
        out.print("\n".join(shown[:32]), markup=False, emoji=False, no_wrap=True, overflow="ellipsis")
    open_ones = store.board().open_tasks
    out.rule(style="bright_black")
    out.print(
        f"{len(store.board().tasks)} tasks, {len(open_ones)} open. Look around: cd {place}", markup=False
    )
    if open_ones:
        raise typer.Exit(1)


def _prepare(place: Path) -> Store:
    """A new repository with a full team and the roadmap imported."""
    clone.ensure_repository(place, os.environ)
    for key, value in (("user.name", "Demo"), ("user.email", "demo@example.com")):
        subprocess.run(["git", "-C", str(place), "config", key, value], check=True)
    (place / ROADMAP).write_bytes(resources.files("agentos").joinpath("examples", ROADMAP).read_bytes())
    store, _ = clone.set_up(place, os.environ, context.now, None)
    person = store.person()
    transact(
        store,
        lambda draft: setup.init(draft, store.branch, "full", "simulated", lambda path: None),
        person,
        subject="agentos init: a board",
    )
    plan = planning.read((place / ROADMAP).read_text())
    link = f"../../{ROADMAP}"
    transact(
        store,
        lambda draft: planning.apply(draft, plan, ROADMAP, link),
        person,
        subject=f"import: {len(plan.steps)} tasks from {ROADMAP}",
    )
    return store


def _work_off(store: Store) -> int:
    """Tick until nothing is left to do; says where everything is after each."""
    for count in range(1, MOST_TICKS + 1):
        report = ticking.tick(store, ticking.Options(jobs=10, settle=0))
        columns = by_status(store.board())
        line = "  ".join(f"{status.name.lower()} {len(columns[status]):>2}" for status in Status)
        context.say(f"tick {count:>2}: {line}   {len(report.beats)} heartbeats")
        if report.is_idle:
            return count
    return MOST_TICKS

"""agentos demo: a roadmap worked off by a simulated team, and a task that is really done."""

import os
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from agentos.actions import setup
from agentos.cli import context, workshop
from agentos.cli.board import picture
from agentos.errors import Refused
from agentos.model.words import Status
from agentos.model.working import by_status
from agentos.orchestrator import planning
from agentos.orchestrator import tick as ticking
from agentos.runtime import sandbox
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
    """Show a simulated team work off a roadmap, and an agent really build something, in scratch repositories.

    Offline and without a key: the agent's answers are a recording, its tools, tests, review and merge are
    real. With AGENTOS_MODEL set, such as openai/gpt-5-mini, that model thinks instead.

    Example: agentos demo /tmp/demo
    """
    place = folder or Path(tempfile.mkdtemp(prefix="agentos-demo-"))
    if place.exists() and any(place.iterdir()):
        raise Refused(f"{place} is not empty; the demo wants a new folder.")
    is_planned = _show_roadmap(place / "roadmap")
    is_built = _show_work(place / "workshop")
    _rule("")
    context.console().print(f"Look around: cd {place}/roadmap or {place}/workshop", markup=False)
    if not (is_planned and is_built):
        raise typer.Exit(1)


def _show_roadmap(place: Path) -> bool:
    """The first part: a roadmap as a board, worked off by agents that do nothing."""
    out = context.console()
    _rule("a roadmap of 28 work packages, as a board")
    store = _prepare(place)
    out.print(picture(store.board(), 8, out.width))
    ticks = _work_off(store)
    _rule(f"after {ticks} ticks of a simulated team")
    out.print(picture(store.board(), 8, out.width))
    _print("WORKING.md", store.git.text("show", "HEAD:WORKING.md").splitlines()[:24])
    _print("git log", store.git.text("log", "--oneline", "-8").splitlines())
    return not store.board().open_tasks


def _show_work(place: Path) -> bool:
    """The second part: one task that is done, checked, reviewed and merged."""
    model = os.environ.get("AGENTOS_MODEL") or None
    who = model or "a recording (its answers were written by hand; all that they do is real)"
    _rule("an agent at work")
    context.say(f"{workshop.TITLE}; thinking: {who}")
    try:
        name = sandbox.find("auto").name
    except Refused as why:
        context.say(f"Not shown, since nothing an agent does may run without a sandbox. {why}")
        return True
    context.say(f"Commands run under {name}, in a clone of their own.")
    store = workshop.prepare(place, model)
    if not workshop.work(store):
        return False
    _print("agentos review 1, then agentos approve 1", workshop.review(store)[:60])
    _print("git log", store.git.text("log", "--oneline", "--graph", "-8").splitlines())
    _print("ls", sorted(path.name for path in place.iterdir() if not path.name.startswith(".")))
    return not store.board().open_tasks


def _rule(title: str) -> None:
    context.console().rule(f"[bold]{title}" if title else "", style="bright_black")


def _print(title: str, lines: list[str]) -> None:
    _rule(title)
    from rich.text import Text

    out = context.console()
    out.print(Text.from_ansi("\n".join(lines)), no_wrap=True, overflow="ellipsis")


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
        report = ticking.tick(store, ticking.Options(jobs=10))
        columns = by_status(store.board())
        line = "  ".join(f"{status.name.lower()} {len(columns[status]):>2}" for status in Status)
        context.say(f"tick {count:>2}: {line}   {len(report.beats)} heartbeats")
        if report.is_idle:
            return count
    return MOST_TICKS

"""agentos init: set up a board, or a clone of one."""

import os
from pathlib import Path
from typing import Annotated

import typer

from agentos.actions import setup
from agentos.actions.teams import TEAMS
from agentos.cli import context
from agentos.errors import Usage
from agentos.model.rules import RUNNERS
from agentos.store import clone
from agentos.store.transaction import transact

app = typer.Typer()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the board shall be.")] = Path(),
    team: Annotated[str, typer.Option(help=f"The agents to begin with: {', '.join(TEAMS)}.")] = "core",
    runner: Annotated[
        str | None, typer.Option(help="How they think, the orchestrator aside, such as simulated.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="The branch the board lives on.")] = None,
    person: Annotated[str | None, typer.Option(help="What you are called on the board.")] = None,
) -> None:
    """Set up a board here: a new repository or an existing one.

    In a fresh clone of a board it sets up what is local to the clone.

    Example: agentos init --team full --runner simulated
    """
    if runner is not None and runner not in RUNNERS:
        raise Usage(f"There is no runner {runner!r}; there are {', '.join(RUNNERS)}.")
    if team not in TEAMS:
        raise Usage(f"There is no team {team!r}; there are {', '.join(TEAMS)}.")
    store, has_board = clone.set_up(folder, os.environ, context.now, branch, person)
    if has_board:
        context.say(f"This clone is set up for the board on {store.branch}. Next: agentos board")
        return
    root = store.git.work_tree / store.prefix if store.git.work_tree else folder
    on_branch = store.refs().worktree is not None

    def present(path: str) -> bytes | None:
        file = root / path
        return file.read_bytes() if on_branch and file.is_file() else None

    result = transact(
        store,
        lambda draft: setup.init(draft, store.branch, team, runner, present),
        store.person(),
        subject="agentos init: a board",
    )
    agents = len(store.board().agents)
    context.say(f"A board on {store.branch} with {agents} agents  ({(result.commit or '')[:9]})")
    if runner is None:
        context.say("No agent has a runner yet: set `runner:` under `agentos:` in agents/*.md.")
    context.say("Next: agentos import ROADMAP.md, or agentos task add TITLE; then agentos tick")

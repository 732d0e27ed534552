"""agentos demo: a roadmap worked off by a simulated team, and a task that is really done."""

import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import typer

from agentos.actions import setup
from agentos.cli import context, workshop
from agentos.cli.board import picture
from agentos.cli.show import COLOURS
from agentos.cli.steps import Steps
from agentos.cli.tick import MARKS
from agentos.errors import Refused
from agentos.model.activity import short
from agentos.model.board import Board
from agentos.model.rules import Assignment
from agentos.model.words import Status
from agentos.model.working import by_status
from agentos.orchestrator import planning
from agentos.orchestrator import tick as ticking
from agentos.runtime import runlog, sandbox
from agentos.store import clone
from agentos.store.repository import Store
from agentos.store.transaction import transact

if TYPE_CHECKING:
    from rich.console import Console

    from agentos.runtime.beats import Beat

app = typer.Typer()

MOST_TICKS = 200
ROADMAP = "roadmap.md"
MOST_LINES = 90
"""Lines of a page or a change that are shown."""


@app.command()
def demo(
    folder: Annotated[Path | None, typer.Argument(help="An empty or new folder; else a scratch one.")] = None,
    tool_mode: Annotated[
        Literal["native", "json"],
        typer.Option(help="How a live model calls its tools; json is for small ones."),
    ] = "native",
) -> None:
    """Show a simulated team work off a roadmap, and an agent really build something, in scratch repositories.

    Offline and without a key: the agent's answers are a recording, its tools, tests, review and merge are
    real. With AGENTOS_MODEL set, such as openai/gpt-5-mini, that model thinks instead; OPENAI_API_BASE is
    the address of a server of your own.

    Example: agentos demo /tmp/demo
    """
    if folder is not None and folder.exists() and not _is_empty(folder):
        raise Refused(f"{folder} is not an empty folder; name a new one, or none for a scratch one.")
    place = folder.absolute() if folder else Path(tempfile.mkdtemp(prefix="agentos-demo-"))
    try:
        is_done = _show(context.console(), place, tool_mode)
    except KeyboardInterrupt:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        left = f"what there is so far is in {folder}" if folder else "nothing is left of it"
        context.say(f"Stopped; {left}.")
        raise
    if not is_done:
        raise typer.Exit(1)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _show(out: "Console", place: Path, tool_mode: str) -> bool:
    """Both parts, and where to go on; gives whether all of it went well."""
    is_planned = _show_roadmap(out, place / "roadmap")
    is_built = _show_work(out, place / "workshop", tool_mode)
    _rule(out, "and now")
    _facts(
        out,
        ("Look around", f"cd {place}/workshop, then agentos log 1, agentos runs show technical, git log"),
        ("Your own", "cd into a repository, then agentos init --team full and agentos task add …"),
        *_way(),
        ("Let go", f"everything is in {place}, which is yours to delete"),
    )
    return is_planned and is_built


def _way() -> Iterator[tuple[str, str]]:
    """How a shell finds the command, where it does not yet."""
    if shutil.which("agentos") is None:
        yield (
            "By name",
            f'export PATH="{Path(sys.argv[0]).absolute().parent}:$PATH" has your shell find agentos',
        )


def _rule(out: "Console", title: str) -> None:
    out.print()
    out.rule(f"[bold]{title}", style="bright_black")


def _facts(out: "Console", *facts: tuple[str, str]) -> None:
    """Names and what is to be known of them, in two columns."""
    from rich.text import Text

    indent = max(len(name) for name, _ in facts) + 2
    for name, text in facts:
        for i, line in enumerate(textwrap.wrap(context.clean(text), max(20, out.width - indent))):
            out.print(Text.assemble((("" if i else name).ljust(indent), "bright_black"), line))


def _lines(out: "Console", lines: Sequence[str], more: str) -> None:
    """Lines with colours of ours in them, cut at the edge; where they are too many, what shows the rest."""
    from rich.text import Text

    left = len(lines) - MOST_LINES
    shown = [*lines[:MOST_LINES], *([f"… {left} lines more: {more}"] if left > 0 else [])]
    out.print(Text.from_ansi("\n".join(shown)), no_wrap=True, overflow="ellipsis")


# The roadmap --------------------------------------------------------------------------------------------


def _show_roadmap(out: "Console", place: Path) -> bool:
    """The first part: a roadmap as a board, worked off by agents that do nothing."""
    store = _prepare(place)
    board = store.board()
    tasks = len(board.tasks)
    _rule(out, f"1 · a roadmap becomes a board: {tasks} tasks, {len(board.agents)} agents")
    _facts(out, ("Simulated", "the agents do nothing, and say so; the board that they move is real, in git"))
    ticks, half = _work_off(out, store)
    board = store.board()
    _facts(out, ("Done", f"{len(board.tasks) - len(board.open_tasks)} of {tasks} tasks after {ticks} ticks"))
    _rule(out, f"the board half way: agentos board --at {half[:7]}")
    out.print(picture(store.board(half), 6, out.width))
    _rule(out, f"its page, at the same moment: git show {half[:7]}:WORKING.md")
    _lines(out, store.git.text("show", f"{half}:WORKING.md").splitlines()[:30], "")
    _rule(out, "each step is a commit: git log")
    _lines(out, store.git.text("log", "--oneline", "-6").splitlines(), "")
    return not board.open_tasks


def _prepare(place: Path) -> Store:
    """A new repository with a full team and the roadmap imported."""
    workshop.repository(place)
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
    subject = f"import: {len(plan.steps)} tasks from {ROADMAP}"
    transact(store, lambda draft: planning.apply(draft, plan, ROADMAP, link), person, subject=subject)
    return store


def _work_off(out: "Console", store: Store) -> tuple[int, str]:
    """Tick until nothing is left to do; gives how often, and the commit in which half of it was done."""
    half = store.commit_of("HEAD")
    with _moving(out) as told:
        for count in range(1, MOST_TICKS + 1):
            report = ticking.tick(store, ticking.Options(jobs=10))
            board = store.board()
            told(count, board, [beat.agent for beat in report.beats])
            if 2 * len(by_status(board)[Status.DONE]) <= len(board.tasks):
                half = report.commit or half
            if report.is_idle:
                break
    return count, half


@contextmanager
def _moving(out: "Console") -> Iterator[Callable[[int, Board, list[str]], None]]:
    """Told of the board after each tick: a picture that moves on a terminal, else a line."""
    if not out.is_terminal:
        yield lambda count, board, awake: out.print(_tick_line(count, board))
        return
    from rich.live import Live

    with Live(console=out, auto_refresh=False) as live:
        yield lambda count, board, awake: live.update(_bars(count, board, awake), refresh=True)


def _tick_line(count: int, board: Board) -> str:
    columns = by_status(board)
    return f"tick {count:>2}: " + "  ".join(f"{s.name.lower()} {len(columns[s]):>2}" for s in Status)


def _bars(count: int, board: Board, awake: list[str]) -> Any:
    """A bar a column of the board, and who was awake in the last tick."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for status, names in by_status(board).items():
        name = Text(status.name.replace("_", " "), style=f"bold {COLOURS[status]}")
        grid.add_row(name, Text(f"{len(names):>2}"), Text("█" * len(names), style=COLOURS[status]))
    who = ", ".join(sorted(set(awake))) or "the orchestrator"
    last = Text(
        f"tick {count}: {context.clean(who)}", style="bright_black", no_wrap=True, overflow="ellipsis"
    )
    return Group(grid, last)


# The work -----------------------------------------------------------------------------------------------


def _show_work(out: "Console", place: Path, tool_mode: str = "native") -> bool:
    """The second part: one task that is done, checked, reviewed and merged."""
    model = os.environ.get("AGENTOS_MODEL") or None
    _rule(out, "2 · an agent really builds something")
    try:
        name = sandbox.find("auto").name
    except Refused as why:
        _facts(out, ("Not shown", f"nothing an agent does may run without a sandbox. {why}"))
        return True
    _facts(
        out,
        ("The task", f"{workshop.TITLE}. {workshop.BODY}"),
        ("Its check", workshop.CHECK),
        ("Thinking", model or _recording()),
        ("Confined", f"commands run under {name}, in a clone, without network and keys"),
    )
    out.print()
    store = workshop.prepare(place, model, tool_mode)
    failed = _work(out, store)
    if failed:
        _tell_failure(out, model, failed)
        return False
    _rule(out, "what a person sees: agentos review 1")
    _lines(out, workshop.judge(store), f"cd {place}, then agentos review 1")
    _rule(out, "approved, and merged: agentos approve 1, git log --graph")
    _lines(out, store.git.text("log", "--oneline", "--graph", "-8").splitlines(), "")
    _rule(out, "what the commit of a run says: git log --grep Runner:")
    _lines(out, store.git.text("log", "-1", "--format=%h %s%n%n%b", "--grep=^Runner: [lr]").splitlines(), "")
    return not store.board().open_tasks


def _recording() -> str:
    """Whose answers are played, and what they took when they were given."""
    found = workshop.recorded()
    tokens = sum((found.usage or {}).get(f"{side}_tokens", 0) for side in ("input", "output"))
    took = f", which took {tokens:,} tokens then and nothing now" if tokens else ""
    return f"a recording of {found.model}: {len(found.replies)} answers{took}. All that they do here is real."


def _work(out: "Console", store: Store) -> str:
    """The ticks, with what their runs do as they do it; gives why it goes no further, if it does not."""
    steps = Steps(store.local, lambda text: out.print(text, no_wrap=True, overflow="ellipsis"))
    with _waiting(out) as wait, steps.followed():

        def told(news: Union[Assignment, "Beat", str]) -> None:
            steps.catch_up()
            if isinstance(news, Assignment):
                what = f"{news.agent} {'checks' if news.is_review else news.verb} {short(news.task)}"
                out.print(f"[bold]→[/] {what}")
                wait(what)
            elif not isinstance(news, str) and news.outcome != "passed":
                wait("")
                out.print(_end(store, news))

        return workshop.work(store, told)


@contextmanager
def _waiting(out: "Console") -> Iterator[Callable[[str], None]]:
    """Told what is waited for: a line with the seconds, below the rest, on a terminal only."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("[bright_black]{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:

        def wait(what: str) -> None:
            for name in progress.task_ids:
                progress.remove_task(name)
            if what:
                progress.add_task(what, total=None)

        yield wait


def _end(store: Store, beat: "Beat") -> Any:
    """What a run came to, and what it took."""
    from rich.text import Text

    usage = runlog.facts(store.local, beat.run).get("usage") or {}
    tokens = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
    cost = f", ${usage['usd']:.4f}" if usage.get("usd") is not None else ""
    style = "green" if beat.outcome == "settled" else "red"
    said = context.clean(f" {beat.agent}: {beat.text or short(beat.task)}")
    return Text.assemble(
        (MARKS[beat.outcome], f"bold {style}"),
        said,
        (f"  ({tokens:,} tokens{cost})" if tokens else "", "bright_black"),
    )


def _tell_failure(out: "Console", model: str | None, why: str) -> None:
    """Why the task was not done, and how to go on."""
    out.print()
    _facts(
        out,
        ("Not done", why),
        ("What it did", "agentos runs show technical, in the folder below"),
        *([("Without it", f"unset AGENTOS_MODEL plays a recording in place of {model}")] if model else []),
    )

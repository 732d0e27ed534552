"""agentos tick: one pass of the scheduler."""

import dataclasses
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Union

import typer

from agentos.cli import context, keys
from agentos.cli.beat import nursery
from agentos.errors import Conflict, Refused, Usage, notes
from agentos.model import times
from agentos.model.activity import short
from agentos.model.rules import Assignment
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.tick import Options, Report

if TYPE_CHECKING:
    from agentos.runtime.beats import Beat
    from agentos.store.repository import Store

app = typer.Typer()


Settle = Annotated[
    str,
    typer.Option(help="Commit hand edits left alone for so long: 30s, since an autosave is unfinished."),
]

MARKS = {"settled": "✓", "passed": "·", "failed": "✗", "lost": "✗"}
"""What a heartbeat came to, in one character."""


@app.command()
def tick(
    agent: Annotated[str | None, typer.Option(help="Wake only this agent.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Heartbeats side by side.")] = 4,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Whatever the schedule says.")] = False,
    settle: Settle = "0s",
    as_json: context.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """One pass of the scheduler: give out ready work and wake the agents that are due.

    Start it from cron; overlapping ticks are fine, the second leaves at once. It leaves with 1 where a run
    came to nothing, with 6 where nothing confines what an agent would run.

    Example: */5 * * * * cd ~/project && agentos tick --quiet
    """
    context.SESSION.quiet = context.SESSION.quiet or quiet
    found, access = keys.parted(os.environ)
    options = Options(
        agent=agent,
        jobs=jobs,
        force=force,
        keys=found,
        variables=os.environ,
        access=access,
    )
    store = settling(settle)
    if dry_run:
        steps, work = ticking.preview(store, options)
        _show_preview(steps, work, as_json)
        return
    try:
        with _progress(as_json) as told, nursery() as born:
            report = ticking.tick(store, dataclasses.replace(options, nursery=born), told)
    except Conflict as error:
        nothing_done(error)
        return
    except KeyboardInterrupt:
        if store.claims():
            leave(130)
        raise
    if as_json:
        context.print_json(dataclasses.asdict(report))
    else:
        _show(report)
    over(report)


def nothing_done(error: Conflict) -> None:
    """Say why a tick left everything to the next one, which is no failure: git is busy, or was faster."""
    for note in (*notes(error), f"Nothing done: {error}"):
        context.say(note)


def over(report: Report) -> None:
    """Leave as a tick does: with 6 where agents were not woken, with 1 where a run came to nothing."""
    if report.refused:
        raise Refused(report.refused)
    if report.has_failed:
        raise typer.Exit(1)


def leave(code: int) -> NoReturn:
    """Leave while heartbeats are at work: Python would wait for the threads that wait for them."""
    context.say("Left. What is at work settles by itself; agentos runs tail shows it.")
    sys.stderr.flush()
    os._exit(code)


def settling(text: str) -> "Store":
    """The board whose hand edits count once they were left alone for so long."""
    length = times.interval(text)
    if length is None:
        raise Usage(f"--settle is a length of time such as 30s or 2m, not {text!r}.")
    return dataclasses.replace(context.store(), quiet=length.total_seconds())


def _show_preview(steps: list[str], work: list[Assignment], as_json: bool) -> None:
    if as_json:
        context.print_json({"steps": steps, "wake": [dataclasses.asdict(item) for item in work]})
        return
    for step in steps:
        typer.echo(step)
    for item in work:
        doing = "review" if item.is_review else "answer on" if item.is_answer else "work on"
        typer.echo(f"{item.agent}: would {doing} {item.task}")
    if not steps and not work:
        context.say("Nothing would happen.")


def _show(report: Report) -> None:
    if report.dispatched:
        context.say(f"orchestrator: {report.dispatched}")
    for beat in report.beats:
        context.say(came_to(beat))
    for line in (*report.notes, *report.stuck):
        context.say(f"! {line}")
    if report.is_idle and not (report.notes or report.refused):
        context.say("Nothing to do.")


def came_to(beat: "Beat") -> str:
    """One heartbeat in one line: what it did; where that came to nothing, on which task, and what follows."""
    if beat.outcome == "settled" or not beat.text:
        return f"{MARKS[beat.outcome]} {beat.agent}: {beat.text or short(beat.task)}"
    follows = ""
    if beat.is_blocked:
        follows = f" It is blocked; once that is mended: agentos task unblock {short(beat.task)}"
    elif beat.again:
        rests = times.parse(beat.again) > context.now()
        follows = f" The next try is at {beat.again} or after." if rests else " The next tick tries again."
    said = f"{beat.text.rstrip('.')}." if follows else beat.text
    return f"{MARKS[beat.outcome]} {beat.agent} on {short(beat.task)}: {said}{follows}"


class _progress:
    """A line for each running heartbeat, on a terminal only."""

    def __init__(self, as_json: bool) -> None:
        self.shown = sys.stderr.isatty() and not as_json and not context.SESSION.quiet
        self.bars: dict[str, Any] = {}
        self.progress: Any = None

    def __enter__(self) -> ticking.OnBeat:
        return self.told if self.shown else lambda _: None

    def told(self, news: Union[Assignment, "Beat", str]) -> None:
        if isinstance(news, str):
            return
        if self.progress is None:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self.progress = Progress(*columns, console=context.console(stderr=True), transient=True)
            self.progress.start()
        if isinstance(news, Assignment):
            what = f"[bold]{news.agent}[/] {news.verb} {short(news.task)}"
            self.bars[news.agent] = self.progress.add_task(what, total=None)
        else:
            self.progress.update(self.bars[news.agent], visible=False)

    def __exit__(self, *_: object) -> None:
        if self.progress is not None:
            self.progress.stop()

"""agentos run: ticks in the foreground, at once when a file changes."""

import os
import signal
from typing import TYPE_CHECKING, Annotated, Union

import typer

from agentos.cli import context, keys
from agentos.cli.beat import nursery
from agentos.cli.tick import Settle, came_to, leave, nothing_done, over, settling
from agentos.errors import Conflict
from agentos.model.activity import short
from agentos.model.rules import Assignment
from agentos.orchestrator.running import Running
from agentos.orchestrator.tick import Options

if TYPE_CHECKING:
    from agentos.runtime.beats import Beat
    from agentos.runtime.nursery import Nursery

app = typer.Typer()


@app.command()
def run(
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Heartbeats side by side.")] = 4,
    once: Annotated[bool, typer.Option("--once", help="One tick, then leave as it does.")] = False,
    settle: Settle = "0s",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Keep ticking: when a file of the board changes, when an agent is due, and once a minute.

    Ctrl-C starts nothing new and waits for the heartbeats at work; a second one leaves them to end by
    themselves, which they do: each has a process of its own and settles. A run that comes to nothing is
    said, and tried again by rule.

    Example: agentos run --jobs 8
    """
    context.SESSION.quiet = context.SESSION.quiet or quiet
    with nursery() as born:
        born.open()
        running = Running(settling(settle), lambda: _options(jobs, born), _say)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if once:
                _once(running)
                return
            context.say("Watching the board; Ctrl-C ends it.")
            running.forever()
        except KeyboardInterrupt:
            _leave(running)


def _once(running: Running) -> None:
    try:
        report = running.once()
    except Conflict as error:
        nothing_done(error)
        return
    over(report)


def _options(jobs: int, born: "Nursery") -> Options:
    found, access = keys.parted(os.environ)
    return Options(jobs=jobs, keys=found, variables=os.environ, nursery=born, access=access)


def _leave(running: Running) -> None:
    """Wait for what is at work, unless the person won't."""
    try:
        if running.at_work:
            who = ", ".join(f"{item.agent} ({short(item.task)})" for item in running.at_work)
            context.say(f"Waiting for {who}; Ctrl-C again leaves them to end by themselves.")
        running.finish()
        context.say("Stopped.")
    except KeyboardInterrupt:
        leave(0)


def _say(news: Union[Assignment, "Beat", str]) -> None:
    """One line an event."""
    if isinstance(news, Assignment):
        line = f"→ {news.agent} {news.verb} {short(news.task)}"
    elif isinstance(news, str):
        line = f"· {news}"
    else:
        line = came_to(news)
    context.say(f"{context.now().astimezone():%H:%M:%S} {line}")

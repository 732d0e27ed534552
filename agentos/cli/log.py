"""agentos log: what happened on the board, or to one record field by field, read from git."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.model import times
from agentos.model.activity import Activity
from agentos.store import timeline
from agentos.store.timeline import Line

app = typer.Typer()

Row = tuple[Activity, tuple[str, str]]
"""A line: whose, and its text in two parts, the first of which says what it is about."""


@app.command()
def log(
    ref: Annotated[str | None, typer.Argument(help="Only this task, agent, or document.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """Show who did what, newest first; of one record, each change with the old and the new value.

    A task is followed through its earlier names and the archive, its messages included.

    Example: agentos log 12
    """
    store = context.store()
    found: list[Row]
    if ref:
        lines = timeline.of(store, ref, limit, at)
        found = [(line.activity, line.edit.parts) for line in lines]
        plain = [_plain_line(line) for line in lines]
    else:
        activities = store.activities(limit, at)
        found = [(activity, ("", activity.text)) for activity in activities]
        plain = [_plain(activity) for activity in activities]
    if as_json:
        context.print_json(plain)
    elif not found:
        context.say("Nothing has happened yet.")
    elif not context.is_terminal():
        context.rows((a.commit[:9], times.stamp(a.time), a.actor, "".join(text)) for a, text in found)
    else:
        _show(found)


def _show(found: Sequence[Row]) -> None:
    """A line each on a terminal, the days as headings."""
    from rich.text import Text

    out = context.console()
    width = max(len(a.actor) for a, _ in found)
    day = ""
    for a, (about, text) in found:
        local = a.time.astimezone()
        if f"{local:%a %d %b %Y}" != day:
            day = f"{local:%a %d %b %Y}"
            out.print(Text(day, style="bold"))
        line = Text.assemble(
            (f"  {local:%H:%M}  {a.commit[:9]}  ", "dim"),
            (f"{context.clean(a.actor):<{width}}  ", "blue"),
            (context.clean(about), "cyan"),
            context.clean(text),
        )
        out.print(line, no_wrap=True, overflow="ellipsis")


def _plain(activity: Activity) -> dict[str, Any]:
    """One activity as JSON shows it."""
    return {
        "commit": activity.commit,
        "time": times.stamp(activity.time),
        "actor": activity.actor,
        "text": activity.text,
        "subject": activity.subject,
        "events": [str(event) for event in activity.events],
        "trailers": dict(activity.trailers),
    }


def _plain_line(line: Line) -> dict[str, Any]:
    """One change of one record as JSON shows it."""
    activity, edit = line.activity, line.edit
    return {
        "commit": activity.commit,
        "time": times.stamp(activity.time),
        "actor": activity.actor,
        "path": line.path,
        "what": edit.what,
        "name": edit.name,
        "old": edit.old,
        "new": edit.new,
        "text": edit.text,
        "subject": activity.subject,
    }

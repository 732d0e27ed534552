"""agentos log: the activity feed, read from git."""

from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.model import times
from agentos.model.activity import Activity

app = typer.Typer()


@app.command()
def log(
    task: Annotated[str | None, typer.Argument(help="Only what happened to this task.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """Show who did what, newest first.

    Example: agentos log 12
    """
    store = context.store()
    paths = []
    if task:
        found_task = store.board(at).task(task)
        folder = f"{(found_task.number or 0) // 100:02d}xx"
        name = found_task.id
        paths = [f"board/tasks/{name}.md", f"board/archive/{folder}/{name}.md", f"board/messages/{name}"]
    found = store.activities(limit, at, paths)
    if as_json:
        context.print_json([_plain(activity) for activity in found])
        return
    if not found:
        context.say("Nothing has happened yet.")
        return
    if not context.is_terminal():
        context.rows((a.commit[:9], times.stamp(a.time), a.actor, a.text) for a in found)
        return
    from rich.text import Text

    out = context.console()
    width = max(len(a.actor) for a in found)
    day = ""
    for a in found:
        local = a.time.astimezone()
        if f"{local:%a %d %b %Y}" != day:
            day = f"{local:%a %d %b %Y}"
            out.print(Text(day, style="bold"))
        line = Text.assemble(
            (f"  {local:%H:%M}  ", "dim"),
            (f"{context.clean(a.actor):<{width}}  ", "blue"),
            context.clean(a.text),
            (f"  {a.commit[:9]}", "dim"),
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

"""agentos runs list: the runs of this clone, newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from agentos.cli import context
from agentos.cli.runs import ref
from agentos.model import times
from agentos.model.activity import short
from agentos.runtime import runlog
from agentos.store import history

app = typer.Typer()

_AT_THE_END = ("outcome", "text", "kind", "end", "usage", "refused", "saved", "handed")
"""What is known of a run only when it is over."""

LAST, LEAST = 6, 10
"""The column of what came of a run, and the room that it is shown in at the least: the others go first."""


@app.command()
def list_(
    agent: Annotated[str | None, typer.Option(help="Only this agent's.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task's.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 20,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """List the runs that this clone has a log of, newest first.

    A log is kept for 30 days; what a run cost and came to stands in history for good.

    Example: agentos runs list --agent technical
    """
    store = context.store()
    name = store.board(at).task(task).id if task else None
    names = sorted(runlog.names_in(runlog.folder(store.local)), reverse=True)
    everything = ({"run": run} | runlog.facts(store.local, run) for run in names)
    if at:
        moment = times.when(at, store.clock()) or history.one(store.git, store.commit_of(at)).time
        everything = (_then(each, moment) for each in everything if _began(each, moment))
    found = [
        each
        for each in everything
        if (agent is None or each.get("agent") == agent) and (name is None or each.get("task") == name)
    ]
    shown = found[:limit] if limit else found
    if as_json:
        context.print_json(shown)
        return
    if not shown:
        context.say("No such runs; agentos runs list shows all." if names else ref.NONE)
        return
    if not context.is_terminal():
        context.rows(_cells(each) for each in shown)
        return
    _table(shown)


def _began(run: Mapping[str, Any], moment: datetime) -> bool:
    """Whether a run had begun, as its name says."""
    return str(run["run"])[:15] <= times.compact(moment)[:15]


def _then(run: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """A run as far as it was known then: one that ended later was at work."""
    if not times.is_time(end := str(run.get("end", ""))) or times.parse(end) <= moment:
        return run
    return {key: value for key, value in run.items() if key not in _AT_THE_END}


def _cells(run: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    told = run.get("usage")
    usage = told if isinstance(told, dict) else {}
    tokens = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
    cost = f"${usage['usd']:.4f}" if usage.get("usd") is not None else ""
    words = [run["run"], run.get("agent"), short(str(run.get("task", ""))), run.get("outcome") or "running"]
    name, agent, task, outcome = (str(word or "") for word in words)
    return name, agent, task, outcome, f"{tokens:,}" if tokens else "", cost


def _table(shown: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    lines = [[*map(context.clean, _cells(run)), context.clean(str(run.get("text", "")))] for run in shown]
    names = ("RUN", "AGENT", "TASK", "OUTCOME", "TOKENS", "COST", "WHAT")
    columns = list(zip(names, *lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    kept = [i for i, (_, *cells) in enumerate(columns) if any(cells)]
    out = context.console()
    room = out.width - sum(widths[i] + 2 for i in kept if i < LAST)
    widths[LAST] = min(widths[LAST], room)
    kept = [i for i in kept if i < LAST or room >= LEAST]
    for i in kept:
        table.add_column(names[i], no_wrap=True, overflow="ellipsis", width=widths[i])
    colours = {"settled": "green", "failed": "red", "running": "yellow"}
    for line in lines:
        styles = ("dim", "blue", "", colours.get(line[3], ""), "", "", "dim")
        table.add_row(*(Text(line[i], style=styles[i]) for i in kept))
    out.print(table)

"""agentos task explain: why a task stands where it does."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from agentos.cli import context
from agentos.cli.task.ref import Ref
from agentos.model import times

if TYPE_CHECKING:
    from agentos.model.explaining import Explanation
    from agentos.model.records import Task
    from agentos.store.repository import Store
    from agentos.store.runs import Run

app = typer.Typer()


@app.command()
def explain(ref: Ref, as_json: context.Json = False) -> None:
    """Say what moves a task next, how it ranks and why, who could do it, and what its last runs came to.

    Example: agentos task explain 12
    """
    from agentos.model import explaining
    from agentos.runtime import attempts
    from agentos.store import runs

    store = context.store()
    board = store.board()
    task = board.task(ref)
    history, now = runs.of_task(store, task), store.clock()
    found = explaining.explain(board, task, now, attempts.resting(history, now))
    present = _present(store, task, history)
    if as_json:
        context.print_json({"id": task.id} | dataclasses.asdict(found) | present)
        return
    for name, value in _lines(found, present):
        typer.echo(f"{name:<11}{context.clean(value)}")


def _present(store: "Store", task: "Task", history: "Sequence[Run]") -> dict[str, Any]:
    """Who is at work on it, and its last runs that came to nothing."""
    claim = next((each for each in store.claims() if each.task == task.id), None)
    failed = [run for run in history if run.failure][:3]
    return {
        "run": {"agent": claim.agent, "run": claim.run, "until": claim.expires} if claim else None,
        "failed": [
            {
                "agent": run.agent,
                "time": times.stamp(run.time),
                "kind": run.failure,
                "again": times.stamp(run.retry_at) if run.retry_at else None,
            }
            for run in failed
        ],
    }


def _lines(found: "Explanation", present: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("next", found.next)]
    if present["run"]:
        lines.append(("at work", f"{present['run']['agent']} ({present['run']['run']})"))
    if found.points is not None:
        points = " + ".join(f"{value:.0f} {name}" for name, value in found.points.items() if value)
        lines.append(("rank", f"{found.place} of {found.open} open: {points or '0'}"))
    if found.chosen:
        lines.append(("goes to", ", ".join(found.chosen)))
    lines += [(f"  {name}", f" {why}") for name, why in (found.team or {}).items()]
    for run in present["failed"]:
        again = f", again at {run['again']} or after" if run["again"] else ""
        lines.append(("failed", f"{run['time']} {run['agent']}: {run['kind']}{again}"))
    return lines

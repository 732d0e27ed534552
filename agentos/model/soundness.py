"""Soundness: what the records of a board say of each other that can't be."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from agentos.model import rules
from agentos.model.board import Board, Problem
from agentos.model.briefs import Brief
from agentos.model.records import Task
from agentos.model.words import Status, is_archived

Links = Callable[[str], Sequence[str]]


def problems(board: Board) -> Iterator[Problem]:
    """What the records say of each other that can't be: unknown references and cycles, unknown runners.

    The line is 0: the caller that has the text finds where the field stands (`Problem.field`).
    """
    known = board.tasks.rows.keys() | board.held
    members = board.agents.rows.keys() | board.config.people.keys()
    path = board.tasks.path
    for task, brief in board.briefs.items():
        is_closed = brief.status == Status.DONE
        if is_closed and is_archived(path(task)):
            continue
        for name in brief.depends_on:
            if name not in known:
                yield Problem(path(task), 0, f"depends on {name!r}, which is no task", False, "depends_on")
        if brief.parent and brief.parent not in known:
            yield Problem(
                path(task), 0, f"has the parent {brief.parent!r}, which is no task", False, "parent"
            )
        for name in () if is_closed else brief.assignees:
            if name not in members:
                reason = f"is assigned to {name!r}, who is no agent and no person of the config"
                yield Problem(path(task), 0, reason, False, "assignees")
    for agent in board.agents.values():
        runner = agent.agentos.runner
        if runner is not None and runner not in rules.RUNNERS:
            reason = f"has the unknown runner {runner!r}; there are {', '.join(rules.RUNNERS)}"
            yield Problem(agent.path, 0, reason, False, "agentos.runner")
    for field in ("depends_on", "parent"):
        loop = cycle(board, field)
        if loop:
            yield Problem(board.tasks[loop[0]].path, 0, f"is in a cycle: {' → '.join(loop)}", False, field)


def cycle(board: Board, field: str, start: str | None = None) -> list[str] | None:
    """A cycle along `depends_on` or `parent`, its first name repeated at the end, or None."""
    links = _links(board.tasks if start else board.briefs, field)
    done: set[str] = set()
    for root in [start] if start else _ascending(board, field):
        if root in done:
            continue
        path = {root: iter(links(root))}
        while path:
            name = next(reversed(path))
            for link in path[name]:
                if link in path:
                    names = list(path)
                    return [*names[names.index(link) :], link]
                if link not in done:
                    path[link] = iter(links(link))
                    break
            else:
                done.add(name)
                del path[name]
    return None


def _links(tasks: Mapping[str, Task] | Mapping[str, Brief], field: str) -> Links:
    """Where a task leads by this field; one that does not exist leads nowhere."""

    def depends_on(name: str) -> Sequence[str]:
        task = tasks.get(name)
        return task.depends_on if task else ()

    def parent(name: str) -> Sequence[str]:
        task = tasks.get(name)
        return (task.parent,) if task and task.parent else ()

    return depends_on if field == "depends_on" else parent


def _ascending(board: Board, field: str) -> list[str]:
    """The tasks that lead to one whose name is not before theirs, sorted: every cycle has one of them."""
    briefs = board.briefs.items()
    if field == "depends_on":
        return sorted(name for name, brief in briefs if brief.depends_on and max(brief.depends_on) >= name)
    return sorted(name for name, brief in briefs if brief.parent and brief.parent >= name)

"""Soundness: what the records of a board say of each other that can't be."""

from collections.abc import Iterator, Sequence

from agentos.model.board import Board, Problem
from agentos.model.words import Status


def problems(board: Board) -> Iterator[Problem]:
    """What the records say of each other that can't be: unknown references and cycles.

    The line is 0: the caller that has the text finds where the field stands (`Problem.field`).
    """
    known = board.tasks.rows.keys() | board.held
    members = board.agents.rows.keys() | board.config.people.keys()
    for task in board.tasks.values():
        is_closed = task.status is Status.DONE
        if is_closed and task.is_archived:
            continue
        for name in task.depends_on:
            if name not in known:
                yield Problem(task.path, 0, f"depends on {name!r}, which is no task", False, "depends_on")
        if task.parent and task.parent not in known:
            yield Problem(task.path, 0, f"has the parent {task.parent!r}, which is no task", False, "parent")
        for name in () if is_closed else task.assignees:
            if name not in members:
                reason = f"is assigned to {name!r}, who is no agent and no person of the config"
                yield Problem(task.path, 0, reason, False, "assignees")
    for field in ("depends_on", "parent"):
        loop = cycle(board, field)
        if loop:
            yield Problem(board.tasks[loop[0]].path, 0, f"is in a cycle: {' → '.join(loop)}", False, field)


def cycle(board: Board, field: str, start: str | None = None) -> list[str] | None:
    """A cycle along `depends_on` or `parent`, its first name repeated at the end, or None."""
    graph = _graph(board, field)
    done: set[str] = set()
    for root in [start] if start else sorted(graph):
        if root in done or root not in graph:
            continue
        path = {root: iter(graph[root])}
        while path:
            name = next(reversed(path))
            for link in path[name]:
                if link in path:
                    names = list(path)
                    return [*names[names.index(link) :], link]
                if link in graph and link not in done:
                    path[link] = iter(graph[link])
                    break
            else:
                done.add(name)
                del path[name]
    return None


def _graph(board: Board, field: str) -> dict[str, Sequence[str]]:
    """Where each task that refers to others by this field leads."""
    if field == "depends_on":
        return {task.id: task.depends_on for task in board.tasks.values() if task.depends_on}
    return {task.id: (task.parent,) for task in board.tasks.values() if task.parent}

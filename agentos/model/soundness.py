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
    state: dict[str, int] = {}
    linked = sorted(task.id for task in board.tasks.values() if getattr(task, field))
    for root in [start] if start else linked:
        if root in state:
            continue
        path: list[tuple[str, Iterator[str]]] = [(root, iter(_links(board, root, field)))]
        state[root] = 1
        while path:
            name, links = path[-1]
            for link in links:
                if state.get(link) == 1:
                    names = [step for step, _ in path]
                    return [*names[names.index(link) :], link]
                if link not in state:
                    state[link] = 1
                    path.append((link, iter(_links(board, link, field))))
                    break
            else:
                state[name] = 2
                path.pop()
    return None


def _links(board: Board, name: str, field: str) -> Sequence[str]:
    task = board.tasks.get(name)
    if task is None:
        return ()
    return task.depends_on if field == "depends_on" else (task.parent,) if task.parent else ()

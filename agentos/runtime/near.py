"""Near: the records that a workspace has, those of its task and of the tasks that this one is tied to."""

import re
from collections.abc import Callable, Collection
from itertools import chain

from agentos.model.board import Board
from agentos.model.records import Task

ALL = ()
"""The tasks whose records are near where all are."""


def tasks(board: Board, task: Task) -> tuple[str, ...]:
    """A task, those that it is a part of, its own parts, what it waits for, and what waits for it."""
    found: dict[str, None] = {task.id: None}
    above = task.parent
    while above and above not in found and above in board.tasks:
        found[above] = None
        above = board.tasks[above].parent
    tied = (task.depends_on, *(group.names.get(task.id, ()) for group in (board.children, board.dependents)))
    return tuple(found | dict.fromkeys(name for name in chain(*tied) if name in board.tasks))


def patterns(prefix: str, names: Collection[str]) -> str:
    """What of a repository is checked out, as `info/sparse-checkout` says it: all but the far records."""
    top = "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", prefix) + "board"
    lines = ["/*", *(f"!{line}" for line in _lines(top, "TASK-*"))]
    return "".join(f"{line}\n" for line in (*lines, *(line for name in names for line in _lines(top, name))))


def _lines(top: str, name: str) -> tuple[str, ...]:
    return f"{top}/tasks/{name}.md", f"{top}/archive/*/{name}.md", f"{top}/messages/{name}/"


def is_far(prefix: str, names: Collection[str]) -> Callable[[str], bool]:
    """Whether a path is left out by these patterns."""
    top = re.escape(prefix) + "board/"
    record = re.compile(rf"{top}(?:tasks|archive/[^/]+)/(TASK-[^/]*)\.md|{top}messages/(TASK-[^/]*)/.*", re.S)

    def asked(path: str) -> bool:
        found = record.fullmatch(path)
        return found is not None and (found[1] or found[2]) not in names

    return asked

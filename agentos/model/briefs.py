"""Briefs: the few fields of a task by which ten thousand are looked at without reading their records."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentos.model.records import Task


class Brief(NamedTuple):
    """What is asked of every task of a board: a pure function of its file's content."""

    status: str
    priority: int
    assignees: tuple[str, ...]
    parent: str | None
    depends_on: tuple[str, ...]
    is_blocked: bool
    due: str | None
    created: str | None

    @classmethod
    def of(cls, task: "Task") -> "Brief":
        """What a task's record says."""
        return cls(
            task.status.value, task.priority, task.assignees, task.parent, task.depends_on,
            bool(task.blocked), task.due, task.created,
        )  # fmt: skip

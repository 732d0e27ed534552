"""What follows from a change, whoever made it: the one function that every write goes through."""

from agentos.model.board import Board
from agentos.model.changes import differing
from agentos.model.records import Task
from agentos.model.words import Resolution, Status


def consequences(before: Board, after: Board) -> list[Task]:
    """The tasks as they must be, beyond what `after` already says, because of what differs from `before`.

    Resolutions follow the status, the status follows the assignees, and a parent follows its children
    (all done: review; one reopened: in progress again). Applied once, it is complete: nothing follows from
    what it returns.
    """
    touched = differing(before.tasks, after.tasks)
    settled: dict[str, Task] = {}
    parents: list[str] = []
    for name in touched:
        old = before.tasks.get(name)
        new = after.tasks.get(name)
        parents += [task.parent for task in (old, new) if task and task.parent]
        if new is not None:
            follows = _settle(old, new)
            if follows != new:
                settled[name] = follows
    for name in touched:
        if name in after.children and name not in parents:
            parents.append(name)
    _roll_up(after, parents, settled)
    return list(settled.values())


def _settle(old: Task | None, new: Task) -> Task:
    """One task with its fields in agreement."""
    changes: dict[str, object] = {}
    if new.status is Status.DONE:
        if new.resolution is None:
            changes["resolution"] = Resolution.COMPLETED
        if new.blocked:
            changes["blocked"] = None
    elif new.resolution is not None:
        changes["resolution"] = None
    if new.status is Status.INBOX and new.assignees:
        if old is not None and old.status is not Status.INBOX and old.assignees == new.assignees:
            changes["assignees"] = None
        else:
            changes["status"] = Status.ASSIGNED
    elif new.status is Status.ASSIGNED and not new.assignees and old is not None and old.assignees:
        changes["status"] = Status.INBOX
    return new.replace(**changes) if changes else new


def _roll_up(board: Board, parents: list[str], settled: dict[str, Task]) -> None:
    """Bring each parent, and its parents in turn, to what its children say."""
    seen: set[str] = set()
    while parents:
        name = parents.pop(0)
        if name in seen or name not in board.tasks:
            continue
        seen.add(name)
        parent = settled.get(name, board.tasks[name])
        children = [settled.get(task.id, task) for task in board.children.get(name, ())]
        status = _rolled(parent, children)
        if status is not parent.status:
            settled[name] = parent.replace(status=status, resolution=None)
        if parent.parent:
            parents.append(parent.parent)


def _rolled(parent: Task, children: list[Task]) -> Status:
    """Where a parent stands, given its children."""
    if not children:
        return parent.status
    if all(not task.is_open for task in children):
        return parent.status if parent.status in (Status.REVIEW, Status.DONE) else Status.REVIEW
    if parent.status in (Status.REVIEW, Status.DONE):
        return Status.IN_PROGRESS
    moving = any(task.status not in (Status.INBOX, Status.ASSIGNED) for task in children)
    waiting = parent.status in (Status.INBOX, Status.ASSIGNED)
    return Status.IN_PROGRESS if moving and waiting else parent.status

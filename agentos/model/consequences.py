"""What follows from a change, whoever made it: the one function that every write goes through."""

from collections.abc import Iterator

from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Resolution, Status

WAITS = "waits for an answer from"
"""How the reason of a task begins that is blocked by a question; the answer takes it away."""


def consequences(before: Board, after: Board) -> list[Task]:
    """The tasks as they must be, beyond what `after` already says, because of what differs from `before`.

    A task that waits for an answer goes on with the first word of the one who was asked; what an agent
    reports of its run is none. Resolutions follow
    the status, the status follows the assignees, and a parent follows its children (all done: review; one
    reopened: in progress again). Applied once, it is complete: nothing follows from what it returns.
    """
    touched = sorted(before.tasks.differing(after.tasks))
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
        if name in after.children and old is None:
            parents.append(name)
    for task in _answered(before, after):
        settled[task.id] = settled.get(task.id, task).replace(blocked=None)
    moved = {name for name in touched if _is_moved(before.tasks.get(name), after.tasks.get(name))}
    _roll_up(after, [name for name in parents if name not in moved], settled)
    return list(settled.values())


def _answered(before: Board, after: Board) -> Iterator[Task]:
    """The tasks on which somebody has spoken whose answer they wait for."""
    for path in sorted(before.messages.differing(after.messages)):
        if path in before.messages or path not in after.messages:
            continue
        message = after.messages[path]
        task = after.tasks.get(message.task)
        is_answer = message.type != "status_update"
        if is_answer and task is not None and task.blocked == f"{WAITS} {message.author}":
            yield task


def _is_moved(old: Task | None, new: Task | None) -> bool:
    """Whether somebody moved the task: then it stays where they put it, whatever its children say."""
    return old is not None and new is not None and old.status is not new.status


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
    elif new.status in (Status.ASSIGNED, Status.IN_PROGRESS) and _is_dropped(old, new):
        changes["status"] = Status.INBOX
    return new.replace(**changes) if changes else new


def _is_dropped(old: Task | None, new: Task) -> bool:
    """Whether a task lost its last assignee where it stands."""
    return old is not None and bool(old.assignees) and not new.assignees and old.status is new.status


def _roll_up(board: Board, parents: list[str], settled: dict[str, Task]) -> None:
    """Bring each parent, and its parents in turn, to what its children say."""
    for _ in range(len(board.tasks)):
        if not parents:
            return
        above = []
        for name in dict.fromkeys(parents):
            parent = settled.get(name) or board.tasks.get(name)
            if parent is None:
                continue
            children = [settled.get(task.id, task) for task in board.children.get(name, ())]
            status = _rolled(parent, children)
            if status is not parent.status:
                settled[name] = parent.replace(status=status, resolution=None)
                above += [parent.parent] if parent.parent else []
        parents = above


def _rolled(parent: Task, children: list[Task]) -> Status:
    """Where a parent stands, given its children."""
    if not children or parent.resolution in (Resolution.CANCELLED, Resolution.DUPLICATE):
        return parent.status
    if all(not task.is_open for task in children):
        return parent.status if parent.status in (Status.REVIEW, Status.DONE) else Status.REVIEW
    if parent.status in (Status.REVIEW, Status.DONE):
        return Status.IN_PROGRESS
    moving = any(task.status not in (Status.INBOX, Status.ASSIGNED) for task in children)
    waiting = parent.status in (Status.INBOX, Status.ASSIGNED)
    return Status.IN_PROGRESS if moving and waiting else parent.status

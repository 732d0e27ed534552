"""Permission: what one run may propose, from its role, its task and what it touches; pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from agentos.model import ids, protected, rules
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.runtime import outbox as o
from agentos.runtime import secrets

MOST: dict[type, int] = {
    o.CreateTask: 20, o.UpdateTask: 20, o.Assign: 20, o.Comment: 20, o.Ask: 3, o.WriteDocument: 10,
    o.Remember: 10, o.ProposeAgent: 2, o.Block: 1, o.Submit: 1, o.Approve: 1, o.SendBack: 1, o.Tick: 100,
}  # fmt: skip
"""How many of each one run may propose."""

TEMPLATES = "docs/templates/"

CHECKS = "checks"
"""The runner that sees for itself, and so may tick criteria."""


def why_not(
    board: Board, task: Task, agent: Agent, action: o.Action, is_review: bool, known: Sequence[str] = ()
) -> str | None:
    """Why this agent, at work on this task, may not do that; None where it may. `known` are its secrets."""
    found = [kind for text in texts(action) for kind in secrets.find(text, known)]
    if found:
        return f"it holds what looks like a secret ({found[0]})"
    match action:
        case o.Approve() | o.SendBack():
            if not is_review or not (rules.may_review(agent, task) or agent.agentos.runner == CHECKS):
                return "only a reviewer who is not its author may"
        case o.Tick():
            return None if agent.agentos.runner == CHECKS else "criteria are ticked by what was seen to pass"
        case o.Submit() | o.Block() | o.UpdateTask() if is_review:
            return "the task is somebody else's; you are here to review it"
        case o.CreateTask(parent=parent):
            near = {"", task.id, task.parent}
            if parent not in near and not is_part(board, parent, task.id):
                return f"{parent} is neither your task nor a part of it"
        case o.UpdateTask(task=name):
            if name not in ("", task.id) and not is_part(board, name, task.id):
                return f"{name} is neither your task nor a part of it"
        case o.Assign(task=name):
            if not is_part(board, name, task.id):
                return f"{name or task.id} is no part of your task; only those may be given to others"
        case o.Comment(task=name):
            if name and not is_near(board, task, agent, name):
                return f"{name} has nothing to do with your task, and nobody mentions you there"
        case o.WriteDocument(path=path):
            return _why_not_write(board, task, agent, path)
    return None


def in_full(board: Board, action: o.Action) -> o.Action:
    """The action with the whole names of the tasks it is about, of which it may have any unique part.

    Raises NotFound, and Usage with the candidates where there are several.
    """
    names = board.tasks.rows.keys() | board.held
    match action:
        case o.UpdateTask(task=ref) | o.Assign(task=ref) | o.Comment(task=ref) if ref:
            return replace(action, task=ids.resolve(ref, names))
        case o.CreateTask(parent=ref) if ref:
            return replace(action, parent=ids.resolve(ref, names))
    return action


def beyond_an_answer(action: o.Action) -> str | None:
    """Why somebody who was only asked may not do that; None where they may."""
    is_said = isinstance(action, o.Comment | o.Remember | o.ProposeAgent)
    return None if is_said else "you are here to answer a question; say it in a comment"


def _why_not_write(board: Board, task: Task, agent: Agent, path: str) -> str | None:
    if path.casefold().startswith(TEMPLATES):
        return "templates are a person's"
    if protected.why_left_out(path, "") or protected.steers(path):
        return (
            f"{path} would steer people's tools; hand such a file in with your work, for a person to look at"
        )
    like = next((other for other in board.documents if protected.fold(other) == protected.fold(path)), path)
    if like != path:
        return f"{path} is {like} to some disks; write to that, or take another name"
    document = board.documents.get(path)
    if document is not None and document.created_by != agent.name and document.task != task.id:
        return f"{path} is {document.created_by or 'somebody'}'s; comment on it instead"
    return None


def is_part(board: Board, name: str, of: str) -> bool:
    """Whether a task is a part of another one, or of one of its parts."""
    seen: set[str] = set()
    while name in board.tasks and name not in seen:
        seen.add(name)
        name = board.tasks[name].parent or ""
        if name == of:
            return True
    return False


def is_near(board: Board, task: Task, agent: Agent, name: str) -> bool:
    """Whether an agent at work on `task` may speak on another one: kin, neighbours, or where it is named."""
    other = board.tasks.get(name)
    if other is None:
        return False
    waiting = (each.id for each in board.dependents.get(task.id, ()))
    kin = {task.id, task.parent, *task.depends_on, *waiting}
    is_kin = name in kin or (task.parent is not None and other.parent == task.parent)
    if is_kin or is_part(board, name, task.id) or agent.name in (other.created_by, *other.assignees):
        return True
    return any(agent.name in message.mentions for message in board.messages_of(name))


def beyond(actions: Iterable[o.Action]) -> Iterator[tuple[o.Action, str | None]]:
    """Each action, with a reason where there are more of its kind than one run may propose."""
    count: Counter[type] = Counter()
    for action in actions:
        kind = type(action)
        count[kind] += 1
        yield action, f"one run may do that {MOST[kind]} times" if count[kind] > MOST[kind] else None


def texts(value: Any) -> Iterator[str]:
    """Every text in an action."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))

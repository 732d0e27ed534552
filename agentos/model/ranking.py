"""Ranking: how important a task is, beside the others of its board; pure."""

import heapq
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from agentos.model import times
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Status, task_number


def score(board: Board, task: Task, now: datetime) -> float:
    """How important a task is; higher first.

    100 for each step of priority above 5; up to 100 for a due date (all of it once due, falling to 0 at
    14 days ahead); 10 for each task that waits on it, at most 100; 1 for each day of age, at most 30.
    """
    return sum(parts(board, task, now).values())


def parts(board: Board, task: Task, now: datetime) -> dict[str, float]:
    """What the score of a task is made of, in the order of the rule."""
    names = ("priority", "due", "waited for", "age")
    found = _parts(board, task.id, task.priority, task.due, task.created, now)
    return dict(zip(names, found, strict=True))


def _parts(
    board: Board, name: str, priority: int, due: str | None, created: str | None, now: datetime
) -> tuple[float, float, float, float]:
    soon = waited = age = 0.0
    if due:
        left = (times.parse(due) - now) / timedelta(days=1)
        soon = 100 * min(1.0, max(0.0, 1 - left / 14))
    if name in board.dependents:
        waited = min(100.0, 10.0 * _waiting(board, name))
    if created:
        age = min(30.0, max(0.0, (now - times.parse(created)) / timedelta(days=1)))
    return 100.0 * (5 - priority), soon, waited, age


def _waiting(board: Board, name: str) -> int:
    """How many open tasks wait for this one, directly or not; counted up to ten."""
    waiting = board.dependents.names
    seen: set[str] = set()
    queue = [name]
    while queue and len(seen) < 10:
        for other in waiting.get(queue.pop(), ()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return len(seen)


def ranked(board: Board, tasks: Iterable[Task], now: datetime) -> list[Task]:
    """The tasks by importance, then by number and name."""
    return sorted(tasks, key=rank(board, now))


def rank(board: Board, now: datetime) -> Callable[[Task], tuple[float, int, str]]:
    """The key that sorts tasks by importance, then by number and name."""
    return lambda task: (-score(board, task, now), task.number or 0, task.id)


def foremost(board: Board, column: Status, now: datetime, most: int) -> list[str]:
    """The most important tasks of a column of open ones, as `rank` orders them, and at most so many.

    Only tasks that could be among them are scored, beginning with those that could have the highest score.
    """
    groups, waited_for = board.ledger.asked(column), board.dependents
    levels = [(_highest(kind, is_waited), kind, is_waited) for kind in groups for is_waited in (True, False)]
    found: list[tuple[float, int, str]] = []
    for highest, kind, is_waited in sorted(levels, reverse=True):
        if len(found) == most and -found[-1][0] > highest:
            break
        for name, (due, created) in groups[kind].items():
            if (name in waited_for) is is_waited:
                score = sum(_parts(board, name, kind[0], due, created, now))
                found.append((-score, task_number(name) or 0, name))
        found = heapq.nsmallest(most, found)
    return [name for _, _, name in found]


def _highest(kind: tuple[int, bool, bool], is_waited: bool) -> int:
    """The most that a task of such a group of the ledger can score."""
    priority, is_due, is_dated = kind
    return 100 * (5 - priority + is_due + is_waited) + 30 * is_dated


def newest(board: Board, most: int) -> list[str]:
    """The closed tasks with the highest numbers, and at most so many; then by name."""
    groups = board.ledger.asked(Status.DONE)
    found: list[str] = []
    for hundred in sorted(groups, reverse=True):
        if len(found) >= most:
            break
        found += groups[hundred]
    return heapq.nsmallest(most, found, key=lambda name: (-(task_number(name) or 0), name))

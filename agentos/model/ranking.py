"""Ranking: how important a task is, beside the others of its board; pure."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from agentos.model import times
from agentos.model.board import Board
from agentos.model.briefs import Brief
from agentos.model.records import Task
from agentos.model.words import task_number


def score(board: Board, task: Task, now: datetime) -> float:
    """How important a task is; higher first.

    100 for each step of priority above 5; up to 100 for a due date (all of it once due, falling to 0 at
    14 days ahead); 10 for each task that waits on it, at most 100; 1 for each day of age, at most 30.
    """
    return _points(board, task.id, task, now)


def parts(board: Board, task: Task, now: datetime) -> dict[str, float]:
    """What the score of a task is made of, in the order of the rule."""
    names = ("priority", "due", "waited for", "age")
    return dict(zip(names, _parts(board, task.id, task, now), strict=True))


def _points(board: Board, name: str, task: Task | Brief, now: datetime) -> float:
    return sum(_parts(board, name, task, now))


def _parts(board: Board, name: str, task: Task | Brief, now: datetime) -> tuple[float, float, float, float]:
    due = waited = age = 0.0
    if task.due:
        left = (times.parse(task.due) - now) / timedelta(days=1)
        due = 100 * min(1.0, max(0.0, 1 - left / 14))
    if name in board.dependents:
        waited = min(100.0, 10.0 * _waiting(board, name))
    if task.created:
        age = min(30.0, max(0.0, (now - times.parse(task.created)) / timedelta(days=1)))
    return 100.0 * (5 - task.priority), due, waited, age


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


def foremost(board: Board, names: Iterable[str], now: datetime, most: int) -> list[str]:
    """The most important of these tasks, as `rank` orders them, and at most so many.

    Only tasks that could be among them are scored, beginning with those that could have the highest score.
    """
    briefs, waited_for = board.briefs, board.dependents.names
    groups: dict[int, list[str]] = defaultdict(list)
    for name in names:
        brief = briefs[name]
        kinds = bool(brief.due) + (name in waited_for)
        groups[100 * (5 - brief.priority + kinds) + 30 * bool(brief.created)].append(name)
    found: list[tuple[float, int, str]] = []
    for highest in sorted(groups, reverse=True):
        if len(found) == most and -found[-1][0] > highest:
            break
        found += [(-_points(board, n, briefs[n], now), task_number(n) or 0, n) for n in groups[highest]]
        found = heapq.nsmallest(most, found)
    return [name for _, _, name in found]

"""Soundness: what the records of a board say of each other that can't be."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from agentos.model import rules
from agentos.model.board import Board, Problem
from agentos.model.briefs import Brief
from agentos.model.records import Task
from agentos.model.words import Status

Links = Callable[[str], Sequence[str]]


def problems(board: Board) -> Iterator[Problem]:
    """What the records say of each other that can't be: unknown references and cycles, unknown runners.

    The line is 0: the caller that has the text finds where the field stands (`Problem.field`).
    """
    yield from _references(board)
    for agent in board.agents.values():
        runner = agent.agentos.runner
        if runner is not None and runner not in rules.RUNNERS:
            reason = f"has the unknown runner {runner!r}; there are {', '.join(rules.RUNNERS)}"
            yield Problem(agent.path, 0, reason, False, "agentos.runner")
    for field in ("depends_on", "parent"):
        loop = cycle(board, field)
        if loop:
            yield Problem(board.tasks[loop[0]].path, 0, f"is in a cycle: {' → '.join(loop)}", False, field)


def _references(board: Board) -> Iterator[Problem]:
    """The tasks that name a task, an agent or a person that there is not; of closed ones not the archived."""
    asked, path = board.ledger.asked, board.tasks.path
    members = board.agents.rows.keys() | board.config.people.keys()
    tasks = board.tasks.rows.keys() | board.held
    for question, field, reason in (
        ("dependents", "depends_on", "depends on {!r}, which is no task"),
        ("leaning", "depends_on", "depends on {!r}, which is no task"),
        ("children", "parent", "has the parent {!r}, which is no task"),
        ("work", "assignees", "is assigned to {!r}, who is no agent and no person of the config"),
        ("help", "assignees", "is assigned to {!r}, who is no agent and no person of the config"),
    ):
        known = members if field == "assignees" else tasks
        for name in sorted(asked(question).keys() - known):
            for task in sorted(asked(question)[name].keys() - asked("archived").get(Status.DONE, {}).keys()):
                yield Problem(path(task), 0, reason.format(name), False, field)


def cycle(board: Board, field: str, start: str | None = None) -> list[str] | None:
    """A cycle along `depends_on` or `parent`, its first name repeated at the end, or None."""
    roots = sorted(board.ledger.asked("upwards").get(field, ())) if start is None else [start]
    links = _links(board.briefs if roots and start is None else board.tasks, field)
    done: set[str] = set()
    for root in roots:
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

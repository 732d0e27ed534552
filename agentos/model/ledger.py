"""The ledger: all tasks of a board under what is asked of all of them, brought forward change by change."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from agentos.model.briefs import Brief
from agentos.model.words import Status, is_archived, is_numbered, task_number

Names = Mapping[str, Any]
"""Names of tasks, each with what is noted beside it."""

Seen = tuple[str, Brief] | None
"""A task as it was or is: the path of its file, and the task in brief; None where there is none."""

HUNDRED = 100
"""Closed tasks stand in the groups of so many numbers, so that the newest are found without sorting all."""


class Ledger(NamedTuple):
    """The names of tasks by question and answer: a pure function of each task's name, path and brief.

    `groups` has, by question:

    - a status: the column, without what is archived. Open tasks by (priority, has it a due date, a date of
      creation), with both dates; closed ones by hundreds of their numbers.
    - `archived`: the tasks that are put away, by status.
    - `children`, by parent; `dependents`, open tasks by what they depend on; `leaning`, the closed ones.
    - `work`, open tasks by first assignee, with status and whether blocked; `help`, by the other ones.
    - `upwards`: tasks that lead to one that is not before them, by field. Every cycle has one of them.

    `twins` are the heads, such as `TASK-012`, that more than one name has.
    """

    groups: Mapping[str, Mapping[Any, Names]]
    twins: frozenset[str]

    @classmethod
    def of(cls, tasks: Iterable[tuple[str, str, Brief]]) -> "Ledger":
        """The ledger of these tasks: name, path, brief."""
        groups: dict[str, dict[Any, dict[str, Any]]] = {}
        names = []
        for name, path, brief in tasks:
            names.append(name)
            for question, answer, note in _entries(name, path, brief):
                groups.setdefault(question, {}).setdefault(answer, {})[name] = note
        return cls(groups, _twins(names))

    def asked(self, question: str) -> Mapping[Any, Names]:
        """The tasks under one question, by answer."""
        return self.groups.get(question, {})

    def after(self, changes: Iterable[tuple[str, Seen, Seen]], names: Iterable[str]) -> "Ledger":
        """The ledger once each of these tasks is no longer as it was; `names` are those of all tasks then."""
        groups: dict[str, Any] = dict(self.groups)
        copied: set[Any] = set()
        heads: set[str] = set()
        for name, was, now in changes:
            for question, answer, _ in _entries(name, *was) if was else ():
                _group(groups, copied, question, answer).pop(name, None)
            for question, answer, note in _entries(name, *now) if now else ():
                _group(groups, copied, question, answer)[name] = note
            if (was is None) != (now is None):
                heads.add(_head(name) if is_numbered(name) else "")
        for question, answer in (each for each in copied if isinstance(each, tuple)):
            if not groups[question][answer]:
                del groups[question][answer]
        groups = {question: answers for question, answers in groups.items() if answers}
        return Ledger(groups, self._with_heads(heads, names))

    def _with_heads(self, heads: set[str], names: Iterable[str]) -> frozenset[str]:
        """The twins where names with these heads came or went; an empty head: all are counted anew."""
        if "" in heads:
            return _twins(names)
        starts = tuple(f"{head}-" for head in heads)
        near = [name for name in names if name.startswith(starts)] if heads else []
        return (self.twins - heads) | (_twins(near) & heads)


def _group(groups: dict[str, Any], copied: set[Any], question: str, answer: Any) -> dict[str, Any]:
    """One group to write into: what is shared with an earlier ledger is copied once."""
    if question not in copied:
        copied.add(question)
        groups[question] = dict(groups.get(question, {}))
    if (question, answer) not in copied:
        copied.add((question, answer))
        groups[question][answer] = dict(groups[question].get(answer, {}))
    group: dict[str, Any] = groups[question][answer]
    return group


def _entries(name: str, path: str, brief: Brief) -> Iterator[tuple[str, Any, Any]]:
    """Where a task stands: question, answer, and what is noted beside its name."""
    status, priority, assignees, parent, depends_on, is_blocked, due, created = brief
    is_open = status != Status.DONE
    if is_archived(path):
        yield "archived", status, None
    elif is_open:
        yield status, (priority, bool(due), bool(created)), (due, created)
    else:
        yield status, (task_number(name) or 0) // HUNDRED, None
    if parent:
        yield "children", parent, None
        if _place(parent) >= _place(name):
            yield "upwards", "parent", None
    if depends_on:
        for other in depends_on:
            yield "dependents" if is_open else "leaning", other, None
        if max(map(_place, depends_on)) >= _place(name):
            yield "upwards", "depends_on", None
    if is_open and assignees:
        yield "work", assignees[0], (status, is_blocked)
        for other in assignees[1:]:
            yield "help", other, None


def _place(name: str) -> tuple[int, str]:
    """Where a task stands in the order of numbers, in which most lead to earlier ones."""
    return task_number(name) or 0, name


def _head(name: str) -> str:
    """The part of a name that its short form is made of."""
    return name[: name.find("-", 5)]


def _twins(names: Iterable[str]) -> frozenset[str]:
    counts = Counter(map(_head, names))
    return frozenset(head for head, count in counts.items() if count > 1)

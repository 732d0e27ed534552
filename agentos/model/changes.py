"""Changes: the typed difference between two boards."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agentos.model.board import Board
from agentos.model.records import Message, Task
from agentos.model.renames import renamed, reseated


@dataclass(frozen=True, slots=True)
class TaskCreated:
    task: Task


@dataclass(frozen=True, slots=True)
class TaskDeleted:
    task: Task


@dataclass(frozen=True, slots=True)
class Ticks:
    """What became of a task's acceptance criteria: so many of them `checked`, or `unchecked`."""

    verb: str
    part: str
    """`2/3`: two of three are ticked now; of what was unchecked, how many were cleared."""


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """One task before and after; `fields` are the names that differ, `body` among them.

    `ticks` is there where nothing but boxes differs and somebody has looked into the text (`looked_into`).
    """

    before: Task
    after: Task
    fields: tuple[str, ...]
    ticks: Ticks | None = None


@dataclass(frozen=True, slots=True)
class TaskRenamed:
    """One task under its old name and under its new one."""

    before: Task
    after: Task


@dataclass(frozen=True, slots=True)
class MessageAdded:
    message: Message


@dataclass(frozen=True, slots=True)
class RecordChanged:
    """Any other record: added, edited or removed."""

    kind: str
    name: str
    how: str


Change = TaskCreated | TaskDeleted | TaskChanged | TaskRenamed | MessageAdded | RecordChanged


def diff(before: Board, after: Board) -> list[Change]:
    """What has changed from one board to another, tasks first."""
    names = renamed(before, after)
    return [*_tasks(before, after, names), *_others(before, after, names)]


def _tasks(before: Board, after: Board, names: Mapping[str, str]) -> Iterator[Change]:
    for name, fresh in names.items():
        yield TaskRenamed(before.tasks[name], after.tasks[fresh])
    known = {*names, *names.values()}
    for name in sorted(before.tasks.differing(after.tasks) - known):
        if name not in before.tasks and name in before.held:
            yield RecordChanged("task", name, "mended")
        elif name not in before.tasks:
            yield TaskCreated(after.tasks[name])
        elif name not in after.tasks:
            if name not in after.held and before.tasks[name].number is not None:
                yield TaskDeleted(before.tasks[name])
        else:
            old, new = before.tasks[name], after.tasks[name]
            yield TaskChanged(old, new, changed_fields(old, new))


def changed_fields(old: Task, new: Task) -> tuple[str, ...]:
    """The names of the fields that differ; `path` where the file moved, `body` where only text did."""
    a, b = old.fields(), new.fields()
    names = [key for key in (*a, *(k for k in b if k not in a)) if a.get(key) != b.get(key)]
    if old.path != new.path:
        names.append("path")
    return tuple(names or ["body"])


def _others(before: Board, after: Board, names: Mapping[str, str]) -> Iterator[Change]:
    moved = reseated(before.messages, after.messages)
    known = {*moved, *moved.values()}
    for task in dict.fromkeys(after.messages[path].task for path in moved.values()):
        if task not in names.values():
            yield RecordChanged("message", task, "moved")
    for kind, old, new in (
        ("message", before.messages, after.messages),
        ("agent", before.agents, after.agents),
        ("document", before.documents, after.documents),
    ):
        for name in sorted(old.differing(new) - known):
            if kind == "message" and name not in old:
                yield MessageAdded(after.messages[name])
            else:
                how = "added" if name not in old else "removed" if name not in new else "edited"
                yield RecordChanged(kind, name.split("/")[2] if kind == "message" else name, how)
    if before.config.fields() != after.config.fields():
        yield RecordChanged("config", "board/config.yml", "edited")


_BOX = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+)\[[ xX]\]", re.MULTILINE)


def looked_into(
    changes: Sequence[Change], before: Callable[[Task], str], after: Callable[[Task], str]
) -> list[Change]:
    """The changes, and of each edited text whether it only ticked or cleared criteria; `before` and `after`
    give a task's text on either side."""
    return [
        replace(change, ticks=_ticks(before(change.before), after(change.after)))
        if isinstance(change, TaskChanged) and change.fields == ("body",)
        else change
        for change in changes
    ]


def _ticks(old: str, new: str) -> Ticks | None:
    """What two versions of a text say, where nothing differs but boxes of its criteria."""
    if _BOX.sub(r"\1[ ]", old) != _BOX.sub(r"\1[ ]", new):
        return None
    from agentos.model import markdown

    was, now = (markdown.criteria(text) for text in (old, new))
    if len(was) != len(now):  # `- [x]: words` is a link's address to Markdown, and `- [ ]: words` a box
        return None
    cleared = sum(a.is_ticked and not b.is_ticked for a, b in zip(was, now, strict=True))
    ticked = sum(b.is_ticked and not a.is_ticked for a, b in zip(was, now, strict=True))
    if ticked:
        return Ticks("checked", f"{sum(box.is_ticked for box in now)}/{len(now)}")
    return Ticks("unchecked", f"{cleared}/{len(now)}") if cleared else None

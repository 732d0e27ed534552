"""WORKING.md read back: what a person wrote on the page, as edits of tasks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from agentos.errors import Usage
from agentos.model import merge, times, working
from agentos.model.board import Board
from agentos.model.records import Task
from agentos.model.words import Status

_SECTIONS = {status.name: status for status in Status}
_LINE = re.compile(
    r"^[-*][ \t]+(?:\[[ xX]\][ \t]+)?(?:\[([^\]\s]+)\][ \t]*)?"
    r"((?:@[\w:-]+[ \t]+)*@[\w:-]+[ \t]+-[ \t]+|-[ \t]+)?(.*?)[ \t]*$"
)
_MARK = re.compile(r"[ \t]+(?:✅|❌ \w+)(?: \(simulated\))?$")


@dataclass(frozen=True, slots=True)
class Line:
    """One task's line: the name in its bracket (empty for a new one), its section, who, and its title.

    The title is as it stands there; under DONE a mark follows it.
    """

    name: str
    status: Status
    assignees: tuple[str, ...]
    title: str

    @property
    def bare(self) -> str:
        """The title without the mark of a task that is done."""
        return _MARK.sub("", self.title)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page taken apart: the moment it names as its own, its lines, and the brackets found twice.

    `lost` are the lines that stand in no section there is, with the heading above them.
    """

    updated: datetime | None
    lines: Mapping[str, Line]
    fresh: tuple[Line, ...]
    doubled: tuple[str, ...]
    lost: tuple[tuple[str, Line], ...] = ()


@dataclass(frozen=True, slots=True)
class Edits:
    """What a page asks for: tasks as they shall be, new lines, and what is refused, in words."""

    changed: tuple[Task, ...]
    added: tuple[Line, ...]
    refused: tuple[str, ...]


def parse(text: str) -> Sheet:
    """The task lines of a page; whatever else stands on it is not read."""
    lines: dict[str, Line] = {}
    fresh: list[Line] = []
    doubled: list[str] = []
    lost: list[tuple[str, Line]] = []
    for section, line in _lines(text):
        if section not in _SECTIONS:
            lost.append((section, line))
        elif not line.name:
            fresh.append(line)
        elif line.name in lines:
            doubled.append(line.name)
        else:
            lines[line.name] = line
    return Sheet(working.last_updated(text), lines, tuple(fresh), tuple(doubled), tuple(lost))


def _lines(text: str) -> Iterator[tuple[str, Line]]:
    """Each line of a task with the section it stands in; one that stands in none is taken as of the inbox."""
    section = ""
    inside = False
    for raw in text.splitlines():
        if raw.startswith("## "):
            inside = raw.strip() == "## Current Tasks"
            section = ""
        elif raw.startswith("### "):
            section = raw[4:].strip()
            name = section.upper().replace(" ", "_")
            section = name if name in _SECTIONS else section
        elif inside and (match := _LINE.match(raw)) and (match[1] or match[3]):
            status = _SECTIONS.get(section, Status.INBOX)
            handles = (match[2] or "").removesuffix("- ").rstrip(" \t-").split()
            line = Line(match[1] or "", status, tuple(_member(h) for h in handles), match[3])
            is_new = not line.name and status is Status.DONE
            yield section, (replace(line, title=line.bare) if is_new else line)


def _member(handle: str) -> str:
    """@agent:technical:main as technical."""
    return handle.removeprefix("@").removeprefix("agent:").removesuffix(":main")


def edits(board: Board, base: Sheet, edited: Sheet) -> Edits:
    """What was written since `base`, merged with what the board says now.

    A removed line removes nothing. A line found twice, a name nobody has, and a value that was changed on the
    board as well are refused.
    """
    refused = [f"{name} stands on the page twice" for name in edited.doubled]
    changed = []
    names = _names(board)
    for name, line in edited.lines.items():
        before = base.lines.get(name)
        if before == line or name in edited.doubled:
            continue
        task = board.tasks.get(names.get(name, ""))
        if task is None or task.id in board.held:
            refused.append(f"{name} can't be read" if task else f"{name} is no task of this board")
            continue
        after, why = _merged(board, task, before, line)
        refused += why
        if after != task:
            changed.append(after)
    for section, line in edited.lost:
        if (section, line) not in base.lost:
            kept = f"{line.name} stays as it is" if line.name else f"{line.title!r} was not added"
            refused.append(f"{section or 'no heading'!r} is no section, so {kept}")
    added = []
    for line in edited.fresh:
        unknown = [name for name in line.assignees if not board.is_name_taken(name)]
        refused += [f"nobody is called {name}, so {line.title!r} was not added" for name in unknown]
        if not unknown and not _is_there(board, line, edited):
            added.append(line)
    return Edits(tuple(changed), tuple(added), tuple(refused))


def _names(board: Board) -> dict[str, str]:
    """Each name that a bracket may have, short or whole, with the task's identity."""
    names = {name: name for name in board.tasks}
    for name, task in board.tasks.items():
        if task.number not in board.shared_numbers:
            names[task.short] = name
    return names


def _merged(board: Board, task: Task, before: Line | None, line: Line) -> tuple[Task, list[str]]:
    """The task with what its line says, by the merge of records."""
    known = before.assignees if before else ()
    unknown = [name for name in line.assignees if name not in known and not board.is_name_taken(name)]
    if unknown:
        return task, [f"nobody is called {unknown[0]}, so {task.short} stays as it is"]
    now = _fields(working.flat(task.title), task.status, task.assignees)
    old, new = _titles(before, line)
    then = _fields(old, before.status, before.assignees) if before else now
    shows = line.status is not Status.DONE and (before is None or before.status is not Status.DONE)
    who = line.assignees if shows else tuple(then["assignees"])
    merged = merge.fields(then, now, _fields(new, line.status, who))
    why = [
        f"the {key} of {task.short} was changed on the board as well, so {said!r} was not taken"
        for key, said in merged.conflicts.items()
    ]
    changes = {key: value for key, value in merged.changes.items() if key != "resolution"}
    try:
        return (task.replace(**changes) if changes else task), why
    except Usage as error:
        return task, [*why, str(error)]


def _titles(before: Line | None, line: Line) -> tuple[str, str]:
    """The title before and now: the mark belongs to it only where the task neither was nor is done."""
    was_done = before is not None and before.status is Status.DONE
    old = before.bare if before and was_done else before.title if before else ""
    if before and line.title == before.title:
        return old, old
    return old, line.bare if was_done or line.status is Status.DONE else line.title


def _fields(title: str, status: Status, assignees: tuple[str, ...]) -> dict[str, Any]:
    return {"title": title, "status": str(status), "assignees": list(assignees)}


def _is_there(board: Board, line: Line, edited: Sheet) -> bool:
    """Whether a new line was taken up before: an editor saves its buffer again and again."""
    since = times.stamp(edited.updated) if edited.updated else ""
    return any(
        task.title == line.title and (task.created or "") >= since[:19] for task in board.tasks.values()
    )

"""Renames: which task a file is that went under one name and came under another."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentos.model.board import Board
from agentos.model.records import Message, Task
from agentos.model.tables import Table
from agentos.model.words import task_number


def renamed(before: Board, after: Board) -> dict[str, str]:
    """The new name of each task that was renamed, by its old one.

    It kept its number, or it has another and the very same file. Where more than one task could be meant,
    none is.
    """
    old, new = before.tasks, after.tasks
    gone = vanished(before, after)
    fresh = (name for name in sorted(old.differing(new)) if name not in old and task_number(name) is not None)
    came = list(fresh) if gone else []
    if not came:
        return {}
    found = _pairs(gone, task_number, came, task_number)
    gone = [name for name in gone if name not in found]
    came = [name for name in came if name not in found.values()]
    return found | _pairs(gone, lambda name: old.rows[name][1], came, lambda name: new.rows[name][1])


def vanished(before: Board, after: Board) -> list[str]:
    """The tasks with a number whose files are gone."""
    gone = (name for name in sorted(before.tasks.differing(after.tasks)) if name not in after.tasks)
    return [name for name in gone if name not in after.held and task_number(name) is not None]


def unnumbered(before: Board, after: Board, plain: str) -> Task | None:
    """The vanished task that a file under a plain name is, so that it keeps its number.

    It is the very same file, or one created at the same moment under the same title; None where no task or
    more than one fits.
    """
    gone = vanished(before, after)
    row, task = after.tasks.rows[plain], after.tasks[plain]
    fits = [name for name in gone if row[1] and before.tasks.rows[name][1] == row[1]]
    if not fits and task.created:
        made = (task.created, task.title)
        fits = [n for n in gone if (before.tasks[n].created, before.tasks[n].title) == made]
    return before.tasks[fits[0]] if len(fits) == 1 else None


def moved_messages(rows: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The new path of each message (of these, by path) whose task was renamed."""
    folders = {f"board/messages/{old}": f"board/messages/{new}" for old, new in names.items()}
    parts = ((path, *path.rpartition("/")[::2]) for path in rows)
    return {path: f"{folders[folder]}/{name}" for path, folder, name in parts if folder in folders}


def reseated(before: Table[Message], after: Table[Message]) -> dict[str, str]:
    """The new path of each message that went to the folder of another task, by its old one."""
    changed = sorted(before.differing(after))
    gone = [path for path in changed if path not in after]
    came = [path for path in changed if path not in before]
    return _pairs(gone, _name, came, _name)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


Key = Callable[[str], Any]


def _pairs(gone: Iterable[str], old_key: Key, came: Iterable[str], new_key: Key) -> dict[str, str]:
    """One from each side that alone have the same key, if it is any."""
    old, new = _grouped(gone, old_key), _grouped(came, new_key)
    both = [(old[key], new[key]) for key in old if key and key in new]
    return {one[0]: other[0] for one, other in both if len(one) == len(other) == 1}


def _grouped(names: Iterable[str], key: Key) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return found

"""Settling what a merge left unsettled: a field's value, or the lines of a text, our way or theirs."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentos.actions.tasks import require_no_cycle
from agentos.errors import Conflict, Invalid, NotFound, Usage
from agentos.model import conflicts
from agentos.model.board import Board
from agentos.model.conflicts import Clash, Where
from agentos.model.words import kind_of
from agentos.store import codec, frontmatter
from agentos.store.draft import Draft
from agentos.store.fields import Unreadable


@dataclass(frozen=True, slots=True)
class Unsettled:
    """One conflict: its line, what it goes by, and both sides in words."""

    line: int
    name: str
    ours: str
    theirs: str
    where: Where = field(default=(), repr=False)
    clash: Clash | None = field(default=None, repr=False)


Choose = Callable[[Unsettled], bool | None]
"""Whether theirs is taken (True) or ours kept (False); None leaves the conflict as it is."""


def path_of(board: Board, ref: str) -> str:
    """The file that a reference means: a task or an agent by name, any record by its path."""
    if kind_of(ref):
        return ref
    path: str = board.agents[ref].path if ref in board.agents else board.task(ref).path
    return path


def of(path: str, data: bytes) -> list[Unsettled]:
    """What a merge left unsettled in this file, from the top. Raises Invalid where it can't be read."""
    try:
        page = frontmatter.split(path, data)
        fields = page.fields()
    except Unreadable as error:
        raise Invalid(f"{path}:{error.line}: {error.reason}. `agentos doctor` tells more.") from None
    found = []
    for where, other in conflicts.unsettled(fields):
        line = frontmatter.line_of(page, [conflicts.FIELD, *where])
        ours = conflicts.value(fields, where)
        found.append(Unsettled(line, ".".join(where), _shown(ours), _shown(other), where))
    for clash in conflicts.clashes(page.body):
        line = page.body_line + clash.fence + 1
        found.append(Unsettled(line, clash.name, clash.ours, clash.theirs, (), clash))
    return found


def settle(draft: Draft, ref: str, choose: Choose) -> list[Unsettled]:
    """Settle each conflict of a file as `choose` says; gives those that were. The rest of the file stays."""
    path = path_of(draft.board, ref)
    if path in draft.waiting:
        raise Invalid(f"{draft.waiting[path]}. Mend the file, then try again.")
    data = draft.text(path)
    chosen = [(item, theirs) for item in of(path, data) if (theirs := choose(item)) is not None]
    for item, theirs in reversed(chosen):
        data = _settled(path, data, item, theirs)
    if chosen:
        draft.write(path, data)
    if kind_of(path) == "task" and (task := draft.board.tasks.get(path.rpartition("/")[2][:-3])):
        require_no_cycle(draft, task)
    return [item for item, _ in chosen]


def one(name: str | None, theirs: bool) -> Choose:
    """The same answer for the conflict of this name, or for all of them."""
    return lambda item: theirs if name in (None, item.name) else None


def answered(answers: Mapping[Unsettled, bool | None]) -> Choose:
    """The answers somebody gave; raises Conflict for one that was not asked about."""

    def choose(item: Unsettled) -> bool | None:
        if item not in answers:
            raise Conflict(f"The file was changed meanwhile (line {item.line}). Look again.")
        return answers[item]

    return choose


def require(found: list[Unsettled], path: str, name: str | None) -> None:
    """Raises NotFound where there is nothing to settle, or nothing of this name."""
    if not found:
        raise NotFound(f"{path} has no conflict to settle; `agentos doctor` lists what there is.")
    if name is not None and name not in [item.name for item in found]:
        listed = ", ".join(item.name for item in found)
        raise NotFound(f"{path} has no conflict {name!r}; it has {listed}.")


def _settled(path: str, data: bytes, item: Unsettled, theirs: bool) -> bytes:
    page = frontmatter.split(path, data)
    if item.clash is None:
        return codec.edit(path, data, conflicts.settled(page.fields(), item.where, theirs))
    if theirs and item.clash.start is None:
        raise Usage(f"{path}:{item.line} doesn't say which lines it replaces; edit the file instead.")
    return dataclasses.replace(page, body=conflicts.settled_text(page.body, item.clash, theirs)).data


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

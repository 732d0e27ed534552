"""Undo: one commit taken back semantically, keeping what came later."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from agentos.errors import Conflict, NotFound, Refused
from agentos.model import renames
from agentos.model.activity import MOST_EVENTS, Activity
from agentos.model.changes import Change
from agentos.model.words import Status, kind_of, task_number
from agentos.store import history, merging, past
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.past import ATTACHED, Past, Side, Step
from agentos.store.repository import Store
from agentos.store.transaction import Result, transact

UNDOES = "Undoes"
"""The trailer that names the commit which was undone."""


class Undone(NamedTuple):
    """What was undone, what of it stays and why, and the paths of that commit that are no records."""

    commit: str
    kept: tuple[str, ...]
    outside: tuple[str, ...]


def chosen(store: Store, ref: str | None) -> tuple[Activity, tuple[Change, ...]]:
    """The commit that is meant, by default the last that changed a record, hand edits included.

    Those are committed first; the second value is what they changed. Raises NotFound.
    """
    named = store.git.commit_of(ref) if ref else None
    adopted = transact(store, lambda draft: None, store.person()).adopted
    with closing(Objects(store.git)) as objects:
        commit = named or past.last(store, objects)
    past.require_on_branch(store, commit)
    return history.one(store.git, commit), adopted


def undo(store: Store, commit: str, *, force: bool = False) -> Result[Undone]:
    """Take a commit back, as the person who works here.

    Raises Refused where later work was built on it (docs/undo.md says what that is) and it is not forced, or
    where it is a merge; Conflict where nothing of it is left to undo.
    """
    return transact(
        store,
        lambda draft: _undo(draft, store, commit, force),
        store.person(),
        trailers=[(UNDOES, commit)],
        mark=f" (undoes {commit[:9]})",
        verb="undone",
    )


def _undo(draft: Draft, store: Store, commit: str, force: bool) -> Undone:
    with closing(Objects(store.git)) as objects:
        what = past.read(store, objects, commit)
        if not what.steps:
            raise Conflict(f"{commit[:9]} changed no record, so there is nothing to undo on the board.")
        later = history.since(store.git, commit, draft.refs.head or commit)
        if not force:
            _require_unbuilt(draft, store, what, later)
        kept = [line for step in what.steps for line in _take_back(draft, store, objects, step)]
    if not draft.written:
        raise Conflict(f"Nothing of {commit[:9]} is left to undo: {_why(commit, kept, later)}.")
    if not force:
        _require_unreferenced(draft, store, commit)
    return Undone(commit, tuple(kept), what.outside)


def _why(commit: str, kept: Sequence[str], later: Iterable[Activity]) -> str:
    """Why nothing is left."""
    by = next((a.commit[:9] for a in later if a.trailer(UNDOES) == commit), None)
    return kept[0] if kept else f"{by} undid it" if by else "the board is as it was before"


# What was built on it -----------------------------------------------------------------------------------


def _require_unbuilt(draft: Draft, store: Store, what: Past, later: Sequence[Activity]) -> None:
    """Raises Refused where an agent has worked, or works, on what the commit did."""
    names = _touched_tasks(draft, what)
    busy = sorted(names & draft.refs.claims.keys())
    if busy:
        raise Refused(
            f"An agent is at work on {busy[0]}; undo {what.commit[:9]} when it is done, or --force."
        )
    undone = _undone(later)
    for activity in later:
        is_agents = activity.trailer("Agent") or activity.trailer("Run")
        if is_agents and activity.commit not in undone and names & _tasks_of(store, activity):
            raise Refused(
                f"{activity.commit[:9]} built on it ({activity.actor}: {activity.subject}). Undo that first, "
                f"or this all the same: agentos undo {what.commit[:9]} --force"
            )


def _undone(later: Sequence[Activity]) -> set[str]:
    """The commits among these, newest first, that were undone; an undoing that was undone does not count."""
    found: set[str] = set()
    for activity in later:
        target = activity.trailer(UNDOES)
        if target and activity.commit not in found:
            found.add(target)
    return found


def _tasks_of(store: Store, activity: Activity) -> set[str]:
    """The tasks that a commit is about; where it has too many to name them, those whose files it changed."""
    named = {value for key, value in activity.trailers if key in ("Task", "Run-Task")}
    if len(named) < MOST_EVENTS:
        return named
    touched = history.touched(store.git, store.prefix, activity.commit, [f"{activity.commit}^"], "board")
    return {name for each in touched if (name := _task_of(each.path))}


def _touched_tasks(draft: Draft, what: Past) -> set[str]:
    """The tasks that a commit changed or talked on, and those that wait for one that it completed."""
    sides = [side for step in what.steps for side in step if side]
    names = {name for side in sides if (name := _task_of(side.path))}
    done = {PurePosixPath(step.after.path).stem for step in what.steps if step.after and _completes(step)}
    waiting = (task.id for task in draft.board.tasks.values() if done & set(task.depends_on)) if done else ()
    return names | set(waiting)


def _task_of(path: str) -> str | None:
    """The task that a record is, or is about."""
    if kind_of(path) == "task":
        return PurePosixPath(path).stem
    is_about = kind_of(path) == "message" or path.startswith(ATTACHED)
    return PurePosixPath(path).parent.name if is_about else None


def _completes(step: Step) -> bool:
    """Whether the step brought a task to done."""
    states = [merging.fields_of(side.path, side.data).get("status") if side else None for side in step]
    return states[1] == Status.DONE != states[0] and bool(step.after and kind_of(step.after.path) == "task")


def _require_unreferenced(draft: Draft, store: Store, commit: str) -> None:
    """Raises Refused where something that came later speaks of what would be gone."""
    after, named = draft.board, renames.renamed(draft.before, draft.board)
    gone = draft.before.tasks.rows.keys() - after.tasks.rows.keys() - named.keys()
    said = {
        PurePosixPath(path).stem for path in draft.before.messages.rows.keys() - after.messages.rows.keys()
    }
    found = (
        [m.path for m in after.messages.values() if m.task in gone or m.reply_to in said]
        if said or gone
        else []
    )
    if gone:
        found += [t.path for t in after.tasks.values() if gone & {*t.depends_on, t.parent}]
    if found:
        by = store.activities(1, paths=[found[0]])
        who = f" (since {by[0].commit[:9]})" if by else ""
        raise Refused(
            f"{found[0]} refers to what would be gone{who}. Change that first, or undo all the same: "
            f"agentos undo {commit[:9]} --force"
        )


# Taking it back -----------------------------------------------------------------------------------------


def _take_back(draft: Draft, store: Store, objects: Objects, step: Step) -> list[str]:
    """One record as it would be without the step; gives a line for each thing that stays."""
    before, after = step
    if after is None:
        assert before is not None
        return _bring_back(draft, before, _now(draft, store, objects, before.path))
    path = _place(draft, after.path)
    now = _now(draft, store, objects, path)
    if now is None:
        return [f"{path} is gone; it was removed later"] if before else []
    draft.require_readable(path)
    if before is None:
        if now != after.data:
            return [f"{path} stays; it was changed later"]
        draft.remove(path)
        return []
    data, kept = merging.undone(path, after.data, now, before.data)
    if before.path != after.path and path == after.path:
        draft.remove(path)
        draft.write(before.path, data)
    elif data != now:
        draft.write(path, data)
    return [_stays(path, name, value) for name, value in kept.items()]


def _bring_back(draft: Draft, before: Side, now: bytes | None) -> list[str]:
    """A record that the commit removed."""
    if now is None:
        draft.write(before.path, before.data)
    return [f"{before.path} stays; it was made anew later"] if now not in (None, before.data) else []


def _stays(path: str, name: str, value: Any) -> str:
    what = "the text, in part," if name == "body" else name
    shown = f" {value}" if isinstance(value, str | int | float) else ""
    return f"{PurePosixPath(path).stem}: {what} stays{shown}; it was changed later"


def _now(draft: Draft, store: Store, objects: Objects, path: str) -> bytes | None:
    """A file's bytes as they stand in the draft; None where it is not there."""
    try:
        return draft.text(path)
    except NotFound:
        is_attached = path.startswith(ATTACHED) and path not in draft.written
        oid = objects.find(draft.refs.tree, store.prefix + path) if is_attached else None
        return objects.blob(oid) if oid else None


def _place(draft: Draft, path: str) -> str:
    """Where a record is now: a task may have been archived, back, or renamed since."""
    name, tasks = PurePosixPath(path).stem, draft.board.tasks.rows
    if kind_of(path) != "task":
        return path
    if name in tasks:
        return tasks[name][0]
    number = task_number(name)
    same = [row[0] for other, row in tasks.items() if number is not None and task_number(other) == number]
    return same[0] if len(same) == 1 else path

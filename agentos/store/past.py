"""One commit of the past as steps of records: what each was before it, and after."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from agentos.errors import NotFound, Refused
from agentos.model import working
from agentos.model.words import kind_of, task_number
from agentos.store import codec, history
from agentos.store.history import Touched
from agentos.store.objects import Objects
from agentos.store.repository import Store

ATTACHED = "board/attachments/"

LOOKED_AT = 100
"""Commits that are looked at for the last one that changed a record."""


class Side(NamedTuple):
    """A record's file before or after a commit."""

    path: str
    data: bytes


class Step(NamedTuple):
    """What a commit did to one record; None where it was not there. A renamed one has two paths."""

    before: Side | None
    after: Side | None


class Past(NamedTuple):
    """What a commit did to records, and the paths it changed besides."""

    commit: str
    steps: tuple[Step, ...]
    outside: tuple[str, ...]


def read(store: Store, objects: Objects, commit: str) -> Past:
    """The commit as steps. Raises Refused for a merge."""
    parents = store.git.text("log", "-n1", "--format=%P", "--end-of-options", commit, "--").split()
    if len(parents) > 1:
        raise Refused(
            f"{commit[:9]} is a merge, and its parents are both history; undo the commits that it brought, "
            "one by one."
        )
    steps: list[Step] = []
    outside = []
    for touched in history.touched(store.git, store.prefix, commit, parents):
        step = _step(objects, touched)
        if step is not None:
            steps.append(step)
        elif touched.path != working.PATH:
            outside.append(touched.path.removeprefix("/"))
    return Past(commit, tuple(_paired(steps)), tuple(outside))


def last(store: Store, objects: Objects) -> str:
    """The last commit of the branch that changed a record. Raises NotFound where none did."""
    head = store.refs().head
    folders = [store.prefix + folder for folder in ("board", "agents", "docs")]
    limits = ("--no-merges", f"-n{LOOKED_AT}", "--end-of-options")
    found = store.git.text("rev-list", *limits, head, "--", *folders).split() if head else []
    for commit in found:
        if read(store, objects, commit).steps:
            return commit
    raise NotFound("Nothing was done on this board yet that could be undone.")


def require_on_branch(store: Store, commit: str) -> None:
    """Raises NotFound for a commit that is not in the branch's history."""
    head = store.refs().head
    if head is None or store.git.text("rev-list", "-n1", "--end-of-options", commit, f"^{head}", "--"):
        raise NotFound(f"{commit[:9]} is not in the history of {store.branch}; `agentos log` shows what is.")


def _step(objects: Objects, touched: Touched) -> Step | None:
    """The step of one path; None where it is no record and no attachment."""
    path = touched.path
    if not touched.is_file or not (kind_of(path) or path.startswith(ATTACHED)):
        return None
    before, after = (Side(path, objects.blob(oid)) if oid else None for oid in (touched.old, touched.new))
    sides = [side for side in (before, after) if side]
    if path.startswith(ATTACHED) or any(codec.row(path, side.data).kind for side in sides):
        return Step(before, after)
    return None


def _paired(steps: Sequence[Step]) -> Iterable[Step]:
    """The steps with what went at one path and came at another as one: archived, or renamed."""
    gone = [step.before for step in steps if step.before and not step.after]
    came = [step.after for step in steps if step.after and not step.before]
    pairs = {}
    for is_same in (_same_name, _same_number, _same_bytes):
        for after in came:
            before = next((each for each in gone if after not in pairs and is_same(each, after)), None)
            if before is not None:
                pairs[after] = before
                gone.remove(before)
    yield from (step for step in steps if step.before and step.after)
    yield from (Step(pairs.get(after), after) for after in came)
    yield from (Step(before, None) for before in gone)


def _same_name(one: Side, other: Side) -> bool:
    names = [PurePosixPath(side.path).name for side in (one, other)]
    return kind_of(one.path) == kind_of(other.path) and names[0] == names[1]


def _same_number(one: Side, other: Side) -> bool:
    numbers = [task_number(PurePosixPath(side.path).stem) for side in (one, other)]
    return kind_of(one.path) == kind_of(other.path) == "task" and numbers[0] == numbers[1] is not None


def _same_bytes(one: Side, other: Side) -> bool:
    return kind_of(one.path) == kind_of(other.path) and one.data == other.data

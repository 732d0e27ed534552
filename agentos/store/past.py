"""One commit of the past as steps of records: what each was before it, and after."""

from typing import NamedTuple

from agentos.errors import NotFound, Refused
from agentos.model import working
from agentos.model.words import kind_of
from agentos.store import codec, history
from agentos.store.history import Blob, Touched
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
    ours: list[Touched] = []
    outside: list[str] = []
    for touched in history.touched(store.git, store.prefix, commit, parents):
        if touched.is_file and (kind_of(touched.path) or touched.path.startswith(ATTACHED)):
            ours.append(touched)
        elif touched.path != working.PATH:
            outside.append(touched.path.removeprefix("/"))
    steps = []
    for before, after in history.paired(ours):
        step = Step(*(Side(blob.path, objects.blob(blob.oid)) if blob else None for blob in (before, after)))
        if _is_record(step):
            steps.append(step)
        else:
            outside.append((after or before or Blob("", "")).path)
    return Past(commit, tuple(steps), tuple(sorted(outside)))


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


def _is_record(step: Step) -> bool:
    """Whether a file is a record on either side, or was kept with a message."""
    sides = [side for side in step if side]
    return any(side.path.startswith(ATTACHED) or codec.row(*side).kind for side in sides)

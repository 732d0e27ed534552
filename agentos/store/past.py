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
    (line,) = _lines(store, "-n1", commit)
    if line.is_merge:
        raise Refused(_instead(line))
    parents = list(line.parents)
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


class _Line(NamedTuple):
    """A commit with its parents and, where it is an approval, the task that it merged."""

    commit: str
    parents: tuple[str, ...]
    merged: str

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


def _lines(store: Store, limit: str, commit: str, *folders: str) -> list[_Line]:
    said = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x20)" for key in ("Approved", "Task"))
    line = ("log", limit, f"--format=%H%x00%P%x00{said}", "--end-of-options", commit, "--", *folders)
    rows = (row.split("\0") for row in store.git.text(*line).split("\n") if row)
    return [_Line(oid, tuple(up.split()), tasks if approved else "") for oid, up, approved, tasks in rows]


def _instead(line: _Line) -> str:
    """What to do instead of undoing a merge: it has two parents, and both stay in history."""
    commit, task = line.commit[:9], "-".join(line.merged.split(" ")[0].split("-")[:2])
    if not task:
        return f"{commit} is a merge; undo the commits that it brought, one by one: agentos log names them."
    return (
        f"{commit} merged the work on {task}: git revert -m 1 {commit} takes back both, work and approval. "
        f"Then agentos reject {task} -m REASON has it made anew, and reverting the revert brings it back."
    )


def last(store: Store, objects: Objects) -> str:
    """The last commit of the branch that changed a record; merges but for approvals bring what others did.

    Raises NotFound where none did.
    """
    head = store.refs().head
    folders = [store.prefix + folder for folder in ("board", "agents", "docs")]
    found = _lines(store, f"-n{LOOKED_AT}", head, *folders) if head else []
    for line in found:
        if line.merged or (not line.is_merge and read(store, objects, line.commit).steps):
            return line.commit
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

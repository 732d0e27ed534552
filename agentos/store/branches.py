"""Task branches: where the work on a task stands in the person's repository, and where it grew from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agentos.store.git import Git
from agentos.store.refs import TASK_BRANCHES
from agentos.store.repository import Store

BASE = "Base"
"""The trailer of what a run hands in: the commit of the board's branch that the work grew from."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A task's branch: its name, its commit, and the commit of the board's branch that it grew from.

    Where it grew from nothing of ours, the base is the empty tree: all of it is new. What is between the base
    and the commit is what a review shows and an approval merges, whatever the board's branch has become.
    """

    name: str
    commit: str
    base: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.name}"

    @property
    def is_merged(self) -> bool:
        """Whether the board's branch has all of it."""
        return self.base == self.commit


def of(store: Store, task: str) -> Branch | None:
    """The branch of a task; None where there is none."""
    commit = tip(store.git, task)
    head = store.refs().head
    if commit is None or head is None:
        return None
    return Branch(f"agentos/{task}", commit, base(store.git, head, commit))


def unmerged(git: Git, head: str) -> list[str]:
    """The tasks whose branch has something that a commit does not have."""
    line = ("for-each-ref", "--format=%(refname)", f"--no-merged={head}", "--end-of-options")
    return [ref.removeprefix(TASK_BRANCHES) for ref in git.text(*line, TASK_BRANCHES).splitlines()]


def checked_out(git: Git) -> dict[str, str]:
    """The tasks whose branch somebody has checked out, and where; a folder that is gone does not count."""
    line = ("for-each-ref", "--format=%(refname)%00%(worktreepath)", "--end-of-options", TASK_BRANCHES)
    found = (each.split("\0") for each in git.text(*line).splitlines())
    return {ref.removeprefix(TASK_BRANCHES): place for ref, place in found if place and Path(place).is_dir()}


def tip(git: Git, task: str) -> str | None:
    """Where the branch of a task stands."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", task):
        return None
    ref = TASK_BRANCHES + task
    found = git.text(
        "for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", "--end-of-options", ref
    )
    for oid, kind, name in (line.split(" ", 2) for line in found.splitlines()):
        if name == ref and kind == "commit":
            return oid
    return None


def base(git: Git, head: str, commit: str) -> str:
    """What the work on a branch is measured against, or the empty tree where it grew from nothing of ours."""
    return grew_from(git, head, commit) or git.text("hash-object", "-t", "tree", "--stdin")


def grew_from(git: Git, head: str, commit: str) -> str | None:
    """The last commit that two lines of history have in common; None where they have none.

    Where the board's branch was rewritten since (a rebase, an amended commit), that lies too far back: then
    it is the commit that the last hand-in names as its base, as long as it is in the branch's own history.
    """
    found = git.text("merge-base", "--end-of-options", head, commit, ok=(0, 1))
    if not found or found == commit:
        return found or None
    said = f"--format=%(trailers:key={BASE},valueonly,separator=%x20)"
    lines = git.text("log", "-n100", "--first-parent", said, "--end-of-options", commit, f"^{found}", "--")
    noted = next((line for line in lines.splitlines() if line), "")
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", noted) or not has(git, noted):
        return found
    is_own = is_in(git, noted, [commit]) and not is_in(git, noted, [head])
    return noted if is_own and noted != commit else found


def has(git: Git, *oids: str) -> bool:
    """Whether all of these objects are here."""
    return all(git.run("cat-file", "-t", oid, ok=(0, 128)) for oid in oids)


def is_in(git: Git, commit: str, heads: Iterable[str]) -> bool:
    """Whether a commit is part of the history of one of these, as far as they are here."""
    known = [head for head in heads if has(git, head)]
    return any(not git.text("rev-list", "--max-count=1", commit, f"^{head}") for head in known)

"""Refs: where the board's branch stands, who holds which task, and moving them all at once."""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Conflict, Invalid, NotFound
from agentos.model import times
from agentos.store import strays
from agentos.store.git import Git, GitFailed

CLAIMS = "refs/agentos/claims/"
TASK_BRANCHES = "refs/heads/agentos/"
HELD = "refs/agentos/held/"
"""Claims of ours that are on the remote: kept until the remote has what the run settled, or was told."""

THEIRS = "refs/agentos/theirs/"
"""Other machines' claims, as the remote had them when it was last looked at."""


class Moved(Conflict):
    """A ref no longer has the value it was expected to have."""


class Busy(Conflict):
    """Another git process holds the lock of a ref for longer than git waits for it."""


class Refs(NamedTuple):
    """The board's branch and the claims, read in one go."""

    head: str | None
    tree: str | None
    worktree: Path | None
    """Where the branch is checked out, if anywhere."""
    claims: Mapping[str, str]
    """The blob that each claimed task's ref points to."""
    held: Mapping[str, str]
    """Our claims that the remote has, by task."""
    theirs: Mapping[str, str]
    """Other machines' claims, by task."""


class Move(NamedTuple):
    """One ref to move: from a value (None: it must not exist) to a value (None: gone)."""

    ref: str
    old: str | None
    new: str | None


def read(git: Git, branch: str) -> Refs:
    """The refs as they are now."""
    name = f"refs/heads/{branch}"
    out = git.run(
        "for-each-ref",
        "--format=%(refname)%00%(objectname)%00%(tree)%00%(worktreepath)",
        name,
        *(space.rstrip("/") for space in (CLAIMS, HELD, THEIRS)),
    ).decode(errors="surrogateescape")
    head = tree = None
    worktree = None
    found: dict[str, dict[str, str]] = {CLAIMS: {}, HELD: {}, THEIRS: {}}
    for line in out.splitlines():
        ref, oid, tree_id, path = line.split("\0")
        if ref == name:
            head, tree = oid, tree_id
            worktree = Path(path) if path and Path(path).is_dir() else None
        else:
            space, _, task = ref.rpartition("/")
            found.get(f"{space}/", {})[task] = oid
    if head is None and current_branch(git) == branch:
        worktree = git.work_tree
    return Refs(head, tree, worktree, *found.values())


def before(git: Git, ref: str, moment: datetime) -> str:
    """The last commit of a branch at or before a moment: by committer date, along first parents.

    Raises NotFound where the branch has none so old.
    """
    seconds = math.floor(moment.timestamp())
    if seconds >= 0:  # git reads a negative number as one beyond all dates
        limits = ("--first-parent", "-n1", f"--min-age={seconds}")
        found = git.text("rev-list", *limits, "--end-of-options", ref, "--", ok=(0, 128))
        if found:
            return found
    raise NotFound(
        f"{ref.removeprefix('refs/heads/')} has no commit at or before {times.stamp(moment)}; "
        "`agentos log` shows when things happened."
    )


def current_branch(git: Git) -> str | None:
    """The branch checked out here, or None for a detached head."""
    text = (git.git_dir / "HEAD").read_text(errors="surrogateescape").strip()
    return text.removeprefix("ref: refs/heads/") if text.startswith("ref: refs/heads/") else None


def move(git: Git, moves: Iterable[Move], why: str) -> None:
    """Move all of these refs, or none. Raises Conflict where one no longer has the value expected."""
    lines = ["start"]
    for ref, old, new in moves:
        if new is None:
            lines.append(f"delete {ref} {old}")
        elif old is None:
            lines.append(f"create {ref} {new}")
        else:
            lines.append(f"update {ref} {new} {old}")
    lines += ["prepare", "commit", ""]
    try:
        _update(git, "\n".join(lines), why)
    except Busy:
        if not strays.sweep(git):
            raise
        _update(git, "\n".join(lines), why)


def move_each(git: Git, moves: Iterable[Move], why: str) -> None:
    """Move each of these refs that still has its old value; one that somebody has moved is left as it is."""
    for each in moves:
        with contextlib.suppress(Moved):
            move(git, [each], why)


def _update(git: Git, lines: str, why: str) -> None:
    command = ("update-ref", "-m", f"agentos: {why}", "--stdin")
    try:
        with strays.moving(git) as mark:
            git.run(*command, stdin=lines.encode(), pass_fds=(mark,))
    except GitFailed as error:
        if re.search(r"but expected|reference already exists|unable to resolve|is at ", error.stderr):
            raise Moved("The branch or a claim was moved meanwhile.") from None
        lock = re.search(r"[Uu]nable to create (?:file )?'?([^']+?)'?: File exists", error.stderr)
        if lock:
            raise Busy(strays.explain(git, Path(lock[1]))) from None
        raise


@dataclass(frozen=True, slots=True)
class Claim:
    """An agent's hold on a task: the run that has it, and when it ends of itself (ISO 8601, UTC).

    `pid`, `started` and `boot` name the process on `host`; a pid alone is no proof. `is_alone` says that the
    process does nothing but this run.
    """

    task: str
    agent: str
    run: str
    expires: str
    pid: int = 0
    host: str = ""
    started: str = ""
    boot: str = ""
    is_alone: bool = False

    @property
    def ref(self) -> str:
        return claim_ref(self.task)

    @property
    def data(self) -> bytes:
        """The blob that the ref points to."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "task"}
        return (json.dumps(fields, sort_keys=True) + "\n").encode()


def claim_ref(task: str) -> str:
    """The ref that stands for a claim on this task. Raises Invalid for a name that git refuses."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", task):
        raise Invalid(f"{task!r} can't be claimed: a task's name has only letters, digits, - and _.")
    return CLAIMS + task


def parse_claim(task: str, data: bytes) -> Claim:
    """The claim that a blob holds; one that can't be read has expired long ago."""
    try:
        fields = json.loads(data)
        return Claim(
            task, str(fields["agent"]), str(fields["run"]), str(fields["expires"]),
            int(fields.get("pid", 0)), str(fields.get("host", "")), str(fields.get("started", "")),
            str(fields.get("boot", "")), fields.get("is_alone") is True,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return Claim(task, "", "", "1970-01-01T00:00:00Z")

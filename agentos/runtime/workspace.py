"""Workspaces: the private clone of a task, what is handed in from it, and what is saved of a failed run."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Conflict, Invalid
from agentos.model.activity import Actor
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.words import Status
from agentos.runtime import clones, handing, near, orphans, provision, quarantine
from agentos.runtime.clones import Start
from agentos.runtime.failures import CheckedOut
from agentos.runtime.near import ALL
from agentos.runtime.sandbox import Sandbox, find
from agentos.store import branches, joining, patch, refs
from agentos.store.objects import Objects
from agentos.store.refs import Move
from agentos.store.repository import Store

SALVAGE = "refs/agentos/salvage/"
KEPT = timedelta(days=30)
"""How long the work of a failed run is kept."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A task's clone, ready for a run.

    `base` is the commit of the board's branch that the work is measured against, `parent` the one that what
    is handed in will follow, `tip` where the branch stands in the person's repository (empty: nowhere yet).
    """

    task: str
    path: Path
    home: Path
    branch: str
    base: str
    reads: tuple[Path, ...] = ()
    parent: str = ""
    tip: str = ""
    sandbox: str = "bubblewrap"
    near: tuple[str, ...] = ALL
    """The tasks whose records are there."""


class Handed(NamedTuple):
    """What a run handed in: the branch's commit, and what it left out with the reasons."""

    commit: str
    base: str
    change: bytes = b""
    """What the branch now differs in from its base, as a patch; empty where it does not."""
    left_out: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.change


def branch_of(task: str) -> str:
    return f"agentos/{task}"


def prepare(store: Store, board: Board, task: Task, agent: Agent, sandbox: Sandbox) -> Workspace:
    """The task's clone on its branch, with salvaged work in it and set up.

    For a review nothing is left of earlier runs but what is on the branch, so that no check meets a tool that
    the author has changed. Raises CheckedOut while the branch is, but not for a review, AgentOSError for a
    set-up that failed, Invalid for a task's name or a mount that can't be.
    """
    refs.claim_ref(task.id)
    settings = board.config.workspace
    start = _start(store, task.id, board.commit, is_review=task.status is Status.REVIEW)
    start = replace(start, near=ALL if settings.records == "all" else near.tasks(board, task))
    path, home = store.local / "workspaces" / task.id, _home(store, task.id, agent)
    for folder in (path.parent, home, store.local / "setups"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    plan = provision.plan(store, settings, start, sandbox)
    is_known = path.is_dir() and provision.is_done(store, task.id, plan)
    is_fetched = settings.submodules or settings.lfs
    is_fresh = task.status is Status.REVIEW or is_fetched or not is_known
    if is_fetched:
        clones.wipe(path)
    made = () if is_fresh else provision.made(store, task.id)
    origin = clones.origin(store) if is_fetched else ""
    email, index = f"{agent.name}@agentos.invalid", provision.index(store, task.id)
    clone = clones.Clone(store, path, start, sandbox, email, origin, index)
    if clone.check_out(made, is_fresh):
        provision.set_up(clone, task.id, plan)
    reads = (*clone.reads, *provision.mounts(settings))
    place = (start.branch, start.base, reads, start.parent, start.tip)
    return Workspace(task.id, path, home, *place, sandbox=sandbox.name, near=start.near)


def _home(store: Store, task: str, agent: Agent) -> Path:
    """The agent's private home; for checks an empty one.

    Checks run the code of all authors: what one of them leaves in a home, such as Python's `usercustomize`,
    would run in the checks of the next.
    """
    if agent.agentos.runner != "checks":
        return store.local / "homes" / agent.name
    home = _home_of_checks(store, task)
    clones.wipe(home)
    return home


def _home_of_checks(store: Store, task: str) -> Path:
    return store.local / "homes" / ".checks" / task


def _start(store: Store, task: str, head: str | None, *, is_review: bool) -> Start:
    """Where the task's next run begins: on its branch or the board's, and with what was salvaged.

    A review sees the branch alone, as it would be merged now; where that has conflicts, as it is.
    """
    branch = branch_of(task)
    if head is None:
        raise Invalid(f"{store.branch} has no commit yet, so there is nothing to work on.")
    tip = branches.tip(store.git, task) or "" if is_review else _tip(store, branch)
    base = parent = head
    if tip and not _is_ancestor(store, tip, head):
        found = branches.grew_from(store.git, head, tip)
        if found is None:
            raise Invalid(f"{branch} and {store.branch} have no common history; rename that branch.")
        base, parent = found, tip
    if is_review:
        seen = _merged(store, head, tip) if parent == tip else parent
        return Start(branch, base, seen, seen, tip)
    for saved, before in _salvaged(store, task):
        if before == parent:
            return Start(branch, base, parent, saved, tip)
        if not tip and _is_ancestor(store, before, head):
            return Start(branch, before, before, saved, tip)
        break
    return Start(branch, base, parent, parent, tip)


def _merged(store: Store, head: str, tip: str) -> str:
    """A commit of the branch merged with the board's, which no ref has; the branch's own where they clash."""
    tree = joining.preview(store.git, head, tip)
    if tree is None:
        return tip
    who = f"agentos <agentos@agentos.invalid> {int(store.clock().timestamp())} +0000"
    lines = (f"tree {tree}", f"parent {tip}", f"parent {head}", f"author {who}", f"committer {who}")
    objects = Objects(store.git)
    made = objects.write("commit", "\n".join((*lines, "", "As it would be merged", "")).encode())
    objects.flush()
    objects.close()
    return made


def _tip(store: Store, branch: str) -> str:
    """Where the branch stands, or nothing. Raises CheckedOut while somebody has it."""
    line = store.git.text("for-each-ref", "--format=%(objectname) %(worktreepath)", f"refs/heads/{branch}")
    tip, _, place = line.partition(" ")
    if place and Path(place).is_dir():
        raise CheckedOut(f"{branch} is checked out in {place}; switch to another branch there first.")
    return tip


def _is_ancestor(store: Store, one: str, other: str) -> bool:
    """Whether `other` contains `one`: nothing is reachable from the one alone."""
    return store.git.text("rev-list", "--max-count=1", one, f"^{other}") == ""


def collect(
    store: Store,
    ws: Workspace,
    by: Actor,
    message: str,
    allow: Sequence[str] = (),
    vet: Callable[[bytes], None] = lambda patch: None,
) -> Handed:
    """Hand in the files of the workspace as one commit on the task's branch in the person's repository.

    Nothing of the clone's own git is read or run: the files are looked at inside the sandbox, and only
    objects that the commit needs, checked one by one, come out. Left out are records, policy and links that
    lead outside, but for what `allow` lets pass; `left_out` names them. No commit is made where nothing
    changed. `vet` sees the difference before the branch has it, and raises for what must never be in its
    history. Raises Conflict where the branch has moved since `prepare`, Refused for more than a person could
    review.
    """
    if _tip(store, ws.branch) != ws.tip:
        raise Conflict(f"{ws.branch} was moved while the agent worked; the next run goes on from there.")
    commit, left_out = _take(store, ws, by, message, allow)
    change = b""
    if commit is not None:
        change = patch.diff(store.git, ws.parent, commit)
        vet(change)
        why = f"handed in by {by.name}"
        try:
            refs.move(store.git, [Move(f"refs/heads/{ws.branch}", ws.tip or None, commit)], why)
        except refs.Moved:
            raise Conflict(f"{ws.branch} was moved while the agent worked; try again.") from None
    done = commit or ws.parent
    if ws.base != ws.parent:
        change = patch.diff(store.git, ws.base, done)
    return Handed(done, ws.base, change, left_out)


def salvage(store: Store, ws: Workspace, run: str, allow: Sequence[str] = ()) -> str | None:
    """Keep what a failed run left in a ref of its own; the next `prepare` goes on from there.

    None where there is nothing to save. What was kept for 30 days is let go.
    """
    _expire(store)
    by = Actor("agentos", is_agent=True)
    commit, _ = _take(store, ws, by, f"{ws.task}: saved from run {run}", allow)
    if commit is None:
        return None
    ref = f"{SALVAGE}{ws.task}/{re.sub('[^A-Za-z0-9_-]', '-', run)}"
    refs.move(store.git, [Move(ref, None, commit)], f"saved from run {run}")
    return ref


def _take(
    store: Store, ws: Workspace, by: Actor, message: str, allow: Sequence[str]
) -> tuple[str | None, tuple[str, ...]]:
    """The commit of what the files now are, or none where nothing changed; and what was left out."""
    sandbox = find("off" if ws.sandbox == "off" else "auto")
    with clones.box(store) as box:
        (box / "look").mkdir()
        made = provision.made(store, ws.task)
        pack = handing.look(store, sandbox, ws.path, ws.parent, box / "look", made, ws.near)
        with quarantine.opened(store, ws.parent, box / "held", allow) as held:
            tree, left_out = held.take(pack)
            if tree is None:
                return None, left_out
            text = f"{message.strip()}\n\nAgent: {by.name}\nTask: {ws.task}\n{branches.BASE}: {ws.base}\n"
            return held.commit(tree, by, text), left_out


def _salvaged(store: Store, task: str) -> list[tuple[str, str]]:
    """What was saved of this task's runs, newest first: each commit with the one it follows."""
    out = store.git.text(
        "for-each-ref", "--sort=-creatordate", "--format=%(objectname) %(parent)", f"{SALVAGE}{task}/"
    )
    return [(line.split()[0], line.split()[1]) for line in out.splitlines()]


def _expire(store: Store) -> None:
    """Let go of what was saved longer ago than it is kept."""
    out = store.git.text("for-each-ref", "--format=%(refname) %(objectname) %(creatordate:unix)", SALVAGE)
    saved = (line.split() for line in out.splitlines())
    old = [
        (ref, oid) for ref, oid, at in saved if store.clock() - datetime.fromtimestamp(int(at), UTC) > KEPT
    ]
    refs.move_each(store.git, [Move(ref, oid, None) for ref, oid in old], "kept for 30 days")


def sweep(store: Store, board: Board) -> list[str]:
    """Remove the workspaces of tasks that are done or gone, where nobody is at work; names them.

    What killed runs left half done goes too.
    """
    clones.sweep(store)
    orphans.sweep()
    place = store.local / "workspaces"
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    if all(_is_open(board, name) for name in names):
        return []
    board, held = store.board(), store.refs().claims  # as they are after the names: a run claims first
    over = [name for name in names if not _is_open(board, name) and name not in held]
    for name in over:
        clones.wipe(place / name)
        clones.wipe(_home_of_checks(store, name))
        provision.forget(store, name)
    return over


def _is_open(board: Board, name: str) -> bool:
    return name in board.tasks and board.tasks[name].is_open


def diff(store: Store, base: str, commit: str) -> bytes:
    """The difference as a patch, for review: no attribute, text conversion or setting hides any of it."""
    return patch.diff(store.git, store.git.commit_of(base), store.git.commit_of(commit))

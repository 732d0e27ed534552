"""The state of a board and its clone: everything that is wrong or odd, and what follows from it."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentos.errors import AgentOSError, Conflict
from agentos.model import times, working
from agentos.model.board import Board, Problem
from agentos.store import bases, branches, clone, condition, driver, index, journal, strays, worktree
from agentos.store.git import Git
from agentos.store.refs import Refs
from agentos.store.repository import Store


@dataclass(frozen=True, slots=True)
class Health:
    """The problems of the board's files, and notes about the clone, none of which is a problem of a file."""

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def examine(store: Store, at: str | None = None) -> Health:
    """Look at everything; changes nothing."""
    board = store.board(at)
    problems = store.located(working.all_problems(board), at)
    notes = (*_notes(store), *_unmerged(store, board)) if at is None else ()
    return Health(tuple(sorted(problems)), tuple(dict.fromkeys(notes)))


def _unmerged(store: Store, board: Board) -> Iterator[str]:
    """The tasks that are done, though their work is not in the board's branch."""
    for name in branches.unmerged(store.git, board.commit) if board.commit else ():
        task = board.tasks.get(name)
        parts = board.children.get(name, ())
        if task is not None and task.is_completed and not task.pr and not any(part.merges for part in parts):
            yield f"{task.short} is done, but its branch was not merged: agentos review {task.short}."


def _notes(store: Store) -> Iterator[str]:
    now = store.refs()
    yield from _set_up(store)
    busy = list(_busy(store.git.common_dir, store.branch))
    if now.worktree is not None:
        yield from _worktree(store, store.git_at(now.worktree), now)
    elif not busy:
        yield f"{store.branch} is checked out nowhere: commands work, hand edits are not seen."
    yield from busy
    lock = store.git.common_dir / f"{store.ref}.lock"
    if lock.exists():
        yield strays.explain(store.git, lock)
    if journal.read(store.local / "journal"):
        yield "A transaction did not finish; the next command that writes finishes it."
    clock = store.clock()
    for claim in store.claims():
        if times.parse(claim.expires) <= clock:
            yield f"The claim of {claim.agent} on {claim.task} has expired; the next tick releases it."


def _set_up(store: Store) -> Iterator[str]:
    """What this clone lacks."""
    if not store.identity:
        yield "This clone was not set up; agentos init does it (it changes nothing on the board)."
    elif not clone.has_driver(store.git):
        yield "This clone's git merges records by lines; agentos doctor --mend sets the merge driver up."
    if driver.lacking(store.committed(".gitattributes")):
        yield ".gitattributes does not name the merge driver for every record; agentos doctor --mend does it."
    try:
        store.person()
    except AgentOSError as error:
        yield str(error)


def _worktree(store: Store, git: Git, now: Refs) -> Iterator[str]:
    """What git is in the middle of where the branch is checked out, and which edits wait for what."""
    yield from _busy(git.git_dir)
    lock = index.lock_file(git)
    if lock.exists():
        yield f"Nothing is committed: {strays.explain(git, lock)}"
    unmerged = condition.unmerged(git, store.prefix)
    for path, is_deleted in sorted(unmerged.items()):
        if is_deleted:
            yield (
                f"{path} was edited on one side and deleted on the other. The edit should win: "
                f"git add {shlex.quote(path)} (git rm deletes it all the same)."
            )
        else:
            yield f"{path} is in conflict: edit it until it reads cleanly, then git add {shlex.quote(path)}."
    unseen = condition.unseen(git, store.prefix)
    if unseen:
        yield f"git was told not to look at {_some(unseen)}; edits there are not adopted."
    listed = condition.staged(git, store.prefix, now.head) if now.head else []
    staged = [path for path in listed if path not in unmerged]
    if staged:
        yield f"Staged and waiting for your commit: {_some(staged)}."
    waiting = sorted(bases.load(store.local))
    if waiting:
        yield f"The board moved on below your edits of {_some(waiting)}; once they read, they are merged."


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def _busy(git_dir: Path, branch: str | None = None) -> Iterator[str]:
    """What git is in the middle of there, if anything."""
    try:
        worktree.require_quiet(git_dir, branch)
    except Conflict as busy:
        yield f"Nothing is committed: {busy}"

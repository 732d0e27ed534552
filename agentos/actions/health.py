"""The state of a board and its clone: everything that is wrong or odd, and what follows from it."""

from dataclasses import dataclass
from pathlib import Path

from agentos.errors import AgentOSError, Conflict
from agentos.model import times, working
from agentos.model.board import Problem
from agentos.store import index, journal, worktree
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
    return Health(tuple(sorted(problems)), tuple(_notes(store)) if at is None else ())


def _notes(store: Store) -> list[str]:
    notes = []
    now = store.refs()
    if not store.identity:
        notes.append("This clone was not set up; agentos init does it (it changes nothing on the board).")
    try:
        store.person()
    except AgentOSError as error:
        notes.append(str(error))
    if now.worktree is None:
        notes.append(f"{store.branch} is checked out nowhere: commands work, hand edits are not seen.")
    else:
        git = store.git_at(now.worktree)
        notes += _busy(git.git_dir)
        lock = index.lock_file(git)
        if lock.exists():
            notes.append(
                f"{lock} exists: a git process is at work, or one died. Nothing is committed meanwhile."
            )
    notes += _busy(store.git.common_dir, store.branch)
    if journal.read(store.local / "journal"):
        notes.append("A transaction did not finish; the next command that writes finishes it.")
    clock = store.clock()
    for claim in store.claims():
        if times.parse(claim.expires) <= clock:
            notes.append(
                f"The claim of {claim.agent} on {claim.task} has expired; the next tick releases it."
            )
    return list(dict.fromkeys(notes))


def _busy(git_dir: Path, branch: str | None = None) -> list[str]:
    """What git is in the middle of there, if anything."""
    try:
        worktree.require_quiet(git_dir, branch)
    except Conflict as busy:
        return [f"Nothing is committed: {busy}"]
    return []

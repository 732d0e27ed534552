"""Transactions: read, decide, write and commit under the lock; all or nothing."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from agentos.errors import AgentOSError, Conflict, notes
from agentos.model.activity import Actor
from agentos.model.activity import subject as subject_of
from agentos.model.changes import Change
from agentos.store import handwork, index, recovery, refs, snapshot, worktree
from agentos.store.cache import uncollected
from agentos.store.committing import Committer, Words
from agentos.store.draft import Draft
from agentos.store.lock import board_lock
from agentos.store.objects import Objects
from agentos.store.repository import Store

T = TypeVar("T")
Decide = Callable[[Draft], T]

POLITE = 3
"""Tries that leave `index.lock` to others until the very end."""

LONGEST = 60.0
"""Seconds for which a transaction starts anew because somebody moves the branch in between."""


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """What a transaction did.

    `value` is what its function returned, `commit` None where that changed nothing, `adopted` what was
    committed for the person before.
    """

    value: T
    commit: str | None
    changes: tuple[Change, ...]
    adopted: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def transact(
    store: Store,
    decide: Decide[T],
    by: Actor,
    *,
    subject: str | None = None,
    trailers: Sequence[tuple[str, str]] = (),
    mark: str = "",
    verb: str = "",
) -> Result[T]:
    """Run `decide` on the board as it is under the lock, and commit what it changed as `by`.

    Hand edits are adopted first, as a commit of the person's. `decide` may run more than once: when somebody
    moves the branch at the same moment it is asked again on the new head. `subject` replaces the line made
    from the changes, `mark` is added to it; `verb` says of every record what happened, where that is not what
    its change looks like. Raises what `decide` raises, and Conflict while git is busy; what was committed for
    the person by then is a note of the error (`errors.notes`).
    """
    with board_lock(store.local / "lock") as handle, uncollected():
        until = time.monotonic() + LONGEST
        store = replace(store, git=replace(store.git, held=(handle,)))
        objects = Objects(store.git)
        stands: list[str] = []
        try:
            recovery.recover(store, objects)
            for count in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
                try:
                    with _undisturbed(store, count) as is_held:
                        words = Words(subject, mark, verb, tuple(trailers))
                        return _attempt(Committer(store, objects, is_held, stands), decide, by, words)
                except refs.Moved as moved:
                    stands = list(notes(moved))
                    objects.forget()
        finally:
            objects.close()
    late = Conflict("The branch is moved faster than a transaction can finish; try again.")
    for note in stands:
        late.add_note(note)
    raise late


@contextmanager
def _undisturbed(store: Store, tries: int) -> Iterator[bool]:
    """After some tries, git's `index.lock` from the first look at the branch on; gives whether it is held.

    Who commits without pause would else always be faster.
    """
    top = store.refs().worktree if tries >= POLITE else None
    if top is None:
        yield False
        return
    with index.held(store.git_at(top), store.local):
        yield True


def _attempt(committer: Committer, decide: Decide[T], by: Actor, words: Words) -> Result[T]:
    """One try at a transaction, under the lock."""
    store, objects = committer.store, committer.objects
    now = store.refs()
    worktree.require_quiet(store.git.common_dir, store.branch)
    if now.worktree is not None:
        worktree.require_quiet(store.git_at(now.worktree).git_dir)
    found = snapshot.read(store.git, objects, now.tree, store.prefix, store.local / "cache")
    taken = handwork.take(committer, now, found)
    draft = Draft(found, taken.now, objects, by, store.moment(), taken.waiting)
    try:
        value = decide(draft)
        commit, changes = committer.commit(draft, words, found)
    except (AgentOSError, OSError) as error:
        by_hand = [f"{subject_of(taken.changes)}  (by hand)"] if taken.changes else []
        for note in (*committer.notes, *by_hand):
            error.add_note(note)
        raise
    found.save(store.local / "cache")
    return Result(value, commit, tuple(changes), tuple(taken.changes), tuple(committer.notes))

"""Transactions: read, decide, write and commit under the lock; all or nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from agentos.errors import Conflict
from agentos.model import activity as said
from agentos.model import working
from agentos.model.activity import Activity, Actor
from agentos.model.board import Problem
from agentos.model.changes import Change, diff
from agentos.model.consequences import consequences
from agentos.store import (
    adoption,
    bases,
    feed,
    handpage,
    index,
    page,
    publication,
    recovery,
    refs,
    snapshot,
    worktree,
)
from agentos.store.cache import Snapshot
from agentos.store.draft import Draft
from agentos.store.lock import board_lock
from agentos.store.objects import Objects
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.worktree import HandEdit

T = TypeVar("T")
Decide = Callable[[Draft], T]

TRIES = 50
"""How often a transaction starts anew because somebody moved the branch in between."""


@dataclass(frozen=True, slots=True)
class Result(Generic[T]):
    """What a transaction did: what its function returned, the commit (None: nothing changed), and notes."""

    value: T
    commit: str | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()


def transact(
    store: Store,
    decide: Decide[T],
    by: Actor,
    *,
    subject: str | None = None,
    trailers: Sequence[tuple[str, str]] = (),
    mark: str = "",
    patience: float = worktree.QUIET,
) -> Result[T]:
    """Run `decide` on the board as it is under the lock, and commit what it changed as `by`.

    Hand edits are adopted first, as a commit of the person's. `decide` may run more than once: when somebody
    moves the branch at the same moment it is asked again on the new head. `subject` replaces the line made
    from the changes, `mark` is added to it. `patience` is how many seconds to wait for hand edits to settle.
    Raises what `decide` raises, and Conflict while git is busy.
    """
    with board_lock(store.local / "lock") as handle:
        for _ in range(TRIES):
            attempt = _Attempt(store, by, handle)
            try:
                return attempt.run(decide, _Words(subject, mark, tuple(trailers)), patience)
            except index.IndexBusy:
                raise
            except refs.Moved:
                time.sleep(0.001)
            finally:
                attempt.objects.close()
    raise Conflict("The branch is moved faster than a transaction can finish; try again.")


@dataclass(frozen=True, slots=True)
class _Words:
    """What the commit shall say beyond what its changes say of themselves."""

    subject: str | None = None
    mark: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


class _Attempt:
    """One try at a transaction, under the lock."""

    def __init__(self, store: Store, by: Actor, handle: int) -> None:
        self.store = store
        self.by = by
        self.handle = handle
        self.objects = Objects(store.git)
        self.notes: list[str] = []

    def run(self, decide: Decide[T], words: _Words, patience: float) -> Result[T]:
        store = self.store
        recovery.recover(store, self.objects)
        now = store.refs()
        if now.worktree is not None:
            worktree.require_quiet(store.git_at(now.worktree).git_dir)
        found = snapshot.read(store.git, self.objects, now.tree, store.prefix, store.local / "cache")
        edits = adoption.settled(store, now, found, self.objects, patience)
        waiting = adoption.waiting(edits)
        if adoption.is_on(found) and self._adopt(now, found, edits, waiting):
            now = store.refs()
        draft = Draft(found.files, now, self.objects, self.by, self._moment(), waiting)
        value = decide(draft)
        commit, changes = self._commit(draft, words, found)
        found.save(store.local / "cache")
        return Result(value, commit, tuple(changes), tuple(self.notes))

    def _adopt(
        self, now: Refs, found: Snapshot, edits: Sequence[HandEdit], waiting: Mapping[str, Problem]
    ) -> bool:
        """Commit what the person saved, in their name; gives whether there was anything."""
        store = self.store
        taken = adoption.adoptable(store, now, found, edits) if edits else []
        written = handpage.find(store, now, self.objects)
        if not taken and written is None:
            return False
        draft = Draft(found.files, now, self.objects, store.person(), self._moment(), waiting)
        adoption.apply(draft, taken, bases.load(store.local), store.prefix)
        if written is not None:
            self.notes += handpage.apply(draft, written)
        if not draft.written and written is not None:
            handpage.put_back(store, now, self.objects, written)
        return self._commit(draft, _Words(), found)[0] is not None

    def _moment(self) -> datetime:
        return self.store.clock().astimezone(UTC)

    def _commit(self, draft: Draft, words: _Words, found: Snapshot) -> tuple[str | None, list[Change]]:
        """Publish what a draft changed, with its consequences and WORKING.md; nothing where nothing did."""
        head = draft.refs.head
        changes: list[Change] = []
        adoption.number(draft)
        if draft.written:
            for task in consequences(draft.before, draft.board):
                draft.follow(task)
            changes = diff(draft.before, draft.board)
        elif draft.moves or feed.is_known(self.store, head):
            self._move_only(draft)
            return None, []
        activities = feed.latest(self.store, self.objects, head)
        if not draft.written and not page.is_stale(self.store, self.objects, draft, activities):
            feed.keep(self.store, head, activities)
            return None, []
        happened = said.events(changes)
        line = (words.subject or said.subject(changes)) + words.mark
        if draft.written:
            fresh = Activity("", draft.now, draft.by.shown, line, tuple(happened))
            activities = [fresh, *activities][: working.MOST_ACTIVITIES]
        text = page.compose(draft, activities, page.updated(self.store, self.objects, draft))
        draft.written[working.PATH] = text.encode()
        message = said.message(line, happened, draft.by, words.trailers)
        done = publication.publish(self.store, self.objects, draft, message, line, self.handle)
        self.notes += done.notes
        draft.update(found, done.tree)
        feed.keep(self.store, done.commit, activities)
        return done.commit, changes

    def _move_only(self, draft: Draft) -> None:
        if draft.moves:
            self.objects.flush()
            refs.move(self.store.git, draft.moves, "claims", (self.handle,))

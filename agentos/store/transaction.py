"""Transactions: read, decide, write and commit under the lock; all or nothing."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from agentos.errors import Conflict
from agentos.model import activity as said
from agentos.model import renames, working
from agentos.model.activity import Activity, Actor
from agentos.model.board import Board, Problem
from agentos.model.changes import Change, diff
from agentos.model.consequences import consequences
from agentos.store import (
    adoption,
    feed,
    handpage,
    healing,
    index,
    mending,
    names,
    page,
    publication,
    recovery,
    refs,
    renaming,
    snapshot,
    worktree,
)
from agentos.store.cache import Snapshot, uncollected
from agentos.store.draft import Draft
from agentos.store.lock import board_lock
from agentos.store.names import Gone
from agentos.store.objects import Objects
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.rows import MARKERS
from agentos.store.worktree import HandEdit

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
    quiet: float = snapshot.QUIET,
) -> Result[T]:
    """Run `decide` on the board as it is under the lock, and commit what it changed as `by`.

    Hand edits are adopted first, as a commit of the person's. `decide` may run more than once: when somebody
    moves the branch at the same moment it is asked again on the new head. `subject` replaces the line made
    from the changes, `mark` is added to it; `verb` says of every record what happened, where that is not what
    its change looks like. `quiet` is for how many seconds a hand edit must have been left
    alone. Raises what `decide` raises, and Conflict while git is busy.
    """
    with board_lock(store.local / "lock") as handle, uncollected():
        until = time.monotonic() + LONGEST
        store = replace(store, git=replace(store.git, held=(handle,)))
        objects = Objects(store.git)
        try:
            recovery.recover(store, objects)
            for count in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
                try:
                    with _undisturbed(store, count) as is_held:
                        attempt = _Attempt(store, by, objects, is_held)
                        return attempt.run(decide, _Words(subject, mark, verb, tuple(trailers)), quiet)
                except refs.Moved:
                    objects.forget()
        finally:
            objects.close()
    raise Conflict("The branch is moved faster than a transaction can finish; try again.")


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


@dataclass(frozen=True, slots=True)
class _Words:
    """What the commit shall say beyond what its changes say of themselves."""

    subject: str | None = None
    mark: str = ""
    verb: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


def _has_marked(found: Snapshot) -> bool:
    """Whether some committed file has conflict markers."""
    return any(reason == MARKERS for file in found.files.values() for _, reason, _ in file[3])


class _Attempt:
    """One try at a transaction, under the lock."""

    def __init__(self, store: Store, by: Actor, objects: Objects, has_index: bool) -> None:
        self.store = store
        self.by = by
        self.objects = objects
        self.has_index = has_index
        self.notes: list[str] = []

    def run(self, decide: Decide[T], words: _Words, quiet: float) -> Result[T]:
        store = self.store
        now = store.refs()
        worktree.require_quiet(store.git.common_dir, store.branch)
        if now.worktree is not None:
            worktree.require_quiet(store.git_at(now.worktree).git_dir)
        found = snapshot.read(store.git, self.objects, now.tree, store.prefix, store.local / "cache")
        edits = adoption.settled(store, now, found, self.objects, quiet)
        gone = names.load(store.local, self._moment())
        waiting = adoption.waiting(found, edits, gone)
        adopted: list[Change] = []
        if adoption.is_on(found):
            if edits and self._heal(now, found, edits, waiting):
                now = store.refs()
                edits = adoption.settled(store, now, found, self.objects, quiet)
            commit, adopted = self._adopt(now, found, edits, waiting, gone)
            now = store.refs() if commit else now
        draft = Draft(found.files, now, self.objects, self.by, self._moment(), waiting)
        value = decide(draft)
        commit, changes = self._commit(draft, words, found)
        found.save(store.local / "cache")
        return Result(value, commit, tuple(changes), tuple(adopted), tuple(self.notes))

    def _heal(
        self, now: Refs, found: Snapshot, edits: Sequence[HandEdit], waiting: Mapping[str, Problem]
    ) -> bool:
        """Commit anew what a person's racing `git commit` turned back; gives whether there was anything."""
        store = self.store
        if now.head is None or feed.is_known(store, now.head):
            return False
        files = [(edit.path, edit.data) for edit in edits if edit.path not in waiting]
        reverted = healing.find(store.git, self.objects, now.head, store.prefix, files)
        if not reverted:
            return False
        draft = Draft(found.files, now, self.objects, reverted[0].by, self._moment(), waiting)
        adoption.heal(draft, reverted, self.objects)
        written = handpage.find(store, now, self.objects)
        if written is not None and written.edited == written.base:
            handpage.found(draft, written)
        trailers = tuple(("Heals", commit) for commit in dict.fromkeys(each.ours for each in reverted))
        commit, _ = self._commit(draft, _Words(mark=" (again)", trailers=trailers), found)
        paths = ", ".join(each.path for each in reverted)
        self.notes.append(f"{paths}: a git commit at the same moment had turned this back; it stands again.")
        return commit is not None

    def _adopt(
        self,
        now: Refs,
        found: Snapshot,
        edits: Sequence[HandEdit],
        waiting: Mapping[str, Problem],
        gone: Mapping[str, Gone],
    ) -> tuple[str | None, list[Change]]:
        """Commit what the person saved, in their name; gives the commit, and what that changed."""
        store = self.store
        taken = adoption.adoptable(store, now, found, edits, waiting) if edits else []
        written = handpage.find(store, now, self.objects)
        is_marked = not feed.is_known(store, now.head) and _has_marked(found)
        if not taken and written is None and not is_marked:
            return None, []
        draft = Draft(found.files, now, self.objects, store.person(), self._moment(), waiting)
        news = adoption.apply(store, draft, taken, self.objects, gone)
        snapshot.require_format(draft.board)
        refused = handpage.apply(draft, written) if written is not None else []
        self.notes += refused
        if is_marked:
            self.notes += mending.merge_marked(store.git, self.objects, draft, store.prefix, is_certain=True)
        words = _Words(trailers=tuple((said.REFUSED, why) for why in refused))
        if not draft.written and refused and not handpage.is_said(store, draft, refused):
            draft.written[working.PATH] = b""
            words = replace(words, subject=handpage.SUBJECT)
        elif not draft.written and written is not None:
            handpage.put_back(store, now, self.objects, written)
        commit, changes = self._commit(draft, words, found)
        undo = f"`agentos undo {commit[:10]}` takes that back" if commit else ""
        self.notes += [f"{line}; {undo}." for line in news if commit]
        return commit, changes

    def _moment(self) -> datetime:
        return self.store.clock().astimezone(UTC)

    def _commit(self, draft: Draft, words: _Words, found: Snapshot) -> tuple[str | None, list[Change]]:
        """Publish what a draft changed, with its consequences and WORKING.md; nothing where nothing did."""
        head = draft.refs.head
        if draft.is_forward:
            return self._forward(draft)
        changes: list[Change] = []
        is_known = feed.is_known(self.store, head)
        before = draft.before if is_known else self._before(draft, found)
        adoption.number(draft, before)
        if draft.written or draft.joined or not is_known:
            self._follow(before, draft)
        if draft.written or draft.joined:
            changes = diff(draft.before, draft.board)
        elif draft.moves or is_known:
            self._move_only(draft)
            return None, []
        activities = feed.latest(self.store, self.objects, draft.heads)
        if (
            not draft.written
            and not draft.joined
            and not page.is_stale(self.store, self.objects, draft, activities)
        ):
            feed.keep(self.store, head, activities)
            return None, []
        own = diff(draft.arrived, draft.board) if draft.joined else changes
        happened = said.events(own, words.verb)
        line = (words.subject or said.subject(own)) + words.mark
        if draft.joined and not happened:
            happened = [said.Event(said.MERGED, draft.joined.name)]
            line = words.subject or f"Merge {draft.joined.name}"
        elif draft.written.keys() - {working.PATH}:
            fresh = Activity("", draft.now, draft.by.shown, line, tuple(happened))
            activities = [fresh, *activities][: working.MOST_ACTIVITIES]
        text = page.compose(draft, activities, page.updated(self.store, self.objects, draft))
        draft.written[working.PATH] = text.encode()
        renamed = draft.joined.renamed.items() if draft.joined else ()
        trailers = (*words.trailers, *(("Renamed", f"{old} {new}") for old, new in renamed))
        message = said.message(line, happened, draft.by, trailers)
        if draft.renamed:
            names.keep(self.store.local, draft.renamed, draft.now)
        done = publication.publish(self.store, self.objects, draft, message, line, self.has_index)
        self.notes += done.notes
        draft.update(found, done.tree)
        feed.keep(self.store, done.commit, activities)
        return done.commit, changes

    def _forward(self, draft: Draft) -> tuple[str, list[Change]]:
        """Bring the branch to a commit that has its head behind it: no commit of our own."""
        assert draft.joined is not None
        why = f"forward to {draft.joined.name}"
        done = publication.forward(self.store, self.objects, draft, why, self.has_index)
        self.notes += done.notes
        return done.commit, diff(draft.before, draft.board)

    def _follow(self, before: Board, draft: Draft) -> None:
        """Let everything follow that follows from what the draft says."""
        renamed = renames.renamed(before, draft.board)
        if renamed:
            renaming.follow(draft, renamed, self.store.git, self.store.prefix)
            old, new = before.tasks.rows, draft.board.tasks.rows
            paths = {old[name][0]: (new[fresh][0], old[name][1]) for name, fresh in renamed.items()}
            draft.renamed |= paths
        for task in consequences(before, draft.board):
            draft.follow(task)

    def _before(self, draft: Draft, found: Snapshot) -> Board:
        """The board at the last commit that was ours, where somebody has committed with plain git since."""
        last = feed.last_known(self.store)
        files = (
            snapshot.earlier(self.store.git, self.objects, found, last, self.store.prefix) if last else None
        )
        return draft.before if files is None else snapshot.assemble(last, files)

    def _move_only(self, draft: Draft) -> None:
        if draft.moves:
            self.objects.flush()
            refs.move(self.store.git, draft.moves, "claims")

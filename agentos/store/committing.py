"""Committing: a draft with all that follows from it becomes one commit, in words that say what happened."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentos.model import activity as said
from agentos.model import renames, working
from agentos.model.activity import Activity
from agentos.model.board import Board
from agentos.model.changes import Change, diff
from agentos.model.consequences import consequences
from agentos.store import adoption, feed, history, names, page, publication, refs, renaming, snapshot
from agentos.store.cache import Snapshot
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.repository import Store


@dataclass(frozen=True, slots=True)
class Words:
    """What the commit shall say beyond what its changes say of themselves."""

    subject: str | None = None
    mark: str = ""
    verb: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Committer:
    """What one try at a transaction commits with; `has_index`: it holds git's `index.lock` already."""

    store: Store
    objects: Objects
    has_index: bool
    notes: list[str] = field(default_factory=list)
    """What people should be told of it."""

    def commit(self, draft: Draft, words: Words, found: Snapshot) -> tuple[str | None, list[Change]]:
        """Publish what a draft changed, with its consequences and WORKING.md; nothing where nothing did."""
        if draft.is_forward:
            return self._forward(draft)
        head = draft.refs.head
        is_known = feed.is_known(self.store, head)
        before = draft.before if is_known else self._before(draft, found)
        adoption.number(draft, before)
        is_changed = bool(draft.written or draft.joined)
        if is_changed or not is_known:
            self._follow(before, draft)
            is_changed = bool(draft.written or draft.joined)
        if not is_changed and (draft.moves or is_known):
            self._move_only(draft)
            return None, []
        activities = feed.latest(self.store, self.objects, draft.heads)
        if not is_changed and not page.is_stale(self.store, self.objects, draft, activities):
            feed.keep(self.store, head, activities)
            return None, []
        changes = self._changes(draft) if is_changed else []
        return self._publish(draft, words, found, activities, changes), changes

    def _publish(
        self,
        draft: Draft,
        words: Words,
        found: Snapshot,
        activities: list[Activity],
        changes: Sequence[Change],
    ) -> str:
        """The commit of these changes, with the page as it is after them."""
        own = diff(draft.arrived, draft.board) if draft.joined else changes
        happened = said.events(own, words.verb)
        line = (words.subject or said.subject(own)) + words.mark
        if draft.joined and not happened:
            happened = [said.Event(said.MERGED, draft.joined.name)]
            line = words.subject or f"Merge {draft.joined.name}"
        elif draft.written.keys() - {working.PATH}:
            told = [said.Event.read(value) for key, value in words.trailers if key == "Event"]
            fresh = Activity("", draft.now, draft.by.shown, line, (*happened, *told))
            activities = [fresh, *activities][: working.MOST_ACTIVITIES]
        text = page.compose(draft, activities, page.updated(self.store, self.objects, draft))
        draft.written[working.PATH] = text.encode()
        renamed = draft.joined.renamed.items() if draft.joined else ()
        trailers = (*words.trailers, *(("Renamed", f"{old} {new}") for old, new in renamed))
        message = said.message(line, happened, draft.by, trailers)
        if draft.renamed:
            names.keep(self.store.local, draft.renamed, draft.now)
        done = publication.publish(self.store, self.objects, draft, message, line, self.has_index)
        self.notes.extend(done.notes)
        draft.update(found, done.tree)
        if not draft.joined:
            found.keep(draft.board, self.store.local / "cache")
        feed.keep(self.store, done.commit, activities)
        return done.commit

    def _changes(self, draft: Draft) -> list[Change]:
        """What the draft changed, read as closely as it is said."""
        was = draft.blob_before
        return history.read_closely(
            diff(draft.before, draft.board), lambda path: self.objects.blob(was(path) or ""), draft.text
        )

    def _forward(self, draft: Draft) -> tuple[str, list[Change]]:
        """Bring the branch to a commit that has its head behind it: no commit of our own."""
        assert draft.joined is not None
        why = f"forward to {draft.joined.name}"
        done = publication.forward(self.store, self.objects, draft, why, self.has_index)
        self.notes.extend(done.notes)
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
        return draft.before if files is None else snapshot.assemble(last, files, lambda: found.briefs)

    def _move_only(self, draft: Draft) -> None:
        if draft.moves:
            self.objects.flush()
            refs.move(self.store.git, draft.moves, "claims")

"""Handwork: what people did to the files since the last commit is committed before anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agentos.model import activity as said
from agentos.model import working
from agentos.model.board import Problem
from agentos.model.changes import Change
from agentos.store import adoption, feed, handpage, healing, mending, names, snapshot
from agentos.store.cache import Snapshot
from agentos.store.committing import Committer, Words
from agentos.store.draft import Draft
from agentos.store.names import Gone
from agentos.store.refs import Refs
from agentos.store.rows import MARKERS
from agentos.store.worktree import HandEdit


@dataclass(frozen=True, slots=True)
class Taken:
    """Where the branch stands now, the edits that wait with the reason, and what was committed for people."""

    now: Refs
    waiting: Mapping[str, Problem]
    changes: Sequence[Change] = ()


def take(committer: Committer, now: Refs, found: Snapshot) -> Taken:
    """Commit what was saved by hand and has been left alone for long enough, in the person's name.

    Before that, what a racing `git commit` turned back is set forward again.
    """
    store = committer.store
    edits = adoption.settled(store, now, found, committer.objects)
    again = adoption.saved_again(names.load(store.local, store.moment()), found, edits, committer.objects)
    waiting = adoption.waiting(found, edits, again)
    if not adoption.is_on(found):
        return Taken(now, waiting)
    if edits and _heal(committer, now, found, edits, waiting):
        now = store.refs()
        edits = adoption.settled(store, now, found, committer.objects)
    commit, changes = _adopt(committer, now, found, edits, waiting, again)
    return Taken(store.refs() if commit else now, waiting, changes)


def _heal(
    committer: Committer,
    now: Refs,
    found: Snapshot,
    edits: Sequence[HandEdit],
    waiting: Mapping[str, Problem],
) -> bool:
    """Commit anew what a person's racing `git commit` turned back; gives whether there was anything."""
    store, objects = committer.store, committer.objects
    if now.head is None or feed.is_known(store, now.head):
        return False
    files = [(edit.path, edit.data) for edit in edits if edit.path not in waiting]
    reverted = healing.find(store.git, objects, now.head, store.prefix, files)
    if not reverted:
        return False
    draft = Draft(found, now, objects, reverted[0].by, store.moment(), waiting)
    adoption.heal(draft, reverted, objects)
    written = handpage.find(store, now, objects)
    if written is not None and written.edited == written.base:
        handpage.found(draft, written)
    trailers = tuple(("Heals", commit) for commit in dict.fromkeys(each.ours for each in reverted))
    commit, _ = committer.commit(draft, Words(mark=" (again)", trailers=trailers), found)
    paths = ", ".join(each.path for each in reverted)
    committer.notes.append(f"{paths}: a git commit at the same moment had turned this back; it stands again.")
    return commit is not None


def _adopt(
    committer: Committer,
    now: Refs,
    found: Snapshot,
    edits: Sequence[HandEdit],
    waiting: Mapping[str, Problem],
    again: Mapping[str, Gone],
) -> tuple[str | None, list[Change]]:
    """Commit what the person saved, in their name; gives the commit, and what that changed."""
    store, objects = committer.store, committer.objects
    taken = adoption.adoptable(store, now, found, edits, waiting) if edits else []
    written = handpage.find(store, now, objects)
    is_marked = not feed.is_known(store, now.head) and _has_marked(found)
    if not taken and written is None and not is_marked:
        return None, []
    draft = Draft(found, now, objects, store.person(), store.moment(), waiting)
    news = adoption.apply(store, draft, taken, objects, again)
    snapshot.require_format(draft.board)
    refused = handpage.apply(draft, written) if written is not None else []
    committer.notes.extend(refused)
    if is_marked:
        committer.notes.extend(mending.merge_marked(store.git, objects, draft, store.prefix, is_certain=True))
    words = Words(trailers=tuple((said.REFUSED, why) for why in refused))
    if not draft.written and refused and not handpage.is_said(store, draft, refused):
        draft.written[working.PATH] = b""
        words = replace(words, subject=handpage.SUBJECT)
    elif not draft.written and written is not None:
        handpage.put_back(store, now, objects, written)
    commit, changes = committer.commit(draft, words, found)
    if commit:
        undo = f"`agentos undo {commit[:10]}` takes that back"
        committer.notes.extend(f"{line}; {undo}." for line in news)
    return commit, changes


def _has_marked(found: Snapshot) -> bool:
    """Whether some committed file has conflict markers."""
    return any(reason == MARKERS for file in found.files.values() for _, reason, _ in file[3])

"""Publication: a draft becomes a commit, and ref, working tree and index follow in an order that survives."""

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError, Invalid
from agentos.model.activity import Actor
from agentos.store import index, journal, recovery, refs
from agentos.store.draft import Draft
from agentos.store.git import GitFailed
from agentos.store.journal import Blobs, Paths
from agentos.store.objects import Objects
from agentos.store.refs import Move
from agentos.store.repository import Store


class Published(NamedTuple):
    """The commit, its tree, and a note for each working file that was left alone."""

    commit: str
    tree: str
    notes: tuple[str, ...]


class Behind(AgentOSError):
    """The commit stands, and something that follows from it does not yet; the next transaction sees to it."""

    def __init__(self, what: str, error: Exception) -> None:
        reason = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else str(error)
        super().__init__(
            f"{what} is committed, but not all files here could follow: {reason}. "
            "The next command brings them along once that is mended; see agentos log before you repeat yours."
        )


def publish(
    store: Store, objects: Objects, draft: Draft, message: str, why: str, has_index: bool
) -> Published:
    """Commit what the draft has written.

    Objects and journal are on disk first; then, under git's own `index.lock`, the ref moves from the draft's
    head, the working files and the index follow. Raises refs.Moved where the head is no longer the draft's,
    refs.Busy and index.IndexBusy; nothing has changed then. Raises Behind where the commit stands. After
    anything but the first three the journal stays, and recovery looks how far it came.
    """
    return _put(store, objects, draft, *_write_commit(store, objects, draft, message), why, has_index)


def forward(store: Store, objects: Objects, draft: Draft, why: str, has_index: bool) -> Published:
    """Bring the branch to the commit that the draft has joined, which has the head behind it."""
    assert draft.joined is not None
    return _put(store, objects, draft, draft.joined.theirs, draft.joined.tree, why, has_index)


def _put(
    store: Store, objects: Objects, draft: Draft, commit: str, tree: str, why: str, has_index: bool
) -> Published:
    paths = _paths(store, objects, draft)
    objects.flush()
    top, book = draft.refs.worktree, store.local / "journal"
    where = str(top) if top else None
    journal.write(
        book, journal.Entry(store.branch, draft.refs.head, commit, where, paths, tuple(draft.moves))
    )
    moves = [Move(store.ref, draft.refs.head, commit), *draft.moves]
    try:
        if top is None:
            notes: list[str] = []
            refs.move(store.git, moves, why)
            objects.confirm()
        else:
            notes = _bring_along(store, objects, top, paths, moves, why, has_index)
        journal.clear(book)
    except (refs.Moved, refs.Busy, index.IndexBusy):
        journal.clear(book)
        raise
    except (OSError, GitFailed) as error:
        if store.refs().head != commit:
            raise
        raise Behind(why, error) from error
    return Published(commit, tree, tuple(notes))


def _bring_along(
    store: Store, objects: Objects, top: Path, paths: Paths, moves: list[Move], why: str, has_index: bool
) -> list[str]:
    """Under git's `index.lock`: the refs, the working files and the index; gives notes."""
    git = store.git_at(top)
    with nullcontext() if has_index else index.held(git, store.local):
        is_indexed = index.prepare(git, paths, recovery.merged_stage(paths, objects))
        refs.move(store.git, moves, why)
        objects.confirm()
        notes = recovery.bring_files(store, top, paths, objects)
        if is_indexed:
            index.install(git)
    return notes


def _paths(store: Store, objects: Objects, draft: Draft) -> Paths:
    """Each touched path from the repository's top, with its blobs."""
    found = _joined(store, objects, draft) if draft.joined else {}
    for path, data in draft.written.items():
        full = store.prefix + path
        old = draft.blob_before(path) or objects.find(draft.refs.tree, full)
        new = draft.blob_id(data) if data is not None else None
        found[full] = Blobs(old, new, draft.found.get(path, old))
    return found


def _joined(store: Store, objects: Objects, draft: Draft) -> dict[str, Blobs]:
    """The files that a joined commit brings; those that are no plain records with their modes."""
    assert draft.joined is not None
    found = {}
    for full, new in draft.joined.files.items():
        old = objects.entry(draft.refs.tree, full)
        before, after = old.oid if old else None, new.oid if new else None
        blobs = Blobs(before, after, draft.joined.found.get(full, before))
        if not draft.joined.is_record(full):
            mode, was = (entry.mode.decode() if entry else "" for entry in (new, old))
            blobs = blobs._replace(mode=mode, was=was)
        found[full] = blobs
    return found


def _write_commit(store: Store, objects: Objects, draft: Draft, message: str) -> tuple[str, str]:
    """The commit and its tree."""
    blobs = {
        store.prefix + path: objects.write("blob", data) if data is not None else None
        for path, data in draft.written.items()
    }
    under = draft.joined.tree if draft.joined else draft.refs.tree
    _require_room(objects, draft.refs.worktree, under, blobs)
    tree = objects.tree_with(under, blobs) or objects.write("tree", b"")
    who = _ident(draft.by, draft.now)
    parents = "".join(f"parent {head}\n" for head in draft.heads)
    text = f"tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}"
    return objects.write("commit", text.encode(errors="surrogateescape")), tree


def _require_room(
    objects: Objects, top: Path | None, tree: str | None, blobs: Mapping[str, str | None]
) -> None:
    """Raises Invalid where a folder would take the place of a file, or a file that of a folder.

    What is there would be gone; where a person has done so in the working tree, it is meant.
    """
    written = [path for path, blob in blobs.items() if blob is not None]
    for path in written:
        if objects.is_folder(tree, path) and not (top and (top / path).is_file()):
            raise Invalid(f"{path} is a folder, and no file can take its place; take another name.")
    wanted = {path[:i] for path in written for i, char in enumerate(path) if char == "/"}
    for folder in sorted(wanted):
        is_file = blobs.get(folder, "") is not None and objects.entry(tree, folder)
        if is_file and not (top and (top / folder).is_dir()):
            raise Invalid(f"{folder} is a file, and nothing can be written below it; take another name.")


def _ident(by: Actor, moment: datetime) -> str:
    """The actor as a commit names them: `name <address> seconds zone`."""
    name = by.full_name or by.name
    email = by.email or f"{by.name}@agentos.invalid"
    clean = str.maketrans("", "", "<>\n\0")
    return f"{name.translate(clean).strip()} <{email.translate(clean)}> {int(moment.timestamp())} +0000"

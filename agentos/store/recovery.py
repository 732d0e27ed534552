"""Recovery: what a transaction does to files after its ref has moved, and finishing it for one that died."""

from pathlib import Path
from typing import TYPE_CHECKING

from agentos.store import index, journal, refs, worktree
from agentos.store.git import Git, GitFailed
from agentos.store.journal import Paths
from agentos.store.objects import Objects, blob_id

if TYPE_CHECKING:
    from agentos.store.repository import Store


def bring_files(top: Path, paths: Paths, objects: Objects) -> list[str]:
    """Write each file whose working copy is still what it was; gives a note for each that is not."""
    notes = []
    for path, (_, new, found) in paths.items():
        now = _working(top / path, objects.algorithm)
        if now == new:
            continue
        if now != found or worktree.is_behind_link(top, path):
            notes.append(f"{path} has edits of yours and was left as it is; the commit has the new version.")
            continue
        worktree.write(top, path, objects.blob(new) if new else None)
    return notes


def _working(file: Path, algorithm: str) -> str | None:
    """The blob that a working file is; None for no file, a word that is no blob for what is no plain file."""
    if file.is_symlink():
        return "link"
    try:
        return blob_id(file.read_bytes(), algorithm)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        return "folder"


def recover(store: "Store", objects: Objects) -> bool:
    """Finish or forget what a killed transaction left behind; gives whether there was anything.

    The caller holds the board's lock, so whoever wrote the journal is gone. Where the branch has the
    journal's commit, files and index entries that are still the old ones are brought forward; otherwise
    nothing outside the object store was touched.
    """
    book = store.local / "journal"
    if not book.exists():
        return False
    entry = journal.read(book)
    if entry is not None:
        git = store.git_at(Path(entry.worktree)) if entry.worktree else store.git
        index.break_lock(git, entry.lock)
        index.discard(git)
        if entry.worktree and _has(store, entry):
            _bring(store, git, entry, objects)
    journal.clear(book)
    return True


def _bring(store: "Store", git: Git, entry: journal.Entry, objects: Objects) -> None:
    """Files and index brought to the journal's commit, where the head still has what it says."""
    assert entry.worktree
    tree = store.refs().tree
    paths = {p: blobs for p, blobs in entry.paths.items() if objects.find(tree, p) == blobs.after}
    bring_files(Path(entry.worktree), paths, objects)
    token = index.token(store.local)
    with index.locked(git, token):
        if index.prepare(git, paths, lambda path, staged: None):
            index.install(git)
    token.unlink(missing_ok=True)


def _has(store: "Store", entry: journal.Entry) -> bool:
    """Whether the branch has the journal's commit."""
    head = refs.read(store.git, entry.branch).head
    if head is None or head == entry.new:
        return head == entry.new
    try:
        store.git.run("merge-base", "--is-ancestor", entry.new, head)
    except GitFailed:
        return False
    return True

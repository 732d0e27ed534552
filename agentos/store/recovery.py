"""Recovery: what a transaction does to files after its ref has moved, and finishing it for one that died."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.model import working
from agentos.store import bases, exchange, index, journal, merging, refs, worktree
from agentos.store.git import Git, GitFailed
from agentos.store.journal import Blobs, Paths
from agentos.store.objects import Objects, blob_id

if TYPE_CHECKING:
    from agentos.store.repository import Store


TRIES = 20
"""How often a file that is being saved at this very moment is tried again."""


def bring_files(store: "Store", top: Path, paths: Paths, objects: Objects) -> list[str]:
    """Bring the working files to what was committed, merging what a person saved meanwhile.

    Gives a note for each file that was left as it is; where it came from is remembered.
    """
    notes = []
    kept = bases.load(store.local)
    before = dict(kept)
    for path, blobs in paths.items():
        if _bring(top, path, blobs, objects):
            kept.pop(path, None)
        else:
            kept.setdefault(path, blobs.found)
            notes.append(f"{path} has edits of yours and was left as it is; the commit has the new version.")
    if kept != before:
        bases.save(store.local, kept)
    return notes


def _bring(top: Path, path: str, blobs: Blobs, objects: Objects) -> bool:
    """One file; False where it was left alone."""
    if worktree.is_behind_link(top, path) or (top / path).is_symlink() or (top / path).is_dir():
        return False
    after = objects.blob(blobs.after) if blobs.after else None
    for _ in range(TRIES):
        now = exchange.read(top / path)
        wanted: bytes | None
        if now == after:
            return True
        if _is(now, blobs.found, objects):
            wanted = after
        elif now is None or after is None or path.endswith(working.PATH):
            return False
        else:
            base = objects.blob(blobs.found) if blobs.found else None
            merged = merging.readable(path, base, now, after)
            if merged is None:
                return False
            wanted = merged
        try:
            exchange.put(top / path, now, wanted)
            return True
        except exchange.Surprise:
            continue
    return False


def _is(data: bytes | None, blob: str | None, objects: Objects) -> bool:
    return data is None if blob is None else data is not None and blob_id(data, objects.algorithm) == blob


def _sweep(top: Path, paths: Paths, objects: Objects) -> None:
    """Take away the files that a killed process left beside those it was writing.

    One may be what a person saved in the very instant in which names were exchanged: then it is merged in.
    """
    for path, blobs in paths.items():
        file = top / path
        for left in exchange.leftovers(file):
            data, now = exchange.read(left), exchange.read(file)
            found = objects.blob(blobs.found) if blobs.found else None
            after = objects.blob(blobs.after) if blobs.after else None
            if data is not None and now is None and data != found:
                exchange.put(file, None, data)
            elif _is_a_save(data, now, found, after):
                exchange.put(file, now, merging.readable(path, found, data or b"", after or b"") or data)
            left.unlink(missing_ok=True)


def _is_a_save(data: bytes | None, now: bytes | None, found: bytes | None, after: bytes | None) -> bool:
    """Whether what was left beside a finished file is neither of its versions, nor a part of the new one."""
    if data is None or after is None or now != after:
        return False
    return data != found and not after.startswith(data)


def merged_stage(paths: Paths, objects: Objects) -> Callable[[str, str], str | None]:
    """What to stage where the person has staged a path that a commit changed: both, merged."""

    def merge(path: str, staged: str) -> str | None:
        old, new, _ = paths[path]
        if new is None:
            return None
        base = objects.blob(old) if old else None
        data = merging.readable(path, base, objects.blob(staged), objects.blob(new))
        if data is None:
            return None
        oid = objects.write("blob", data)
        objects.flush()
        return oid

    return merge


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
        index.break_lock(git, store.local / index.TOKEN)
        index.discard(git)
        refs.break_locks(git, entry.branch, entry.new)
        if entry.worktree and _has(store, entry):
            _roll_forward(store, git, entry, objects)
        elif entry.worktree:
            _sweep(Path(entry.worktree), entry.paths, objects)
    journal.clear(book)
    return True


def _roll_forward(store: "Store", git: Git, entry: journal.Entry, objects: Objects) -> None:
    """Files and index brought to the journal's commit, where the head still has what it says."""
    assert entry.worktree
    tree = store.refs().tree
    _sweep(Path(entry.worktree), entry.paths, objects)
    paths = {p: blobs for p, blobs in entry.paths.items() if objects.find(tree, p) == blobs.after}
    bring_files(store, Path(entry.worktree), paths, objects)
    with index.held(git, store.local):
        if index.prepare(git, paths, merged_stage(paths, objects)):
            index.install(git)


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

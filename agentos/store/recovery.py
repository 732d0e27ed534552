"""Recovery: what a transaction does to files after its ref has moved, and finishing it for one that died."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.errors import NotFound
from agentos.model import working
from agentos.store import bases, exchange, index, journal, merging, refs, strays, worktree
from agentos.store.exchange import Shape
from agentos.store.git import Git, GitFailed
from agentos.store.journal import Blobs, Paths
from agentos.store.objects import LINK, SUBMODULE, Objects, blob_id

if TYPE_CHECKING:
    from agentos.store.repository import Store


TRIES, PAUSE = 20, 0.005
"""How often a file that is being saved at this very moment is tried again, and after how many seconds."""


def bring_files(store: "Store", top: Path, paths: Paths, objects: Objects) -> list[str]:
    """Bring the working files to what was committed, merging what a person saved meanwhile.

    Gives a note for each file that was left as it is; where it came from is remembered.
    """
    notes = []
    kept = bases.load(store.local)
    before = dict(kept)
    for path, blobs in sorted(paths.items(), key=_removals_first):
        bring = _bring_foreign if blobs.is_foreign else _bring
        if bring(top, path, blobs, objects):
            if blobs.after is None:
                _prune(top, path)
            kept.pop(path, None)
        else:
            if not blobs.is_foreign:
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
        try:
            now = exchange.read(top / path)
            if now == after:
                return True
            wanted = after
            if not _is(now, blobs.found, objects):
                if now is None or after is None or path.endswith(working.PATH):
                    return False
                base = objects.blob(blobs.found) if blobs.found else None
                wanted = merging.readable(path, base, now, after)
                if wanted is None:
                    return False
            exchange.put(top / path, now, wanted)
            return True
        except exchange.Surprise:
            time.sleep(PAUSE)
    return False


def _removals_first(item: tuple[str, Blobs]) -> tuple[bool, str]:
    """Files that go make room for folders of their name, and the other way round."""
    return item[1].after is not None, item[0]


def _bring_foreign(top: Path, path: str, blobs: Blobs, objects: Objects) -> bool:
    """A file that is no record: put in place only where it is what it was; False where it was left alone."""
    file = top / path
    if worktree.is_behind_link(top, path):
        return False
    if SUBMODULE.decode() in (blobs.mode, blobs.was):
        return _bring_submodule(file, blobs)
    wanted = Shape(blobs.mode, objects.blob(blobs.after)) if blobs.after else None
    for _ in range(TRIES):
        if file.is_dir() and not file.is_symlink() and not _is_removed(file):
            return False
        now = exchange.look(file)
        if now == wanted:
            return True
        if not is_shape(now, blobs.was, blobs.found, objects):
            return False
        try:
            exchange.put_shape(file, now, wanted)
            return True
        except exchange.Surprise:
            continue
    return False


def _bring_submodule(file: Path, blobs: Blobs) -> bool:
    """A submodule is a folder that git fills when it is asked to; what is in it is not touched."""
    if blobs.mode == SUBMODULE.decode():
        if not os.path.lexists(file):
            file.mkdir(parents=True)
        return file.is_dir()
    _is_removed(file)
    return True


def _is_removed(folder: Path) -> bool:
    """Remove a folder; False where something is in it."""
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def is_shape(now: Shape | None, mode: str, blob: str | None, objects: Objects) -> bool:
    """Whether this is the blob, as a link or as a file; what it may do is not looked at."""
    if now is None or blob is None:
        return now is None and blob is None
    is_link = now.mode == LINK.decode()
    return is_link == (mode == LINK.decode()) and blob_id(now.data, objects.algorithm) == blob


def _prune(top: Path, path: str) -> None:
    """Remove the folders that a removed file leaves empty, as git does; the board's own stay."""
    for folder in (top / path).relative_to(top).parents:
        if not folder.name or folder.match("board/tasks") or not _is_removed(top / folder):
            return


def _is(data: bytes | None, blob: str | None, objects: Objects) -> bool:
    return data is None if blob is None else data is not None and blob_id(data, objects.algorithm) == blob


def _sweep(top: Path, paths: Paths, objects: Objects) -> None:
    """Take away the files that a killed process left beside those it was writing.

    One may be what a person saved in the very instant in which names were exchanged: then it is merged in.
    """
    for path, blobs in paths.items():
        file = top / path
        for left in exchange.leftovers(file):
            if left.is_symlink() or file.is_symlink() or file.is_dir():
                left.unlink(missing_ok=True)
                continue
            with contextlib.suppress(exchange.Surprise):  # saved or closed just now: it stays beside the file
                _merge_left(left, file, path, blobs, objects)
                left.unlink(missing_ok=True)


def _merge_left(left: Path, file: Path, path: str, blobs: Blobs, objects: Objects) -> None:
    """Put what was left beside a file into it where it is somebody's save. Raises Surprise."""
    data, now = exchange.read(left), exchange.read(file)
    found = objects.blob(blobs.found) if blobs.found else None
    after = objects.blob(blobs.after) if blobs.after else None
    if data is not None and now is None and data != found and not (after or b"").startswith(data):
        exchange.put(file, None, data)
    elif data is not None and after is not None and _is_a_save(data, now, found, after):
        both = None if blobs.is_foreign else merging.readable(path, found, data, after)
        exchange.put(file, now, both or data)


def _is_a_save(data: bytes, now: bytes | None, found: bytes | None, after: bytes) -> bool:
    """Whether what was left beside a finished file is neither of its versions, nor a part of the new one."""
    return now == after and data != found and not after.startswith(data)


def merged_stage(paths: Paths, objects: Objects, is_moved: bool = False) -> Callable[[str, str], str | None]:
    """What to stage where the person has staged a path that a commit changed: both, merged.

    Where it is no record their version stays staged; before the branch has moved, Moved is raised instead.
    """

    def merge(path: str, staged: str) -> str | None:
        old, new = paths[path].before, paths[path].after
        if paths[path].is_foreign and not is_moved:
            raise refs.Moved(f"{path} was staged meanwhile.")
        if new is None or paths[path].is_foreign:
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
    strays.sweep(store.git)
    _free_index(store)
    if not book.exists():
        return False
    entry = journal.read(book)
    if entry is not None:
        git = _git_of(store, entry)
        if git is not None:
            index.discard(git)
        if _has(store, entry):
            _finish_moves(store, entry)
            if git is not None and entry.worktree:
                _roll_forward(store, git, entry, objects)
        elif git is not None and entry.worktree:
            _sweep(Path(entry.worktree), entry.paths, objects)
    journal.clear(book)
    return True


def _git_of(store: "Store", entry: journal.Entry) -> Git | None:
    """Git for the worktree that the entry is about; None where it was removed since, with all its files."""
    try:
        return store.git_at(Path(entry.worktree)) if entry.worktree else store.git
    except (NotFound, GitFailed):
        return None


def _free_index(store: "Store") -> None:
    """Give up the `index.lock` that a killed transaction held; it may have had no journal yet."""
    token = store.local / index.TOKEN
    if token.exists():
        top = store.refs().worktree
        if top is not None:
            index.break_lock(store.git_at(top), token)
        token.unlink(missing_ok=True)


def _finish_moves(store: "Store", entry: journal.Entry) -> None:
    """Refs that were to move with the branch; a killed git moves one after the other (its files backend)."""
    now = store.refs().claims
    left = [move for move in entry.moves if now.get(move.ref.removeprefix(refs.CLAIMS)) == move.old]
    if left:
        refs.move(store.git, left, "claims")


def _roll_forward(store: "Store", git: Git, entry: journal.Entry, objects: Objects) -> None:
    """Files and index brought to the journal's commit, where the head still has what it says."""
    assert entry.worktree
    tree = store.refs().tree
    _sweep(Path(entry.worktree), entry.paths, objects)
    paths = {p: blobs for p, blobs in entry.paths.items() if objects.find(tree, p) == blobs.after}
    bring_files(store, Path(entry.worktree), paths, objects)
    with index.held(git, store.local):
        if index.prepare(git, paths, merged_stage(paths, objects, is_moved=True)):
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

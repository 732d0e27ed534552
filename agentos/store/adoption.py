"""Hand edits: what a person saved in an editor becomes their own commit, once it reads cleanly."""

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path, PurePosixPath

from agentos.model import ids, renames
from agentos.model.board import Board, Problem, duplicates
from agentos.model.records import Config
from agentos.model.words import is_numbered, kind_of, task_number
from agentos.store import bases, codec, exchange, frontmatter, index, names, origins
from agentos.store.cache import Snapshot
from agentos.store.draft import Draft
from agentos.store.healing import Reverted
from agentos.store.names import Gone
from agentos.store.objects import Objects
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.rows import MARKERS
from agentos.store.snapshot import QUIET
from agentos.store.worktree import HandEdit

LONGEST_WAIT = 2.0
"""Seconds a transaction waits at most for files that keep changing; those still moving are left for later."""


def settled(store: Store, now: Refs, found: Snapshot, objects: Objects) -> list[HandEdit]:
    """The hand edits that have been left alone for long enough (`Store.quiet`), and that nobody is writing.

    A file that is gone must be gone at two looks: an editor that saves by rename has none for an instant.
    """
    quiet = max(store.quiet, QUIET)
    until = time.monotonic() + LONGEST_WAIT
    gone: set[str] | None = None
    while True:
        edits = store.hand_edits(now, found, objects)
        missing = {edit.path for edit in edits if edit.row is None}
        moving = missing if gone is None else missing - gone
        if root := store.root(now):
            moving = moving | {edit.path for edit in edits if edit.row and _is_moving(root, edit, quiet)}
        if not moving or time.monotonic() > until or quiet > LONGEST_WAIT:
            held = moving.union(_half_renamed(edits, moving, found, objects))
            return [edit for edit in edits if edit.path not in held]
        gone = missing
        time.sleep(QUIET)


def _half_renamed(
    edits: Sequence[HandEdit], moving: Set[str], found: Snapshot, objects: Objects
) -> Iterator[str]:
    """The tasks whose files are gone, and came under another name that can't be taken yet.

    Taken alone, the going would be a deletion, and what names the task would not follow it.
    """
    gone = [edit.path for edit in edits if edit.row is None and kind_of(edit.path) == "task"]
    for edit in edits if gone else ():
        is_fresh = edit.data is not None and edit.path not in found.files and kind_of(edit.path) == "task"
        if not is_fresh or (edit.path not in moving and edit.row and edit.row.fields is not None):
            continue
        number = task_number(PurePosixPath(edit.path).stem)
        for path in gone:
            is_same = number is not None and number == task_number(PurePosixPath(path).stem)
            if is_same or names.is_again(edit.data or b"", objects.blob(found.files[path][0])):
                yield path


def _is_moving(root: Path, edit: HandEdit, quiet: float) -> bool:
    """Whether a file was written just now, or since it was read, or is open for writing."""
    file = root / edit.path
    try:
        is_read = file.lstat().st_mtime_ns / 1e9 == edit.mtime
    except (FileNotFoundError, NotADirectoryError):
        return True
    return not is_read or 0 <= time.time() - edit.mtime < quiet or exchange.has_writer(file)


def saved_again(
    old: Mapping[str, Gone], found: Snapshot, edits: Sequence[HandEdit], objects: Objects
) -> dict[str, Gone]:
    """The edits that are a renamed file saved once more under its old name, by path: where it is now."""
    again = {}
    for edit in edits:
        was = names.follow(old, edit.path) if edit.path not in found.files else None
        if was is None or edit.data is None or was.path not in found.files:
            continue
        if names.is_again(edit.data, objects.blob(was.blob)):
            again[edit.path] = was
    return again


def waiting(found: Snapshot, edits: Sequence[HandEdit], again: Mapping[str, Gone]) -> dict[str, Problem]:
    """The edits that can't be read, by path: they wait, untouched, until they are mended.

    A new file that would share a name with another waits as well, and so does that other; but not one that
    is saved again under the name that the other had (`again`).
    """
    held = {path: Problem(path, 1, reason) for path, reason in _twins(found, edits, again)}
    for edit in edits:
        if edit.row is None or edit.row.kind is None:
            continue
        remarks = [r for r in edit.row.remarks if edit.row.fields is None or r[1] == MARKERS]
        if remarks:
            held[edit.path] = Problem(edit.path, *remarks[0])
    return held


def _twins(
    found: Snapshot, edits: Sequence[HandEdit], again: Mapping[str, Gone]
) -> Iterator[tuple[str, str]]:
    """New files whose name another has, in another case or in another folder, and those others."""
    fresh = [edit.path for edit in edits if edit.path not in found.files and edit.data is not None]
    fresh = [path for path in fresh if path not in again]
    if not fresh:
        return
    gone = {edit.path for edit in edits if edit.data is None}
    lowered = {path.lower() for path in fresh}
    stems = {PurePosixPath(path).stem: path for path in fresh if kind_of(path) == "task"}
    for path in found.files:
        if path in gone:
            continue
        if path.lower() in lowered:
            fresh.append(path)
        elif kind_of(path) == "task" and (twin := stems.get(PurePosixPath(path).stem)):
            yield path, f"has the name of {twin}; one of the two must go"
            yield twin, f"has the name of {path}; one of the two must go"
    for one, other in duplicates(fresh):
        yield one, f"differs from {other} only in case; rename one of them"
        yield other, f"differs from {one} only in case; rename one of them"


def is_on(found: Snapshot) -> bool:
    """Whether hand edits are committed for the person (`adopt:` in the config)."""
    config = found.files.get("board/config.yml")
    return not config or config[2] is None or Config.from_row("board/config.yml", config[2]).adopt


def adoptable(
    store: Store, now: Refs, found: Snapshot, edits: Sequence[HandEdit], bad: Mapping[str, Problem]
) -> list[HandEdit]:
    """The edits to commit now: readable, not staged by the person, not ignored by git."""
    ready = [edit for edit in edits if edit.path not in bad]
    if not ready or now.worktree is None:
        return []
    git = store.git_at(now.worktree)
    heads = {
        store.prefix + edit.path: (found.files[edit.path][0] if edit.path in found.files else None)
        for edit in ready
    }
    staged = {path: entry.blob for path, entry in index.entries(git, heads, is_flagged=True).items()}
    fresh = [path for path, oid in heads.items() if oid is None and path not in staged]
    ignored: set[str] = set()
    if fresh:
        listed = "\0".join(fresh).encode(errors="surrogateescape") + b"\0"
        out = git.run("check-ignore", "-z", "--stdin", stdin=listed, ok=(0, 1))
        ignored = set(out.decode(errors="surrogateescape").split("\0"))
    return [
        edit
        for edit in ready
        if store.prefix + edit.path not in ignored
        and staged.get(store.prefix + edit.path) == heads[store.prefix + edit.path]
    ]


def apply(
    store: Store, draft: Draft, edits: Sequence[HandEdit], objects: Objects, again: Mapping[str, Gone]
) -> list[str]:
    """Put the edits into a draft; one that did not come from the head is merged from where it did.

    Gives what was decided of those that history had to tell, in words.
    """
    known, said = bases.load(store.local), []
    for path, saved in ((edit.path, edit.data) for edit in edits):
        head, base = draft.blob_before(path), known.get(store.prefix + path, ...)
        data = _as_committed(store, objects, head, saved)
        was = again.get(path)
        if was and data is not None and draft.has(was.path):
            draft.adopt_again(path, was.path, data, was.blob)
            draft.found[path] = objects.write("blob", saved or b"")
            continue
        if base is ... and data is not None and head is not None and draft.refs.head:
            origin = origins.find(store.git, objects, draft.refs.head, store.prefix, path, head, data)
            said += [origin.said(path)] if origin else []
            base = origin.blob if origin and not origin.is_return else ...
        draft.adopt(path, data, base)
        draft.found[path] = objects.write("blob", saved) if saved is not None else None
    return said


def _as_committed(store: Store, objects: Objects, head: str | None, data: bytes | None) -> bytes | None:
    """The bytes that git would commit: CRLF line ends that its own checkout made are not the person's."""
    if data is None or b"\r\n" not in data or not store.converts():
        return data
    return data if head and b"\r\n" in objects.blob(head) else data.replace(b"\r\n", b"\n")


def heal(draft: Draft, reverted: Sequence[Reverted], objects: Objects) -> None:
    """Set files again to what our commits had made of them."""
    for path, blob, _, _ in reverted:
        draft.adopt(path, objects.blob(blob) if blob else None)


def number(draft: Draft, before: Board) -> None:
    """Give each task file under a plain name its number and slug; one that had a number keeps it.

    Its text stays; a title that only the file's name said is written down, since the name goes.
    """
    plain = [name for name in draft.board.tasks.rows if not is_numbered(name)]
    for name in plain:
        task = draft.board.tasks[name]
        data = draft.text(task.path)
        page = frontmatter.split(task.path, data)
        if "title" not in page.fields() and not re.search(r"^#{1,6}[ \t]", page.body, re.MULTILINE):
            data = codec.edit(task.path, data, {"title": task.title})
        was = renames.unnumbered(before, draft.board, name)
        if was and was.number is not None:
            fresh = ids.task_id(was.number, ids.slugify(name, fallback=draft.token()))
        else:
            fresh = draft.next_task(task.title)
        draft.rename(task.path, f"board/tasks/{fresh}.md", data)


def locate(problem: Problem, data: bytes) -> Problem:
    """The problem with the line at which its field stands."""
    page = frontmatter.split(problem.path, data)
    return dataclasses.replace(problem, line=frontmatter.line_of(page, [problem.field]))

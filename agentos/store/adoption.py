"""Hand edits: what a person saved in an editor becomes their own commit, once it reads cleanly."""

import dataclasses
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from agentos.model.board import Problem, duplicates
from agentos.model.records import Config
from agentos.model.words import kind_of, task_number
from agentos.store import codec, frontmatter, index
from agentos.store.cache import Snapshot
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.rows import MARKERS
from agentos.store.snapshot import QUIET
from agentos.store.worktree import HandEdit

LONGEST_WAIT = 2.0
"""Seconds a transaction waits at most for files that keep changing; those still moving are left for later."""


def settled(
    store: Store, now: Refs, found: Snapshot, objects: Objects, quiet: float = QUIET
) -> list[HandEdit]:
    """The hand edits that have been left alone for `quiet` seconds.

    A file that is gone must be gone at two looks: an editor that saves by rename has none for an instant.
    """
    quiet = max(quiet, QUIET)
    until = time.monotonic() + LONGEST_WAIT
    gone: set[str] | None = None
    while True:
        edits = store.hand_edits(now, found, objects)
        missing = {edit.path for edit in edits if edit.row is None}
        moving = {
            edit.path for edit in edits if edit.row is not None and 0 <= time.time() - edit.mtime < quiet
        }
        moving |= missing if gone is None else missing - gone
        if not moving or time.monotonic() > until or quiet > LONGEST_WAIT:
            return [edit for edit in edits if edit.path not in moving]
        gone = missing
        time.sleep(QUIET)


def waiting(found: Snapshot, edits: Sequence[HandEdit]) -> dict[str, Problem]:
    """The edits that can't be read, by path: they wait, untouched, until they are mended.

    A new file that would share a name with another waits as well, and so does that other.
    """
    held = {path: Problem(path, 1, reason) for path, reason in _twins(found, edits)}
    for edit in edits:
        if edit.row is None or edit.row.kind is None:
            continue
        remarks = [r for r in edit.row.remarks if edit.row.fields is None or r[1] == MARKERS]
        if remarks:
            held[edit.path] = Problem(edit.path, *remarks[0])
    return held


def _twins(found: Snapshot, edits: Sequence[HandEdit]) -> Iterator[tuple[str, str]]:
    """New files whose name another has, in another case or in another folder, and those others."""
    fresh = [edit.path for edit in edits if edit.path not in found.files and edit.data is not None]
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


def apply(draft: Draft, edits: Sequence[HandEdit], bases: Mapping[str, str | None], prefix: str) -> None:
    """Put the edits into a draft; one that did not come from the head is merged from where it did."""
    for edit in edits:
        draft.adopt(edit.path, edit.data, bases.get(prefix + edit.path, ...))


def number(draft: Draft) -> None:
    """Give each task file under a plain name its number and slug.

    Its text stays; a title that only the file's name said is written down, since the name goes.
    """
    plain = [
        name for name in draft.board.tasks.rows if not name.startswith("TASK-") or task_number(name) is None
    ]
    for name in plain:
        task = draft.board.tasks[name]
        data = draft.text(task.path)
        page = frontmatter.split(task.path, data)
        if "title" not in page.fields() and not re.search(r"^#{1,6}[ \t]", page.body, re.MULTILINE):
            data = codec.edit(task.path, data, {"title": task.title})
        draft.remove(task.path)
        draft.write(f"board/tasks/{draft.next_task(task.title)}.md", data)


def locate(problem: Problem, data: bytes) -> Problem:
    """The problem with the line at which its field stands."""
    page = frontmatter.split(problem.path, data)
    return dataclasses.replace(problem, line=frontmatter.line_of(page, [problem.field]))

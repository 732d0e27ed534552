"""Hand edits: what a person saved in an editor becomes their own commit, once it reads cleanly."""

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence

from agentos.model.board import Problem, duplicates
from agentos.model.records import Config
from agentos.model.words import task_number
from agentos.store import codec, frontmatter, index
from agentos.store.cache import Snapshot
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.refs import Refs
from agentos.store.repository import Store
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
        moving = {edit.path for edit in edits if edit.row is not None and time.time() - edit.mtime < quiet}
        moving |= missing if gone is None else missing - gone
        if not moving or time.monotonic() > until or quiet > LONGEST_WAIT:
            return [edit for edit in edits if edit.path not in moving]
        gone = missing
        time.sleep(QUIET)


def waiting(found: Snapshot, edits: Sequence[HandEdit]) -> dict[str, Problem]:
    """The edits that can't be read, by path: they wait, untouched, until they are mended.

    A new file whose name differs from another's only in case waits as well, and so does that other.
    """
    held = {}
    fresh = [edit.path for edit in edits if edit.path not in found.files]
    lowered = {path.lower() for path in fresh}
    twins = [path for path in found.files if path.lower() in lowered] if fresh else []
    for pair in duplicates([*fresh, *twins]):
        for path, other in (pair, pair[::-1]):
            held[path] = Problem(path, 1, f"differs from {other} only in case; rename one of them")
    for edit in edits:
        if edit.row is not None and edit.row.kind is not None and edit.row.fields is None:
            held[edit.path] = Problem(edit.path, *edit.row.remarks[0])
    return held


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

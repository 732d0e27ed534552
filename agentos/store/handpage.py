"""WORKING.md as a person saved it: read against the version it came from, and put into a draft."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agentos.model import activity, reading, working
from agentos.model.reading import Sheet
from agentos.model.records import Task
from agentos.store import exchange, history, index
from agentos.store.draft import Draft
from agentos.store.git import Git
from agentos.store.objects import Objects, blob_id
from agentos.store.refs import Refs
from agentos.store.repository import Store
from agentos.store.snapshot import QUIET

SUBJECT = "WORKING.md: edits refused"
"""What a commit says that holds nothing else."""

AGAIN = timedelta(hours=1)
"""For how long the same refusal is not said again: an editor saves its buffer again and again."""

VERSIONS = 200
"""How many versions of the page are looked through for the one that an editor's buffer came from."""

MOST_OLDER = 5
"""Versions older than the one looked for, after which it is given up: a commit that raced brings one back."""


@dataclass(frozen=True, slots=True)
class HandPage:
    """An edited page: its bytes, what it says, and the version it came from (None: not in history).

    One that was deleted has no bytes, and says what the head's says.
    """

    data: bytes | None
    edited: Sheet
    base: Sheet | None


def find(store: Store, now: Refs, objects: Objects) -> HandPage | None:
    """The page in the working tree, if it is not the head's and has been left alone for a moment."""
    root = store.root(now)
    committed = objects.find(now.tree, store.prefix + working.PATH)
    if root is None or committed is None:
        return None
    file = root / working.PATH
    git = store.git_at(now.worktree) if now.worktree else store.git
    if not os.path.lexists(file):
        time.sleep(QUIET)
        if os.path.lexists(file) or _is_staged(git, store, committed):
            return None
        sheet = _sheet(objects, committed)
        return HandPage(None, sheet, sheet)
    if file.is_symlink() or not file.is_file():
        return None
    data = _settled(file, max(store.quiet, QUIET), lambda data: blob_id(data, objects.algorithm) == committed)
    if data is None:
        return None
    if exchange.has_writer(file) or _is_staged(git, store, committed):
        return None
    edited = reading.parse(data.decode(errors="replace"))
    return HandPage(data, edited, _base(store, now, objects, edited.updated))


def _settled(file: Path, quiet: float, is_known: Callable[[bytes], bool]) -> bytes | None:
    """What was saved there, once it has been left alone for so long; None for nothing new or readable."""
    try:
        data = exchange.read(file)
        if data is None or is_known(data):
            return None
        if 0 <= time.time() - file.lstat().st_mtime < quiet:
            if quiet > QUIET:
                return None
            time.sleep(QUIET)
            return data if exchange.read(file) == data else None
        return data
    except (exchange.Surprise, FileNotFoundError):
        return None


def _sheet(objects: Objects, blob: str) -> Sheet:
    return reading.parse(objects.blob(blob).decode(errors="replace"))


def _is_staged(git: Git, store: Store, committed: str) -> bool:
    """Whether it is the person's: staged, or one that git was told not to look at."""
    path = store.prefix + working.PATH
    entry = index.entries(git, [path], is_flagged=True).get(path)
    return entry is None or entry.blob != committed


def _base(store: Store, now: Refs, objects: Objects, updated: datetime | None) -> Sheet | None:
    """The version of the page that calls this moment its own: the head's, or one from history."""
    if updated is None or now.head is None:
        return None
    path = store.prefix + working.PATH
    out = store.git.run("log", f"-n{VERSIONS}", "--format=%H", "--end-of-options", now.head, "--", path)
    older = 0
    for commit in out.decode().split():
        blob = objects.find(commit, path)
        sheet = _sheet(objects, blob) if blob else None
        if sheet is not None and sheet.updated == updated:
            return sheet
        older += sheet is not None and sheet.updated is not None and sheet.updated < updated
        if older > MOST_OLDER:
            break
    return None


def put_back(store: Store, now: Refs, objects: Objects, page: HandPage) -> None:
    """The working file as the head has it, unless it was saved again meanwhile."""
    root = store.root(now)
    blob = objects.find(now.tree, store.prefix + working.PATH)
    if root is not None and blob is not None:
        with contextlib.suppress(exchange.Surprise):
            exchange.put(root / working.PATH, page.data, objects.blob(blob))


def is_said(store: Store, draft: Draft, refused: Sequence[str]) -> bool:
    """Whether the last refusal was this one, a short while ago."""
    last = history.refusals(store.git, draft.refs.head, 1) if draft.refs.head else []
    wanted = [(activity.REFUSED, why) for why in refused]
    return any(
        [pair for pair in one.trailers if pair[0] == activity.REFUSED] == wanted
        and one.who == draft.by.name
        and draft.now - one.time < AGAIN
        for one in last
    )


def found(draft: Draft, page: HandPage) -> None:
    """Note what the working copy of the page is, so that rendering it anew overwrites nothing else."""
    draft.found[working.PATH] = draft.blob_id(page.data) if page.data is not None else None
    if page.data is not None:
        draft.keep(page.data)


def apply(draft: Draft, page: HandPage) -> list[str]:
    """Do what the page says; gives what was refused, in words. The page itself is rendered anew."""
    found(draft, page)
    if page.base is None:
        return ["WORKING.md names no version of itself that is in history; its edits were put back."]
    wanted = reading.edits(draft.board, page.base, page.edited)
    for task in wanted.changed:
        draft.put(task)
    for line in wanted.added:
        name = draft.next_task(line.title)
        fields: dict[str, Any] = {"title": line.title, "status": line.status, "created_by": draft.by.name}
        fields |= {"assignees": list(line.assignees)} if line.assignees else {}
        draft.create(Task.make(f"board/tasks/{name}.md", fields | {"created": draft.stamp}), "")
    return [working.flat(f"WORKING.md: {why}; put back.") for why in wanted.refused]

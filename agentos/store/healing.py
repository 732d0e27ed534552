"""Healing: a commit of ours that a person's commit turned back without anyone wanting it.

Git's own `commit` reads its index before it locks it. One that began in that instant writes the files as they
were before ours; the working files, which we had brought forward, are then the only ones that still know.
"""

from collections.abc import Iterable
from typing import NamedTuple

from agentos.model.activity import Actor
from agentos.store import history
from agentos.store.git import Git
from agentos.store.history import Version
from agentos.store.objects import Objects

FRESH = 60
"""Seconds between our commit and the one that turned it back: longer ones were meant."""


class Reverted(NamedTuple):
    """A file to be set again to the blob (None: no file) that our commit `ours` had given it."""

    path: str
    blob: str | None
    ours: str
    by: Actor


def find(
    git: Git, objects: Objects, head: str, prefix: str, edits: Iterable[tuple[str, bytes | None]]
) -> list[Reverted]:
    """Which of these files (path, working bytes) the last commit but ours turned back to their pre-image.

    A `git revert` is left alone, and so is a file whose working copy went back as well.
    """
    found = []
    for path, data in edits:
        versions = history.versions(git, head, prefix + path, 2)
        if len(versions) == 2 and _is_undone(*versions):
            theirs, ours = versions
            has_ours = data is None if ours.after is None else data is not None
            actor = ours.actor
            if actor and has_ours and data != (objects.blob(theirs.after) if theirs.after else None):
                found.append(Reverted(path, ours.after, ours.commit, actor))
    return found


def _is_undone(theirs: Version, ours: Version) -> bool:
    """Whether a plain commit sets exactly back what one of ours had just set."""
    is_exact = (theirs.before, theirs.after) == (ours.after, ours.before)
    is_plain = theirs.actor is None and "This reverts commit" not in theirs.message
    return is_exact and is_plain and 0 <= theirs.seconds - ours.seconds <= FRESH

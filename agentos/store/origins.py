"""Origins: which version an edited file came from, where the branch has moved on since it was opened."""

from typing import NamedTuple

from agentos.model import stale
from agentos.model.stale import Text
from agentos.store import frontmatter, history
from agentos.store.fields import Unreadable
from agentos.store.git import Git
from agentos.store.objects import Objects

VERSIONS = 20
"""How many versions of a file are looked through."""


class Origin(NamedTuple):
    """An earlier version that a save came from, or (`is_return`) is byte for byte."""

    commit: str
    blob: str
    is_return: bool

    def said(self, path: str) -> str:
        """What was decided, in words."""
        if self.is_return:
            return f"{path} is again as it was at {self.commit[:10]}: taken as a return to it"
        return f"{path} was saved over its version of {self.commit[:10]} and merged into the newest"


def find(
    git: Git, objects: Objects, start: str, prefix: str, path: str, head: str, data: bytes
) -> Origin | None:
    """The earlier version that these bytes came from; None where that is `head`, as far as anyone can tell.

    A save is stale when it has the earlier value in at least two of the fields and body hunks changed since,
    in more of them than it has the newest, and has edits besides (DESIGN.md, section 3). History is asked
    only where it differs from the head in two places or more.
    """
    saved, newest = _text(path, data), _text(path, objects.blob(head))
    if saved is None or newest is None or stale.edits(newest, saved) < stale.FEWEST:
        return None
    known = history.versions(git, start, prefix + path, VERSIONS + 1)
    earlier = {v.after: v.commit for v in reversed(known) if v.after not in (None, head)}
    blobs = objects.blobs(blob for blob in earlier if blob)
    ranked: list[tuple[int, int, str]] = []
    for blob, old in blobs.items():
        if old == data:
            return Origin(earlier[blob], blob, True)
        if text := _text(path, old):
            ranked.append((stale.agreement(saved, newest, text), -stale.edits(text, saved), blob))
    agreed, _, blob = max(ranked, default=(0, 0, ""))
    return Origin(earlier[blob], blob, False) if agreed else None


def _text(path: str, data: bytes) -> Text | None:
    """A version's fields and body; None for one that can't be read."""
    try:
        page = frontmatter.split(path, data)
        return Text(page.fields(), page.body)
    except Unreadable:
        return None

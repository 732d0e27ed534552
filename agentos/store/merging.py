"""Merging files: the semantic merge of `model.merge` on bytes, with everything else of our file kept."""

import dataclasses

from agentos.model import merge
from agentos.store import frontmatter
from agentos.store.fields import Unreadable


def files(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
    """Our file with their changes since `base` (None: both made it).

    Fields are changed by splicing, so comments, order and quoting stay ours; where one side did not touch the
    file, the other's bytes. Raises Unreadable where a side can't be read.
    """
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    mine, other = frontmatter.split(path, ours), frontmatter.split(path, theirs)
    root = frontmatter.split(path, base or b"")
    merged = merge.fields(root.fields(), mine.fields(), other.fields())
    changes = dict(merged.changes)
    if merged.conflicts:
        earlier = mine.fields().get(merge.CONFLICTS) or {}
        changes[merge.CONFLICTS] = {**earlier, **merged.conflicts}
    body, _ = merge.text(root.body, mine.body, other.body)
    page = mine.with_fields(changes, list(other.fields())) if changes else mine
    return dataclasses.replace(page, body=body).data


def readable(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
    """The merge, or None where a side can't be read, so that nobody's bytes are touched."""
    try:
        return files(path, base, ours, theirs)
    except Unreadable:
        return None

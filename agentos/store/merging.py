"""Merging files: the semantic merge of `model.merge` on bytes, with everything else of our file kept."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from agentos.errors import Invalid
from agentos.model import conflicts, merge, undoing
from agentos.store import frontmatter
from agentos.store.fields import Unreadable

Fields = Mapping[str, Any]


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
    unsettled = _unsettled(root.fields(), mine.fields(), other.fields(), merged.conflicts)
    if unsettled != _map(mine.fields()):
        changes[conflicts.FIELD] = unsettled or None
    body, _ = merge.text(root.body, mine.body, other.body)
    page = mine.with_fields(changes, list(other.fields())) if changes else mine
    return dataclasses.replace(page, body=body).data


def _unsettled(base: Fields, ours: Fields, theirs: Fields, fresh: Fields) -> dict[str, Any]:
    """What is unsettled after the merge: what either side had left so, and what this merge adds."""
    mine = _map(ours)
    inner = merge.fields(_map(base), mine, _map(theirs))
    left = {key: value for key, value in {**mine, **inner.changes}.items() if value is not None}
    return conflicts.joined(conflicts.joined(left, inner.conflicts), fresh)


def _map(fields: Fields) -> dict[str, Any]:
    """The unsettled values of a side; what is no map was never written by a merge."""
    found = fields.get(conflicts.FIELD)
    return dict(found) if isinstance(found, Mapping) else {}


def readable(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
    """The merge, or None where a side can't be read, so that nobody's bytes are touched."""
    try:
        return files(path, base, ours, theirs)
    except Unreadable:
        return None


def anyhow(path: str, base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
    """The merge; where a side can't be read, of plain lines, so that nothing that anybody wrote is lost."""
    merged = readable(path, base, ours, theirs)
    if merged is not None:
        return merged
    sides = (side.decode(errors="surrogateescape") for side in (base or b"", ours, theirs))
    return merge.text(*sides)[0].encode(errors="surrogateescape")


def undone(path: str, after: bytes, now: bytes, before: bytes) -> tuple[bytes, dict[str, Any]]:
    """The file of now without the step `before` → `after`, and the fields that stay, as they are now.

    Exactly `before` where nothing changed since. `body` is among those that stay where a part of the text was
    changed again. Raises Invalid where a side can't be read.
    """
    if now == after:
        return before, {}
    try:
        pages = [frontmatter.split(path, side) for side in (after, now, before)]
        changes, kept = undoing.fields(*(page.fields() for page in pages))
        body, is_kept = undoing.text(*(page.body for page in pages))
        page = pages[1].with_fields(changes, list(pages[2].fields())) if changes else pages[1]
    except Unreadable as error:
        raise Invalid(f"{path}:{error.line}: {error.reason}; only a file that reads can be undone.") from None
    return dataclasses.replace(page, body=body).data, kept | ({"body": None} if is_kept else {})


def fields_of(path: str, data: bytes) -> dict[str, Any]:
    """A file's fields; none where it can't be read."""
    try:
        return frontmatter.split(path, data).fields()
    except Unreadable:
        return {}

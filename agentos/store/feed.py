"""The last activities of the branch, kept beside the cache so that a transaction needs no history walk."""

import contextlib
import json
import os
from collections.abc import Sequence

from agentos.model.activity import Activity
from agentos.model.working import MOST_ACTIVITIES
from agentos.store import history
from agentos.store.objects import Objects
from agentos.store.repository import Store


def latest(store: Store, objects: Objects, heads: Sequence[str]) -> list[Activity]:
    """The last activities up to these commits, newest first: as kept, or read from git."""
    if not heads:
        return []
    try:
        kept, rows = json.loads((store.local / "cache" / "feed").read_bytes())
        if [kept] == heads:
            return history.from_plain(rows)
    except (OSError, ValueError, TypeError, LookupError):
        pass
    return history.feed(store.git, objects, heads, store.prefix, MOST_ACTIVITIES)


def is_known(store: Store, head: str | None) -> bool:
    """Whether `head` is the last commit whose activities were kept, so that nobody committed since."""
    return head is not None and last_known(store) == head


def last_known(store: Store) -> str | None:
    """The last commit whose activities were kept; None where this clone does not remember."""
    try:
        return str(json.loads((store.local / "cache" / "feed").read_bytes())[0])
    except (OSError, ValueError, TypeError, LookupError):
        return None


def keep(store: Store, commit: str | None, activities: Sequence[Activity]) -> None:
    """Remember the activities up to `commit`; a cache that can't be written is no harm."""
    folder = store.local / "cache"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"feed.{os.getpid()}"
        partial.write_text(json.dumps([commit, history.to_plain(activities)]))
        partial.replace(folder / "feed")

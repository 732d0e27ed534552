"""WORKING.md in a transaction: the page that the commit holds."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agentos.model import times, working
from agentos.model.activity import Activity
from agentos.store import adoption
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.repository import Store

_EPOCH = times.parse("1970-01-01")


def compose(draft: Draft, activities: Sequence[Activity], updated: datetime) -> str:
    """The page of the draft's board."""
    found = working.all_problems(draft.board)
    shown = [p if p.line else adoption.locate(p, draft.text(p.path)) for p in found[: working.MOST_LINES]]
    return working.render(draft.board, activities, updated, [*shown, *found[working.MOST_LINES :]])


def committed(store: Store, objects: Objects, draft: Draft) -> str:
    """The page as the draft's head has it; empty where there is none."""
    return _page(store, objects, draft.refs.tree)


def _page(store: Store, objects: Objects, tree: str | None) -> str:
    oid = objects.find(tree, store.prefix + working.PATH)
    return objects.blob(oid).decode(errors="replace") if oid else ""


def updated(store: Store, objects: Objects, draft: Draft) -> datetime:
    """The moment of this commit for `Last Updated`: now, or a millisecond after the last page's.

    A joined commit's page counts as well. So it strictly increases, and names the version that an editor's
    buffer came from.
    """
    moment = draft.now.replace(microsecond=0)
    pages = [working.last_updated(_page(store, objects, head)) for head in draft.heads]
    last = max((time for time in pages if time), default=None)
    return moment if last is None or last < moment else last + timedelta(milliseconds=1)


def is_stale(store: Store, objects: Objects, draft: Draft, activities: Sequence[Activity]) -> bool:
    """Whether the head's page is not that of its board: after a commit that somebody made with plain git."""
    if not draft.board.tasks and not draft.board.agents:
        return False
    text = committed(store, objects, draft)
    return text != compose(draft, activities, working.last_updated(text) or _EPOCH)

"""The inbox of one reader: the notices for them, and what they have read."""

from collections.abc import Sequence

from agentos.errors import NotFound
from agentos.model import notices
from agentos.model.notices import Notice
from agentos.model.records import Inbox
from agentos.store.draft import Draft
from agentos.store.repository import Store

MOST_ACTIVITIES = 1000
"""How far back it is looked for who assigned, submitted or blocked something, and for refused edits."""


def of(store: Store, reader: str, at: str | None = None) -> tuple[list[Notice], list[Notice]]:
    """Everything for this reader, newest first, and what of it is not read yet."""
    board = store.board(at)
    if not board.is_name_taken(reader) and reader != store.person().name:
        everyone = ", ".join([*sorted(board.agents), *sorted(board.config.people)])
        raise NotFound(f"Nobody here is called {reader!r}; there are {everyone or 'no agents yet'}.")
    activities = store.activities(MOST_ACTIVITIES, at)
    found = notices.notices(board, activities, store.refusals(MOST_ACTIVITIES, at), reader)
    inbox = store.record(path(reader), Inbox, at) or Inbox.make(path(reader), {})
    return found, [notice for notice in found if not notices.is_read(inbox, notice)]


def read(draft: Draft, reader: str, known: Sequence[Notice], ids: Sequence[str]) -> int:
    """Mark these notices as read, all for no ids; gives how many of them were not. Raises NotFound."""
    wanted = [notice for notice in known if not ids or any(part in notice.id for part in ids)]
    for part in ids:
        if not any(part in notice.id for notice in known):
            raise NotFound(f"{reader} has no notice {part!r}; `agentos inbox {reader} --all` lists them.")
    before = draft.record(path(reader), Inbox)
    inbox = before or Inbox.make(path(reader), {})
    fresh = sum(not notices.is_read(inbox, notice) for notice in wanted)
    if fresh:
        after = notices.marked(inbox, wanted, known)
        draft.put(after) if before else draft.create(after, "")
    return fresh


def path(reader: str) -> str:
    return f"board/inbox/{reader}.md"

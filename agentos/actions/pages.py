"""WORKING.md as a page of its own: as it would be now or was then, and put back in its place."""

from agentos.model import times, working
from agentos.model.activity import Actor
from agentos.store import exchange
from agentos.store.repository import Store
from agentos.store.transaction import transact


def text(store: Store, at: str | None = None) -> str:
    """The page of a commit, rendered from its board and history; for none given, the board as it is now."""
    board = store.board(at)
    activities = store.activities(working.MOST_ACTIVITIES, at)
    page = store.committed(working.PATH, at)
    updated = working.last_updated(page) or (activities[0].time if activities else times.parse("1970-01-01"))
    found = working.all_problems(board)
    shown = store.located(found[: working.MOST_LINES], at)
    problems = [*shown, *found[working.MOST_LINES :]]
    return working.render(board, activities, updated, problems)


def restore(store: Store, by: Actor) -> str | None:
    """Bring the working file to what the branch has; gives the commit if it took one."""
    result = transact(store, lambda draft: None, by)
    now = store.refs()
    root = store.root(now)
    if root is not None and now.head:
        file = root / working.PATH
        exchange.put(file, exchange.read(file), store.committed(working.PATH).encode())
    return result.commit

"""Mending: what is wrong with a board or its clone and can be put right without deciding for anybody."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath

from agentos.model.board import duplicates
from agentos.model.words import Status, kind_of
from agentos.store import clone, codec, driver, history, journal, mending, merging
from agentos.store.draft import Draft
from agentos.store.objects import Objects
from agentos.store.repository import Store
from agentos.store.transaction import transact


def mend(store: Store) -> list[str]:
    """Mend what is safe to mend; gives each thing done, and what is left to a person, in words.

    Raises Conflict while git is in the middle of something: then nothing is committed.
    """
    said = []
    if not clone.has_driver(store.git):
        clone.install_driver(store.git)
        said.append("This clone's git merges records field by field from now on.")
    if journal.read(store.local / "journal"):
        said.append("The transaction that did not finish is finished.")
    objects = Objects(store.git)
    try:
        result = transact(store, lambda draft: _mend(store, objects, draft), store.person())
    finally:
        objects.close()
    return [*said, *result.notes, *result.value]


def _mend(store: Store, objects: Objects, draft: Draft) -> list[str]:
    said = []
    attributes = store.committed(".gitattributes", draft.refs.head)
    lacking = driver.lacking(attributes)
    if lacking:
        draft.write(".gitattributes", (attributes + lacking).encode())
        said.append(".gitattributes names the merge driver for every record.")
    said += mending.merge_marked(store.git, objects, draft, store.prefix, is_certain=False)
    tried: set[tuple[str, str]] = set()
    while pair := next((pair for pair in twins(draft) if pair not in tried), None):
        tried.add(pair)
        said.append(_join(store, draft, *pair))
    return said


def twins(draft: Draft) -> Iterator[tuple[str, str]]:
    """Two files of one record: paths that differ only in case, or a task both open and archived."""
    yield from duplicates(draft.paths)
    places: dict[str, list[str]] = defaultdict(list)
    for path in draft.paths:
        if kind_of(path) == "task":
            places[PurePosixPath(path).stem].append(path)
    for found in places.values():
        yield from pairwise(found)


def _join(store: Store, draft: Draft, one: str, other: str) -> str:
    """Keep one of two files: of equal ones either, else the one that came from the other's version."""
    if one in draft.waiting or other in draft.waiting:
        return f"{one} and {other}: a hand edit waits there; mend it first."
    newer = _newer(store, draft, one, other)
    if newer is None:
        return f"{one} and {other} are one record and differ: bring them into one file and delete the other."
    data = draft.text(newer)
    place = _place(one, other, data)
    gone = other if place == one else one
    draft.remove(gone)
    draft.write(place, data)
    return f"{gone} is gone: {place} is the same record{', as it was changed last' if newer == gone else ''}."


def _newer(store: Store, draft: Draft, one: str, other: str) -> str | None:
    """The file that holds everything; None where each has something of its own."""
    first, second = (draft.blob_id(draft.text(path)) for path in (one, other))
    head = str(draft.refs.head)
    if first == second:
        return one
    if not _is_one_task(draft, one, other):
        return None
    if second in history.blobs(store.git, head, store.prefix + one):
        return one
    return other if first in history.blobs(store.git, head, store.prefix + other) else None


def _is_one_task(draft: Draft, one: str, other: str) -> bool:
    """Whether two files were created at one moment, as one task is; another may have come under its name."""
    made = [merging.fields_of(path, draft.text(path)).get("created") for path in (one, other)]
    return made[0] == made[1]


def _place(one: str, other: str, data: bytes) -> str:
    """Where the record belongs: a closed task in the archive, an open one not; else the plainer name."""
    if one.lower() == other.lower():
        return max(one, other)
    row = codec.row(one, data)
    is_done = row.fields is not None and codec.record(one, row).fields().get("status") == Status.DONE
    archived = [path for path in (one, other) if path.startswith("board/archive/")]
    open_ones = [path for path in (one, other) if path not in archived]
    return (archived or open_ones)[0] if is_done else (open_ones or archived)[0]

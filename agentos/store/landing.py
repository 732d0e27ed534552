"""Landing a commit on the board's branch: whatever it changes, and nothing of a person's is overwritten."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentos.errors import Conflict
from agentos.model import protected
from agentos.store import exchange, index, joining, recovery
from agentos.store.draft import Draft
from agentos.store.exchange import Shape
from agentos.store.joining import Joined, some
from agentos.store.objects import FILE, FOLDER, SUBMODULE, Entry, Objects, blob_id
from agentos.store.repository import Store


def take(draft: Draft, store: Store, commit: str, name: str, base: str | None = None) -> Joined | None:
    """In a transaction: bring the branch to a commit, or to a merge with it where both have moved on.

    None where the branch has it already. Anything may have changed, code too: modes, links and deletions
    included; a submodule's folder is not touched. Where the draft writes something on top, such as an
    approval, that and the merge are one commit. `name` says in words what is merged, such as `origin/main`;
    `base` is the commit that its changes count from, where that is not the last one in common.
    Raises Conflict, naming the paths, where the merge has conflicts outside the records, or where an incoming
    path outside the records has edits, is staged, or is taken by an untracked file; nothing has changed then.
    """
    if draft.refs.head is None:
        raise Conflict(f"{store.branch} has no commit yet here; get it with `git pull`.")
    joined = joining.join(store.git, draft.objects, store.prefix, draft.refs.head, commit, name, base)
    if joined is None:
        return None
    _require_plain(joined)
    top = draft.refs.worktree
    found = _ready(store, draft.objects, top, joined) if top else {}
    draft.join(joined.seen(found), store.prefix)
    return joined


def _require_plain(joined: Joined) -> None:
    """Raises Conflict for a path that would lead out of the working tree, or into git's own folder."""
    for path, entry in joined.files.items():
        if entry is not None and any(protected.is_gits_own(part) for part in path.split("/")):
            raise Conflict(
                f"{joined.name} has a file that git would not check out: {path!r}. Nothing was taken."
            )


def _ready(store: Store, objects: Objects, top: Path, joined: Joined) -> dict[str, str]:
    """The working copies that may be replaced though their bytes are not the head's. Raises Conflict."""
    git = store.git_at(top)
    foreign = {path: entry for path, entry in joined.files.items() if path not in joined.records}
    staged = index.entries(git, foreign, is_flagged=True)
    head = store.refs().tree
    found: dict[str, str] = {}
    bad = []
    for path, new in sorted(foreign.items()):
        old = objects.entry(head, path)
        why = _staged(staged.get(path), old, new) or _edited(top, path, old, new, foreign, objects, found)
        if why:
            bad.append(f"{path} ({why})")
    if bad:
        raise Conflict(
            f"{joined.name} changes files that have changes of yours: {some(bad)}. "
            "Nothing was taken over; commit, stash or move them, then try again."
        )
    return found


def _staged(entry: index.Staged | None, old: Entry | None, new: Entry | None) -> str:
    """Why a path can't be brought along in the index; empty where it can."""
    if entry is None:
        return "" if old is None or new is None else "its removal is staged"
    known = [(side.mode.decode(), side.oid) for side in (old, new) if side]
    return "" if (entry.mode, entry.blob) in known else "staged"


def _edited(
    top: Path, path: str, old: Entry | None, new: Entry | None, going: Mapping[str, Entry | None],
    objects: Objects, found: dict[str, str],
) -> str:  # fmt: skip
    """Why a working copy can't be replaced; empty where it can."""
    blocker = next((p for p in _parents(path) if _is_no_folder(top / p)), None)
    if blocker:
        return "" if going.get(blocker, ...) is None else f"{blocker} is no folder here"
    now = exchange.look(top / path)
    if now is None:
        return "" if old is None or new is None or old.mode == SUBMODULE else "deleted here"
    if now.mode == FOLDER.decode():
        return _in_folder(top, path, old, new, going)
    if _is(now, new, objects) or _is(now, old, objects):
        return ""
    if old and old.mode == FILE and blob_id(now.data.replace(b"\r\n", b"\n"), objects.algorithm) == old.oid:
        found[path] = blob_id(now.data, objects.algorithm)
        return ""
    return "edited" if old else "untracked"


def _is(now: Shape, entry: Entry | None, objects: Objects) -> bool:
    return entry is not None and recovery.is_shape(now, entry.mode.decode(), entry.oid, objects)


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[: i + 1]) for i in range(len(parts)))


def _is_no_folder(place: Path) -> bool:
    return place.is_symlink() or (os.path.lexists(place) and not place.is_dir())


def _in_folder(
    top: Path, path: str, old: Entry | None, new: Entry | None, going: Mapping[str, Entry | None]
) -> str:
    """Why a folder is in the way: something is in it that the commit does not take away."""
    modes = {side.mode for side in (old, new) if side}
    if modes == {SUBMODULE}:
        return ""
    for folder, _, names in os.walk(top / path):
        for name in names:
            inner = (Path(folder) / name).relative_to(top).as_posix()
            if going.get(inner, ...) is not None:
                return f"{inner} is in the way"
    return ""

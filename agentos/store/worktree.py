"""The working tree: which record files differ from the commit, and writing back without harm."""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Conflict
from agentos.model.words import kind_of
from agentos.store import strays
from agentos.store.cache import Snapshot
from agentos.store.objects import blob_id
from agentos.store.rows import SYMLINK, Row, too_large
from agentos.store.snapshot import FOLDERS, QUIET, parsed

MOST_READ = 64 << 20
"""Bytes that are read of a file to see whether it is the one in the commit."""

_SKIPPED = frozenset({"attachments"})
_NO_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_BUSY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "BISECT_LOG": "a bisect",
}


class HandEdit(NamedTuple):
    """One record file that a person changed: `data` is None where it was deleted or can't be read."""

    path: str
    data: bytes | None
    row: Row | None
    mtime: float


def operation(git_dir: Path) -> str | None:
    """The operation git is in the middle of in this worktree, such as `a merge`, or None."""
    return next((what for name, what in _BUSY.items() if (git_dir / name).exists()), None)


def _holds(git_dir: Path, branch: str) -> bool:
    """Whether a rebase or a bisect in this worktree, which detaches HEAD, began on the branch."""
    for name in ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"):
        with contextlib.suppress(OSError):
            said = (git_dir / name).read_text(errors="replace").strip()
            if said.removeprefix("refs/heads/") == branch:
                return True
    return False


def require_quiet(git_dir: Path, branch: str | None = None) -> None:
    """Raises Conflict while git is in the middle of something.

    With `branch`, `git_dir` is the one shared by all worktrees, and only what holds that branch counts.
    """
    places = [git_dir, *strays.worktree_folders(git_dir)] if branch else [git_dir]
    held = [place for place in places if not branch or _holds(place, branch)]
    what = next((busy for place in held if (busy := operation(place))), None)
    if what:
        raise Conflict(f"git is in the middle of {what}; finish or abort it first (`git status` says how).")


def scan(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file that may be a record, by its path from the board's root, with its own stat.

    Links and other people's repositories are not followed.
    """
    for folder in FOLDERS:
        yield from _walk(f"{root}/{folder}", None, folder, folder != "agents")


def _walk(name: str, above: int | None, path: str, deep: bool) -> Iterator[tuple[str, os.stat_result]]:
    """The files of one folder, which is opened by its name in the folder `above`.

    Its files are asked for by their names alone: a whole path is a third more work for each of ten thousand.
    """
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            return
        raise
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
        if any(entry.name == ".git" for entry in entries):
            return
        for entry in entries:
            name = entry.name
            if name.endswith(".md") or name == "config.yml":
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed since the folder was listed
                    continue
                yield f"{path}/{name}", found
            elif deep and name not in _SKIPPED and entry.is_dir(follow_symlinks=False):
                yield from _walk(name, folder, f"{path}/{name}", True)
    finally:
        os.close(folder)


def hand_edits(
    snapshot: Snapshot, root: Path, algorithm: str, converts: Callable[[], bool] = lambda: False
) -> list[HandEdit]:
    """What the working tree says differently from the snapshot; learns the sigs of files that agree.

    `converts` is asked whether git's checkout gives files other line ends here (`core.autocrlf`).
    """
    if not (root / "board" / "tasks").is_dir():
        return []
    files = snapshot.files
    settled = time.time_ns() - int(QUIET * 1e9)
    edits: list[HandEdit] = []
    seen = 0
    for path, found in scan(root):
        file = files.get(path)
        sig = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
        if file is None:
            if kind_of(path) is None:
                continue
        else:
            seen += 1
            if file[4] == sig:
                continue
        edit = _read(root / path, path, found, file[0] if file else None, algorithm)
        if edit is not None and edit.row is None:
            seen -= 1
        elif edit is not None:
            if edit.row and edit.row.kind is None and (file is None or file[1] is None):
                continue
            if file is None or not _is_converted(edit, file[0], algorithm) or not converts():
                edits.append(edit)
        elif file is not None and max(sig[0], sig[3]) < settled:
            snapshot.set(path, (*file[:4], sig))
    if seen < len(files):
        edits.extend(_deleted(files, root))
    return edits


def _is_converted(edit: HandEdit, oid: str, algorithm: str) -> bool:
    """Whether a file differs from its blob in nothing but CRLF line ends."""
    data = edit.data
    return data is not None and b"\r\n" in data and blob_id(data.replace(b"\r\n", b"\n"), algorithm) == oid


def _deleted(files: Iterable[str], root: Path) -> Iterator[HandEdit]:
    for path in files:
        if not os.path.lexists(root / path) and not is_behind_link(root, path):
            yield HandEdit(path, None, None, 0.0)


def is_behind_link(root: Path, path: str) -> bool:
    """Whether a folder on the way is a symbolic link, so that nothing can be said of the file."""
    parts = path.split("/")[:-1]
    return any((root / "/".join(parts[: i + 1])).is_symlink() for i in range(len(parts)))


def _read(file: Path, path: str, found: os.stat_result, oid: str | None, algorithm: str) -> HandEdit | None:
    """The edit a working file is, or None where its content is the blob `oid`."""
    mtime = found.st_mtime_ns / 1e9
    kind = kind_of(path)
    if not stat.S_ISREG(found.st_mode):
        if kind in ("agent", "document"):
            return None
        return HandEdit(path, None, Row(kind, None, SYMLINK), mtime)
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            data = stream.read(MOST_READ + 1)
    except FileNotFoundError:  # since it was listed: an editor that saves anew has none for an instant
        return HandEdit(path, None, None, 0.0) if oid else None
    except OSError as error:
        return HandEdit(path, None, Row(kind, None, ((1, error.strerror or "unreadable", True),)), mtime)
    if len(data) > MOST_READ:
        return HandEdit(path, None, Row(kind, None, ((1, too_large(found.st_size), True),)), mtime)
    if oid is not None and blob_id(data, algorithm) == oid:
        return None
    return HandEdit(path, data, parsed(path, data), mtime)

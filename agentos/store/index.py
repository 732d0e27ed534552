"""The person's index: our paths brought along with the branch, theirs left as they are."""

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Conflict
from agentos.store import strays
from agentos.store.git import ZERO, Git
from agentos.store.journal import Paths

TOKEN = "index.token"

PATIENCE = 1.0
"""Seconds to wait for a busy `index.lock`."""


class IndexBusy(Conflict):
    """Somebody's git holds `index.lock`."""


def lock_file(git: Git) -> Path:
    return git.git_dir / "index.lock"


@contextmanager
def held(git: Git, folder: Path) -> Iterator[None]:
    """Hold git's `index.lock`, as a hard link to our token in `folder`, by which it is known to be ours."""
    lock, token = lock_file(git), folder / TOKEN
    token.unlink(missing_ok=True)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            token.touch()
            os.link(token, lock)
            break
        except FileExistsError:
            if time.monotonic() > until:
                token.unlink(missing_ok=True)
                raise IndexBusy(strays.explain(git, lock)) from None
            time.sleep(0.005)
        except FileNotFoundError:  # cleared away just now, with all that is ours there
            if time.monotonic() > until:
                raise
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        token.unlink(missing_ok=True)


def break_lock(git: Git, token: Path) -> None:
    """Remove a leftover `index.lock`, if it is ours: another name of the token that a killed process left."""
    lock = lock_file(git)
    with suppress(FileNotFoundError):
        if lock.samefile(token):
            lock.unlink()


class Staged(NamedTuple):
    """What the index has for a path: its mode, and its blob (empty for what must be left alone)."""

    mode: str
    blob: str


def entries(git: Git, paths: Collection[str], is_flagged: bool = False) -> dict[str, Staged]:
    """What the index has for each of these paths; a path in conflict counts as somebody's.

    With `is_flagged`, so does one that git was told not to look at (skip-worktree, assume-unchanged).
    """
    if not paths:
        return {}
    out = git.run("--literal-pathspecs", "ls-files", "-s", "-v", "-z", "--", *_some(paths))
    found: dict[str, Staged] = {}
    for line in out.split(b"\0")[:-1]:
        meta, _, name = line.partition(b"\t")
        tag, mode, oid, stage = meta.decode().split()
        is_theirs = stage != "0" or (is_flagged and tag != "H")
        found[name.decode(errors="surrogateescape")] = Staged(mode, "" if is_theirs else oid)
    return {path: staged for path, staged in found.items() if path in paths}


def _some(paths: Collection[str]) -> list[str]:
    """The paths as arguments, or their folders where they are too many for a command line."""
    return list(paths) if len(paths) <= 500 else sorted({path.rpartition("/")[0] or path for path in paths})


def prepare(git: Git, paths: Paths, merged: Callable[[str, str], str | None]) -> bool:
    """Make a copy of the index in which each path that still equals its old blob has its new one.

    Where the person has staged such a path, `merged(path, staged)` names the blob to stage instead, None
    to leave it. Gives whether anything differs. The caller holds `index.lock`; `install` puts it in place.
    """
    staged = entries(git, paths)
    lines = []
    for path, blobs in paths.items():
        entry = staged.get(path)
        now = entry.blob if entry else None
        if now == blobs.after and blobs.mode in ("", entry.mode if entry else ""):
            continue
        blob = blobs.after if now == blobs.before else merged(path, now) if now else None
        if now != blobs.before and blob is None:
            continue
        mode = blobs.mode or (entry.mode if entry else "100644")
        mode, oid = (mode, blob) if blob else ("0", "0" * len(blobs.after or blobs.before or ZERO))
        lines.append(f"{mode} {oid}\t{path}\0")
    if not lines:
        return False
    discard(git)
    source, target = git.git_dir / "index", _copy(git)
    with suppress(FileNotFoundError):
        shutil.copyfile(source, target)
    data = "".join(lines).encode(errors="surrogateescape")
    git.run("update-index", "-z", "--index-info", stdin=data, extra={"GIT_INDEX_FILE": str(target)})
    return True


def install(git: Git) -> None:
    """Put the prepared index in place."""
    _copy(git).replace(git.git_dir / "index")


def discard(git: Git) -> None:
    """Forget a prepared index that a killed process left."""
    for file in (_copy(git), _copy(git).with_name("index.agentos.lock")):
        file.unlink(missing_ok=True)


def _copy(git: Git) -> Path:
    return git.git_dir / "index.agentos"

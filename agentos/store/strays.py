"""Lock files of git's: who may still hold one, and what to say of one that a killed git left behind."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agentos.store.git import Git, GitFailed

PROCESSES = Path("/proc")

_READERS = frozenset({"cat-file", "log", "show", "blame", "grep", "fsmonitor--daemon"})
"""What git may be doing for long without ever taking a lock."""


class Process(NamedTuple):
    """A git process that is at work: its number, and its command."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid})"


def at_work(git: Git) -> Process | None:
    """A git process at work in this repository, those that only read not counted; None where there is none.

    One whose folder can't be seen counts. Where the system shows no processes nobody can know, so process 0
    stands for one.
    """
    if not PROCESSES.is_dir():
        return Process(0, "git")
    tops = [git.common_dir, git.common_dir.parent, *_worktrees(git)]
    return next(_living([os.path.realpath(top) for top in tops]), None)


def _worktrees(git: Git) -> list[Path]:
    """The folders of the linked worktrees."""
    found = (git.common_dir / "worktrees").glob("*/gitdir")
    return [Path(file.read_text(errors="surrogateescape").strip()).parent for file in found]


def _living(tops: list[str]) -> Iterator[Process]:
    for folder in PROCESSES.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if not os.path.basename(words[0]).startswith("git") or _READERS & set(words):
                continue
            cwd = os.readlink(folder / "cwd")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            cwd = tops[0]
        if any(cwd == top or cwd.startswith(f"{top}/") for top in tops):
            yield Process(int(folder.name), _said(words))


def _said(words: list[str]) -> str:
    """A command without its options: what it is, not what it is told."""
    plain = [word for word in words[1:] if word and not word.startswith("-") and "=" not in word]
    return " ".join(["git", *plain[:1]])


def explain(git: Git, lock: Path) -> str:
    """One line on a lock that is in the way: who is at work, or that nobody is, and what to do."""
    process = at_work(git)
    if process is None:
        return f"{lock} was left by a git that died, none is at work here now: remove it, then try again."
    if not process.pid:
        return f"{lock} is in the way: try again when git is done; where none is running, remove that file."
    return f"{process} is at work in this repository and holds {lock}; try again when it is done."


@contextmanager
def moving(git: Git) -> Iterator[int]:
    """Mark that a git of ours is moving refs; gives the descriptor of the mark, for that git to inherit.

    The kernel unlocks the mark when we and that git are gone. One that is left and unlocked says that locks
    of refs may be left as well, and how old these are at most.
    """
    folder = _marks(git)
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / secrets.token_hex(8)
    handle = _locked(mark)
    try:
        yield handle
        _unmark(git, mark)
    except GitFailed as error:
        if error.code >= 0:
            _unmark(git, mark)
        raise
    finally:
        os.close(handle)


def _unmark(git: Git, mark: Path) -> None:
    """Git is done; where a lock is left all the same, git may have failed to remove it: the mark stays."""
    if not any(lock.exists() for lock in _shared_locks(git)):
        mark.unlink()


def _locked(mark: Path) -> int:
    """The mark made and locked; made again where `sweep` took it for a dead one's in between."""
    while True:
        handle = os.open(mark, os.O_WRONLY | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)


def sweep(git: Git) -> bool:
    """Remove the locks of refs that a killed git of ours left; gives whether there may have been any.

    While another git is at work here nothing is removed: a lock could be that one's.
    """
    marks = [mark for mark in _listed(_marks(git)) if _is_dead(mark)]
    if not marks or at_work(git) is not None:
        return False
    since = min(mark.stat().st_mtime for mark in marks)
    for lock in _ref_locks(git):
        if lock.lstat().st_mtime >= since:
            lock.unlink()
    for mark in marks:
        mark.unlink()
    return True


def _marks(git: Git) -> Path:
    return git.common_dir / "agentos" / "moving"


def _listed(folder: Path) -> list[Path]:
    return [folder / name for name in os.listdir(folder)] if folder.is_dir() else []


def _is_dead(mark: Path) -> bool:
    """Whether nobody holds the mark any more."""
    try:
        handle = os.open(mark, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)


def _shared_locks(git: Git) -> list[Path]:
    """Those that stop every later move."""
    common = git.common_dir
    packed = [common / "packed-refs.lock", common / "packed-refs.new"]
    return [*packed, common / "HEAD.lock", git.git_dir / "HEAD.lock"]


def _ref_locks(git: Git) -> list[Path]:
    """The locks that moving a branch or a claim takes (git's files backend)."""
    common = git.common_dir
    found = _shared_locks(git) + [folder / "HEAD.lock" for folder in (common / "worktrees").glob("*")]
    for folder in ("refs/heads", "refs/agentos"):
        found += (common / folder).rglob("*.lock")
    return [lock for lock in dict.fromkeys(found) if lock.is_file()]

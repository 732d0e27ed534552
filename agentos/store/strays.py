"""Lock files of git's: who may still hold one, and what to say of one that a killed git left behind."""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Conflict
from agentos.store.git import Git, GitFailed

PROCESSES = Path("/proc")

_READERS = frozenset({"cat-file", "log", "show", "blame", "grep", "fsmonitor--daemon"})
"""What git may be doing for long without ever taking a lock."""

_SPARES_NOTHING = frozenset({"--prune=now", "--prune=all"})

PATIENCE, PAUSE = 60.0, 0.02
"""Seconds for which a `gc` that spares nothing is waited for, and between two looks."""


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
    return next(_living(git, lambda words: not _READERS & set(words)), None)


def wait_for_pruning(git: Git, patience: float = PATIENCE) -> None:
    """Wait while a `git gc --prune=now` is at work here. Raises Conflict where that takes too long.

    It removes what no ref names yet, however new (git-gc, NOTES): 30 seconds of it beside eight writers left
    a branch without its commit. A `gc` without that spares what is younger than two weeks.
    """
    until = time.monotonic() + patience
    while (git.common_dir / "gc.pid").exists():
        process = next(_living(git, lambda words: bool(_SPARES_NOTHING & set(words))), None)
        if process is None:
            return
        if time.monotonic() > until:
            raise Conflict(f"{process} removes all that no branch has yet; try again when it is done.")
        time.sleep(PAUSE)


def _worktrees(git: Git) -> list[Path]:
    """The folders of the linked worktrees."""
    found = (folder / "gitdir" for folder in worktree_folders(git.common_dir))
    return [Path(text.strip()).parent for text in map(_text, found) if text]


def worktree_folders(common_dir: Path) -> list[Path]:
    """Where git keeps what belongs to each linked worktree; one may be gone when it is looked at."""
    return [common_dir / "worktrees" / name for name in _names(common_dir / "worktrees")]


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where it is gone, as git removes one with the last file in it."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(file: Path) -> str:
    """Empty for a file that is gone: the worktree was removed meanwhile."""
    try:
        return file.read_text(errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _living(git: Git, is_meant: Callable[[list[str]], bool]) -> Iterator[Process]:
    """The git processes at work in this repository that are meant, by the words of their command."""
    tops = [os.path.realpath(top) for top in (git.common_dir, git.common_dir.parent, *_worktrees(git))]
    for folder in PROCESSES.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if not os.path.basename(words[0]).startswith("git") or not is_meant(words):
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
    """Mark that a git of ours is moving refs; gives the descriptor of the gate, for that git to inherit.

    All who move refs share the gate; the kernel gives it back when we and that git are gone. A mark that is
    there while nobody shares it says that locks of refs may be left as well, and how old these are at most.
    """
    mark = _marks(git) / secrets.token_hex(8)
    mark.parent.mkdir(parents=True, exist_ok=True)
    with _gate(git, fcntl.LOCK_SH) as gate:
        _touch(mark)
        try:
            yield gate
        except GitFailed as error:
            if error.code >= 0:
                _unmark(git, mark)
            raise
        _unmark(git, mark)


def _touch(mark: Path) -> None:
    """A person may clear the folder away at any time: it is made again."""
    try:
        mark.touch()
    except FileNotFoundError:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _unmark(git: Git, mark: Path) -> None:
    """Git is done; where a lock is left all the same, git may have failed to remove it: the mark stays."""
    if not any(lock.exists() for lock in _shared_locks(git)):
        mark.unlink(missing_ok=True)


def sweep(git: Git) -> bool:
    """Remove the locks of refs that a killed git of ours left; gives whether there may have been any.

    While another git is at work here nothing is removed: a lock could be that one's.
    """
    folder = _marks(git)
    if not _names(folder):
        return False
    try:
        with _gate(git, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return _swept(git, [folder / name for name in _names(folder)])
    except BlockingIOError:
        return False


def _swept(git: Git, marks: list[Path]) -> bool:
    """The caller has the gate to itself: whoever made these marks is dead."""
    if not marks or at_work(git) is not None:
        return False
    since = min((made for mark in marks if (made := _made(mark))), default=time.time())
    for lock in _ref_locks(git):
        with contextlib.suppress(FileNotFoundError):
            if lock.lstat().st_mtime >= since:
                lock.unlink()
    for mark in marks:
        mark.unlink(missing_ok=True)
    return True


def _made(mark: Path) -> float:
    """When a mark was made; 0 for one that a person has cleared away."""
    try:
        return mark.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _marks(git: Git) -> Path:
    return git.common_dir / "agentos" / "moving"


@contextmanager
def _gate(git: Git, how: int) -> Iterator[int]:
    """Hold the gate of the marks in this way (`flock`); gives its descriptor."""
    handle = os.open(_marks(git).with_name("gate"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, how)
        yield handle
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
    found = _shared_locks(git) + [folder / "HEAD.lock" for folder in worktree_folders(common)]
    for folder in ("refs/heads", "refs/agentos"):
        found += (Path(top, name) for top, _, names in os.walk(common / folder) for name in names)
    return [lock for lock in dict.fromkeys(found) if lock.suffix in (".lock", ".new") and lock.is_file()]

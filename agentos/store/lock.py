"""Locks: the board's own, held for milliseconds, and the long ones of a tick and of packing.

The board's lock is the kernel's (`flock`) on a file that is never unlinked, and its descriptor is passed on
to git children, so that it is not free while a child of a killed runtime still writes. filelock keeps its
descriptor to itself and serves what is rare and only tried (docs/decisions/0003-two-kinds-of-lock.md).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentos.errors import Conflict

POLL = 0.002
"""Seconds between two tries for the board's lock."""

PATIENCE = 60.0
"""Seconds to wait for the board's lock before giving up."""


@contextmanager
def board_lock(path: Path, patience: float = PATIENCE) -> Iterator[int]:
    """Hold the board's lock; gives its descriptor. Raises Conflict when it stays taken for too long.

    Who is next waits with a second lock in hand, so that whoever gives the lock back and wants it again at
    once has to queue: without that, one of eight writers got 0.24 of its share.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    turn = _taken(path.with_name(f"{path.name}.next"), until, patience)
    try:
        handle = _taken(path, until, patience)
    finally:
        os.close(turn)
    try:
        yield handle
    finally:
        os.close(handle)


def _taken(path: Path, until: float, patience: float) -> int:
    """The descriptor of this file, locked."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(handle)
                raise Conflict(
                    f"Another agentos has held the board's lock for over {patience:.0f} s ({path}). "
                    "See what it is doing, then try again."
                ) from None
            time.sleep(POLL)


@contextmanager
def tick_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a tick if it is free at once; gives whether it is held.

    It is given back by word: what the tick has forked has the descriptor too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        try:
            yield True
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold a long lock if it is free at once; gives whether it is held."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()

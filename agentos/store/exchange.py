"""Putting a file in place of the one that was expected there, so that a save in the same instant survives."""

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from agentos.store.objects import EXECUTABLE, FILE, FOLDER, LINK, write_durably

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Surprise(Exception):
    """The file was not what was expected: somebody saved it in this moment. Nothing was changed."""


class Shape(NamedTuple):
    """What stands under a name: the mode as a tree has it, and a file's bytes or where a link points to."""

    mode: str
    data: bytes


def put(file: Path, expected: bytes | None, data: bytes | None) -> None:
    """Bring `file` from `expected` to `data` (None: no file), or raise Surprise with what is there instead.

    Two names are exchanged in one step and what came back is looked at: a save that slipped in between is
    exchanged back. The file's mode stays.
    """
    if data is None:
        _remove(file, expected, read)
        return
    wanted = data

    def make(fresh: Path) -> None:
        write_durably(fresh, wanted)
        with contextlib.suppress(FileNotFoundError):
            fresh.chmod(stat.S_IMODE(file.lstat().st_mode))

    _swap(file, expected, make, read)


def put_shape(file: Path, expected: Shape | None, wanted: Shape | None) -> None:
    """Like `put`, for a file or a link with its mode."""
    if wanted is None:
        _remove(file, expected, look)
        return

    def make(fresh: Path) -> None:
        if wanted.mode == LINK.decode():
            os.symlink(wanted.data, os.fsencode(fresh))
        else:
            write_durably(fresh, wanted.data, 0o777 if wanted.mode == EXECUTABLE.decode() else 0o666)

    _swap(file, expected, make, look)


T = TypeVar("T")


def _swap(file: Path, expected: T, make: Callable[[Path], None], seen: Callable[[Path], T]) -> None:
    """Put what `make` makes in place of what `seen` must find there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(file)
    try:
        make(fresh)
        if expected is None:
            try:
                os.link(fresh, file, follow_symlinks=False)
            except FileExistsError:
                raise Surprise from None
            return
        if not _is(file, expected, seen):
            raise Surprise
        if not _exchange(fresh, file):
            fresh.replace(file)
            return
        if not _is(fresh, expected, seen):
            _exchange(fresh, file)
            raise Surprise
    finally:
        fresh.unlink(missing_ok=True)


def _remove(file: Path, expected: T, seen: Callable[[Path], T]) -> None:
    aside = _beside(file)
    try:
        file.rename(aside)
    except FileNotFoundError:
        return
    if not _is(aside, expected, seen):
        _put_back(aside, file)
        raise Surprise
    aside.unlink()


def _put_back(aside: Path, file: Path) -> None:
    """Under its own name again, but never over something that is newer."""
    if aside.is_dir() and not aside.is_symlink():
        aside.rename(file)
        return
    os.link(aside, file, follow_symlinks=False)
    aside.unlink()


def _is(file: Path, expected: T, seen: Callable[[Path], T]) -> bool:
    """Whether there is what is expected, and nobody is writing it."""
    is_open = has_writer(file)
    try:
        return not is_open and seen(file) == expected
    except Surprise:
        return False


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name[:200]}.{secrets.token_hex(4)}.agentos")


def leftovers(file: Path) -> list[Path]:
    """What a killed process may have left beside a file it was putting in place."""
    prefix = f".{file.name[:200]}."
    try:
        names = os.listdir(file.parent)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [file.with_name(n) for n in names if n.startswith(prefix) and n.endswith(".agentos")]


def read(file: Path) -> bytes | None:
    """The bytes of a plain file; None for none. Raises Surprise for what is no plain file."""
    try:
        with open(file, "rb", opener=_plain) as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError:
        raise Surprise from None


def _plain(name: str, flags: int) -> int:
    """Open a plain file; a pipe isn't waited for. Raises Surprise for anything else."""
    handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Surprise
    return handle


def look(file: Path) -> Shape | None:
    """What stands under a name, links not followed; None for nothing, and no data for what is no file."""
    try:
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            return Shape(LINK.decode(), os.readlink(os.fsencode(file)))
        if not stat.S_ISREG(mode):
            return Shape(FOLDER.decode() if stat.S_ISDIR(mode) else "", b"")
        data = read(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Surprise:
        return Shape("", b"")
    return None if data is None else Shape((EXECUTABLE if mode & stat.S_IXUSR else FILE).decode(), data)


def has_writer(file: Path) -> bool:
    """Whether some process has the file open for writing, so that more may come; False where nobody can tell.

    Linux gives a read lease only on a file that nobody writes (fcntl(2), F_SETLEASE). It is given back at
    once; who breaks it in that instant sends a signal that is ignored by default.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (renameat2); False where the system can't, Surprise where one is gone."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    done = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    if done and ctypes.get_errno() == errno.ENOENT:
        raise Surprise
    return int(done) == 0

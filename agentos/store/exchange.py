"""Putting a file in place of the one that was expected there, so that a save in the same instant survives."""

import ctypes
import os
import secrets
import stat
import sys
from pathlib import Path

from agentos.store.objects import write_durably

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class Surprise(Exception):
    """The file was not what was expected; `found` is what it is (None: no file). Nothing was changed."""

    def __init__(self, found: bytes | None) -> None:
        super().__init__("somebody saved the file in this moment")
        self.found = found


def put(file: Path, expected: bytes | None, data: bytes | None) -> None:
    """Bring `file` from `expected` to `data` (None: no file), or raise Surprise with what is there instead.

    Two names are exchanged in one step and what came back is looked at: a save that slipped in between is
    exchanged back.
    """
    if data is None:
        _remove(file, expected)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = _beside(file)
    write_durably(fresh, data)
    try:
        if expected is None:
            try:
                os.link(fresh, file)
            except FileExistsError:
                raise Surprise(read(file)) from None
            return
        found = read(file)
        if found != expected:
            raise Surprise(found)
        fresh.chmod(stat.S_IMODE(file.lstat().st_mode))
        if not _exchange(fresh, file):
            fresh.replace(file)
            return
        came = read(fresh)
        if came != expected:
            _exchange(fresh, file)
            raise Surprise(came)
    finally:
        fresh.unlink(missing_ok=True)


def _remove(file: Path, expected: bytes | None) -> None:
    aside = _beside(file)
    try:
        file.rename(aside)
    except FileNotFoundError:
        return
    came = read(aside)
    if came != expected:
        os.link(aside, file)
        aside.unlink()
        raise Surprise(came)
    aside.unlink()


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
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError:
        raise Surprise(None) from None
    with os.fdopen(handle, "rb") as stream:
        return stream.read()


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (renameat2); False where the system can't."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    done = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)
    )
    return int(done) == 0

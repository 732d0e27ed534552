"""Files of a workspace for a model: opened component by component, so that no path and no link leads out."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from agentos.errors import Invalid, NotFound, Refused, Usage

MOST_BYTES = 1 << 20
"""Bytes of a file that is read or written; what is larger is for a command."""

MOST_ENTRIES = 1000
"""Entries of one listing."""

MOST_TOLD = 20
"""Entries that are named to who asked for a folder that is not there."""

DEEPEST = 30
"""Folders within folders of one listing."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read(root: Path, path: str, most: int = MOST_BYTES) -> bytes:
    """A regular file's bytes. Raises NotFound, Refused for a way out, Invalid for what can't be read."""
    *folders, name = _parts(path)
    with _folder(root, folders, path) as folder, _named(path):
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode):
                raise Invalid(f"{path} is a folder or no regular file; only regular files can be read.")
            if about.st_size > most:
                raise Invalid(f"{path} has {about.st_size:,} bytes; at most {most:,} can be read.")
            with os.fdopen(file, "rb", closefd=False) as opened:
                return opened.read(most)
        finally:
            os.close(file)


def write(root: Path, path: str, data: bytes) -> None:
    """A file's new content, in one step; missing folders are made, and an old file keeps its mode.

    Raises Refused for a way out, a link, or anything of git's.
    """
    *folders, name = _parts(path)
    if any(part.casefold() == ".git" for part in (*folders, name)):
        raise Refused(f"{path} is git's own; use the work tree only.")
    if len(data) > MOST_BYTES:
        raise Usage(f"{path} would have {len(data):,} bytes; at most {MOST_BYTES:,} can be written.")
    with _folder(root, folders, path, make=True) as folder, _named(path):
        _replace(folder, name, path, data)


def _replace(folder: int, name: str, path: str, data: bytes) -> None:
    mode = _mode(folder, name, path)
    partial = f".{secrets.token_hex(6)}.partial"
    file = os.open(
        partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder
    )
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
            if mode is not None:
                os.fchmod(file, mode)
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(partial, dir_fd=folder)
        raise


def _mode(folder: int, name: str, path: str) -> int | None:
    """The permissions of the file that is there; None where there is none."""
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(about.st_mode):
        raise Refused(f"{path} is a link, a folder or no regular file; only regular files are written.")
    return stat.S_IMODE(about.st_mode) & 0o777


def listing(root: Path, path: str, deep: bool = False) -> list[str]:
    """What is in a folder, and below it for `deep`: folders end in `/`, links show where they lead.

    Raises NotFound, with what there is instead: whoever asks for a listing does not know.
    """
    parts = _parts(path, or_none=True)
    try:
        return _listing(root, parts, path, deep)
    except NotFound:
        here = _listing(root, [], ".", deep=False) if parts else []
        shown = ", ".join(here[:MOST_TOLD]) + (", …" if len(here) > MOST_TOLD else "")
        raise NotFound(f"There is no {path}. Here is: {shown or 'nothing'}.") from None


def _listing(root: Path, parts: list[str], path: str, deep: bool) -> list[str]:
    with _folder(root, parts, path) as folder, _named(path):
        found: list[str] = []
        _list(folder, "", DEEPEST if deep else 0, found)
        return found


def _list(folder: int, prefix: str, deep: int, found: list[str]) -> None:
    for name in sorted(os.listdir(folder)):
        if len(found) > MOST_ENTRIES:
            return
        if name == ".git":
            continue
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            found.append(f"{prefix}{name} -> {os.readlink(name, dir_fd=folder)}")
        elif stat.S_ISDIR(mode):
            found.append(f"{prefix}{name}/")
            if deep:
                inner = os.open(name, _FOLDER, dir_fd=folder)
                try:
                    _list(inner, f"{prefix}{name}/", deep - 1, found)
                finally:
                    os.close(inner)
        else:
            found.append(f"{prefix}{name}")


@contextmanager
def _folder(root: Path, parts: list[str], path: str, make: bool = False) -> Iterator[int]:
    """The folder that the parts lead to, opened one by one without following a link."""
    with _named(path):
        current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            with _named(path):
                inner = _step(current, part, make)
            os.close(current)
            current = inner
        yield current
    finally:
        os.close(current)


def _step(folder: int, part: str, make: bool) -> int:
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(part, dir_fd=folder)
    return os.open(part, _FOLDER, dir_fd=folder)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """The system's errors in words that name the path."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"There is no {path}; `list` shows what there is.") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(f"{path} goes through a link or a file; name the real path.") from None
        raise Invalid(f"{path}: {os.strerror(error.errno or 0).lower()}.") from None


def _parts(path: str, or_none: bool = False) -> list[str]:
    """The components of a path below the workspace. Raises Refused for one that leads out."""
    if "\0" in path or len(path) > 4096:
        raise Usage("A path has no null bytes, and at most 4096 characters.")
    pure = PurePosixPath(path.strip())
    parts = [part for part in pure.parts if part != "."]
    if pure.is_absolute() or ".." in parts:
        raise Refused(f"{path} leads out of the workspace; paths are relative to it, without `..`.")
    if not parts and not or_none:
        raise Usage("A path is wanted, relative to the workspace.")
    return parts

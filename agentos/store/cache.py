"""The cache: the files of one tree, parsed, on disk as plain data; losing it costs a slow read.

It is two files: `board` with everything, and `delta` with the little that has changed since, so that neither
a transaction nor a reader writes ten thousand rows for one. A third, `briefs`, has of each task what is asked
of all of them, so that nobody decodes ten thousand records for one; a fourth, `ledger`, has them in the order
in which they are asked for. Only who asks reads these two.
"""

import contextlib
import gc
import marshal
import os
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from agentos import __version__
from agentos.model.board import Board
from agentos.model.briefs import Brief
from agentos.model.ledger import Ledger
from agentos.store.rows import Remark

Sig = tuple[int, int, int, int]
"""What a working file's stat was when its content was this blob: mtime, size, inode, ctime."""

File = tuple[str, str | None, bytes | None, tuple[Remark, ...], Sig | None]
"""One file of the tree: blob, kind, fields as JSON, remarks, and the working file's sig where known."""

MOST_DELTA = 500
"""Files that may have changed before everything is written anew."""

MOST_UNKNOWN = 100
"""Tasks of which no brief is kept before those of all are written anew."""

_MAGIC = b"agentos cache\n"
_VERSION = (6, __version__, sys.version_info[:2])


class Snapshot:
    """The record files of one tree, by their path from the board's root."""

    def __init__(
        self, tree: str | None, files: dict[str, File], base: str | None = None, folder: Path | None = None
    ) -> None:
        self.tree = tree
        self.files = files
        self._base = base
        self._folder = folder
        self._delta: dict[str, File | None] = {}
        self._is_saved = True
        self._ledger: tuple[str, Ledger] | None = None

    def set(self, path: str, file: File | None) -> None:
        """One file as it is in the tree, or gone."""
        if file is None:
            self.files.pop(path, None)
        else:
            self.files[path] = file
        self._delta[path] = file
        self._is_saved = False

    def at(self, tree: str | None) -> None:
        """The tree that the files are of from now on."""
        if tree != self.tree:
            self.tree = tree
            self._is_saved = False

    @cached_property
    def briefs(self) -> Mapping[str, Brief]:
        """What is kept of tasks in brief, by blob: of some that are gone, too, and not of the newest."""
        kept = _read(self._folder / "briefs") if self._folder else None
        return {blob: Brief(*fields) for blob, fields in kept[1].items()} if kept else {}

    def ledger(self, tree: str | None) -> Ledger | None:
        """The ledger of the tasks of a tree, where it is the one that is kept."""
        if self._ledger is None or self._ledger[0] != tree:
            kept = _read(self._folder / "ledger") if self._folder and tree else None
            self._ledger = (kept[1], Ledger(*kept[2:])) if kept else None
        return self._ledger[1] if self._ledger and self._ledger[0] == tree else None

    def keep(self, board: Board, folder: Path) -> None:
        """Keep the ledger of the board that this has become, and the briefs where too many are not known."""
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if board.earlier_ledger is None:
                self._keep_briefs(board, folder)
            if self._is_as_read(board):
                _write(folder / "ledger", (_VERSION, self.tree, *board.ledger))

    def _is_as_read(self, board: Board) -> bool:
        """Whether a board to which rows were set has the tasks that will be read of these files.

        A name that came may differ from another only in case; then neither will be.
        """
        came = [name for name in board.tasks.touched if board.tasks.rows_of(name)[0] is None]
        return not came or len({path.lower() for path in self.files}) == len(self.files)

    def _keep_briefs(self, board: Board, folder: Path) -> None:
        known, rows = self.briefs, board.tasks.rows
        if sum(row[1] not in known for row in rows.values()) > MOST_UNKNOWN:
            briefs = {rows[name][1]: tuple(brief) for name, brief in board.briefs.items()}
            _write(folder / "briefs", (_VERSION, briefs))

    def save(self, folder: Path) -> None:
        """Keep it for the next reader, if anything was learned; a cache that can't be written is no harm."""
        if self._is_saved:
            return
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if self._base is None or len(self._delta) > MOST_DELTA:
                _write(folder / "board", (_VERSION, self.tree, self.files))
                self._base, self._delta = self.tree, {}
            else:
                _write(folder / "delta", (_VERSION, self._base, self.tree, self._delta))
            self._is_saved = True


def load(folder: Path) -> Snapshot:
    """The snapshot that was kept last, or an empty one."""
    with uncollected():
        kept = _read(folder / "board")
        if kept is None or len(kept) != 3:
            return Snapshot(None, {})
        _, base, files = kept
        snapshot = Snapshot(base, files, base, folder)
        more = _read(folder / "delta")
        if more is not None and len(more) == 4 and more[1] == base:
            for path, file in more[3].items():
                snapshot.set(path, file)
            snapshot.tree = more[2]
            snapshot._is_saved = True
        return snapshot


@contextmanager
def uncollected() -> Iterator[None]:
    """Loading many small objects without the garbage collector looking through them again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(path: Path) -> Any:
    """What a cache file holds; None for one that is missing, damaged, or of another version."""
    try:
        data = path.read_bytes()
        head, body = data[: len(_MAGIC) + 4], memoryview(data)[len(_MAGIC) + 4 :]
        if head != _MAGIC + zlib.crc32(body).to_bytes(4, "big"):
            return None
        kept = marshal.loads(body)
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return kept if isinstance(kept, tuple) and kept[:1] == (_VERSION,) else None


def _write(path: Path, data: Any) -> None:
    body = marshal.dumps(data)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")  # readers take no lock
    partial.write_bytes(_MAGIC + zlib.crc32(body).to_bytes(4, "big") + body)
    partial.replace(path)

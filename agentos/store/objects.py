"""Git objects: read through one standing process, written loose and durable, trees edited along one path."""

import contextlib
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentos.errors import Conflict, Invalid
from agentos.store import strays
from agentos.store.git import Git

if TYPE_CHECKING:
    import subprocess

FILE, FOLDER, LINK, SUBMODULE = b"100644", b"40000", b"120000", b"160000"
EXECUTABLE = b"100755"
ZERO_MODE = "000000"

TRIES = 10
"""How often objects are written until no `git gc` was in between."""


class Entry(NamedTuple):
    """One line of a tree: its mode (octal) and the object's name."""

    mode: bytes
    oid: str


class Tree(Mapping[bytes, Entry]):
    """A tree's entries by name, each decoded only when it is looked at: of ten thousand, one or two are."""

    def __init__(self, lines: dict[bytes, bytes], is_sorted: bool = True) -> None:
        self._lines = lines
        self._is_sorted = is_sorted
        """Whether the lines are in git's order: until a name is added, or turns from file to folder."""

    @classmethod
    def parse(cls, data: bytes, digest: int) -> "Tree":
        """The tree with these bytes (git's format: mode, name, NUL, then the object in `digest` bytes)."""
        lines = re.findall(rb"(\d+ ([^\0]+)\0.{%d})" % digest, data, re.DOTALL)
        return cls({name: line for line, name in lines})

    def __getitem__(self, name: bytes) -> Entry:
        head, _, oid = self._lines[name].partition(b"\0")
        return Entry(head.partition(b" ")[0], oid.hex())

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def copy(self) -> "Tree":
        return Tree(self._lines.copy(), self._is_sorted)

    def set(self, name: bytes, entry: Entry | None) -> None:
        """One entry as it is from now on, or none."""
        if entry is None:
            self._lines.pop(name, None)
            return
        line = b"%s %s\0%s" % (entry.mode, name, bytes.fromhex(entry.oid))
        old = self._lines.get(name)
        self._is_sorted &= old is not None and _is_folder(old) == _is_folder(line)
        self._lines[name] = line

    @property
    def data(self) -> bytes:
        """The tree's bytes; git sorts a folder as if its name ended in a slash."""
        if self._is_sorted:
            return b"".join(self._lines.values())
        names = sorted(self._lines, key=lambda n: n + b"/" if _is_folder(self._lines[n]) else n)
        return b"".join(map(self._lines.__getitem__, names))


def _is_folder(line: bytes) -> bool:
    return line.startswith(FOLDER + b" ")


def blob_id(data: bytes, algorithm: str = "sha1") -> str:
    """The name git gives a file with these bytes (gitformat-pack: `blob <size>\\0<bytes>`)."""
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest()


class Objects:
    """The objects of one repository; what was written is on disk only after `flush`."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._reader: subprocess.Popen[bytes] | None = None
        self._pending: dict[str, tuple[bytes, bytes]] = {}
        self._written: dict[str, tuple[bytes, bytes]] = {}
        self._algorithm: str | None = None
        self._trees: dict[str, Tree] = {}

    def forget(self) -> None:
        """Drop what was written and is not named by a ref."""
        self._pending.clear()
        self._written.clear()

    def close(self) -> None:
        if self._reader is not None:
            assert self._reader.stdin and self._reader.stdout
            with contextlib.suppress(BrokenPipeError):
                self._reader.stdin.close()
            self._reader.stdout.close()
            self._reader.wait()
            self._reader = None

    @property
    def algorithm(self) -> str:
        """`sha1` or `sha256`, as the repository was made."""
        if self._algorithm is None:
            config = self._git.common_dir / "config"
            text = config.read_text(errors="replace") if config.is_file() else ""
            self._algorithm = "sha256" if re.search(r"(?im)^\s*objectformat\s*=\s*sha256", text) else "sha1"
        return self._algorithm

    def read(self, oid: str) -> tuple[str, bytes]:
        """The kind and the bytes of an object. Raises Invalid where it is missing."""
        if oid in self._pending:
            kind, data = self._pending[oid]
            return kind.decode(), data
        if self._reader is None:
            self._reader = self._git.start("cat-file", "--batch")
        assert self._reader.stdin and self._reader.stdout
        with contextlib.suppress(BrokenPipeError):  # git gave up over a damaged object; it tells nothing more
            self._reader.stdin.write(oid.encode() + b"\n")
            self._reader.stdin.flush()
        header = self._reader.stdout.readline().split()
        if len(header) != 3:
            raise Invalid(f"The object {oid} is missing from the repository; `git fsck` tells more.")
        data = self._reader.stdout.read(int(header[2]) + 1)[:-1]
        return header[1].decode(), data

    def blob(self, oid: str) -> bytes:
        return self.read(oid)[1]

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Many objects in one process, at the price of one: `cat-file --batch --buffer`."""
        wanted = list(dict.fromkeys(oids))
        if not wanted:
            return {}
        out = self._git.run("cat-file", "--batch", "--buffer", stdin="\n".join(wanted).encode() + b"\n")
        found: dict[str, bytes] = {}
        at = 0
        for oid in wanted:
            end = out.index(b"\n", at)
            header = out[at:end].split()
            if len(header) != 3:
                raise Invalid(f"The object {oid} is missing from the repository; `git fsck` tells more.")
            size = int(header[2])
            found[oid] = out[end + 1 : end + 1 + size]
            at = end + 2 + size
        return found

    def write(self, kind: str, data: bytes) -> str:
        """The name of the object with these bytes; on disk after the next `flush`."""
        head = b"%s %d\0" % (kind.encode(), len(data))
        oid = hashlib.new(self.algorithm, head + data).hexdigest()
        self._pending[oid] = (kind.encode(), data)
        return oid

    def tree(self, oid: str | None) -> Tree:
        """The entries of a tree by name; none for no tree."""
        if oid is None:
            return Tree({})
        if oid in self._trees:
            return self._trees[oid]
        kind, data = self.read(oid)
        if kind == "commit":
            return self.tree(data[5 : data.index(b"\n")].decode())
        self._trees[oid] = Tree.parse(data, hashlib.new(self.algorithm).digest_size)
        return self._trees[oid]

    def tree_with(self, oid: str | None, changes: Mapping[str, "Entry | str | None"]) -> str | None:
        """The tree with these files set (None: gone); only trees along their paths are written.

        A blob alone keeps the mode of the file that was there. None where nothing is left in the tree.
        """
        entries = self.tree(oid).copy()
        below: dict[str, dict[str, Entry | str | None]] = {}
        for path, blob in changes.items():
            name, slash, rest = path.partition("/")
            key = os.fsencode(name)
            if slash:
                below.setdefault(name, {})[rest] = blob
            elif isinstance(blob, str):
                old = entries.get(key)
                entries.set(key, Entry(old.mode if old and old.mode == EXECUTABLE else FILE, blob))
            else:
                entries.set(key, blob)
        for name, inner in below.items():
            self._set_folder(entries, os.fsencode(name), inner)
        return self.write("tree", entries.data) if entries else None

    def _set_folder(self, entries: Tree, key: bytes, inner: Mapping[str, "Entry | str | None"]) -> None:
        """One folder of a tree with its own changes; a file that has taken its name stays."""
        old = entries.get(key)
        is_folder = old is not None and old.mode == FOLDER
        new = self.tree_with(old.oid if old and is_folder else None, inner)
        if new is not None:
            entries.set(key, Entry(FOLDER, new))
        elif is_folder:
            entries.set(key, None)

    def find(self, tree: str | None, path: str) -> str | None:
        """The blob at a path of a tree, or None."""
        entry = self.entry(tree, path)
        return entry.oid if entry else None

    def entry(self, tree: str | None, path: str) -> Entry | None:
        """The file at a path of a tree: a blob, a link or a submodule; None for none and for a folder."""
        entry = self._line(tree, path)
        return entry if entry and entry.mode != FOLDER else None

    def is_folder(self, tree: str | None, path: str) -> bool:
        """Whether a folder is at a path of a tree."""
        entry = self._line(tree, path)
        return entry is not None and entry.mode == FOLDER

    def _line(self, tree: str | None, path: str) -> Entry | None:
        *folders, name = os.fsencode(path).split(b"/")
        for folder in folders:
            entry = self.tree(tree).get(folder)
            if entry is None or entry.mode != FOLDER:
                return None
            tree = entry.oid
        return self.tree(tree).get(name)

    def flush(self) -> None:
        """Everything written so far, on disk: file and folder are synced before this returns.

        A `git gc` at the same moment removes folders that are empty, and files of ours that have no name yet:
        then it is done once more. Raises Conflict where one that spares nothing is at work for too long.
        """
        if self._pending:
            strays.wait_for_pruning(self._git)
        folders: set[Path] = set()
        for count in range(TRIES):
            try:
                self._flush(folders)
                break
            except FileNotFoundError:
                if count + 1 == TRIES:
                    raise
        self._written |= self._pending
        self._pending.clear()

    def confirm(self) -> None:
        """A ref names what was flushed: whatever a `git gc --prune=now` took in between is written again.

        One that began before the ref moved is waited for; a later one sees the ref.
        """
        self._pending |= self._written
        with contextlib.suppress(Conflict):
            self.flush()
        self._pending.clear()
        self._written.clear()

    def _flush(self, folders: set[Path]) -> None:
        """Write what is not there, and sync these folders and those that it was written to."""
        store = self._git.common_dir / "objects"
        for oid, (kind, data) in self._pending.items():
            path = store / oid[:2] / oid[2:]
            if _is_fresh(path):
                continue
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                folders.add(store)
            self._write_loose(path, b"%s %d\0" % (kind, len(data)) + data)
            folders.add(path.parent)
        for folder in folders:
            sync_folder(folder)

    @staticmethod
    def _write_loose(path: Path, data: bytes) -> None:
        partial = path.with_name(f"tmp_obj_agentos_{secrets.token_hex(8)}")
        write_durably(partial, zlib.compress(data, 1), 0o444)
        partial.replace(path)


def _is_fresh(path: Path) -> bool:
    """Whether an object is there, dated now: `git gc` removes what nothing names and is two weeks old."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def write_durably(path: Path, data: bytes, mode: int = 0o666) -> None:
    """A new file at `path` with these bytes, synced; the folder is not. Leaves nothing behind on failure."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the folder's own entries durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

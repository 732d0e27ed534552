"""A commit's files, each parsed once per blob, from a disposable cache of plain data."""

import contextlib
import gc
import marshal
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos import __version__
from agentos.errors import Invalid
from agentos.model.board import Board, Problem, Table, duplicates
from agentos.model.records import FORMAT, RECORDS, Config, Record, kind_of
from agentos.store import codec
from agentos.store.codec import Remark
from agentos.store.git import Git, GitFailed
from agentos.store.objects import LINK, Objects, blob_id

Sig = tuple[int, int, int, int]
"""What a working file's stat was when its content was this blob: mtime, size, inode, ctime."""

File = tuple[str, str | None, bytes | None, tuple[Remark, ...], Sig | None]
"""One file of the tree: blob, kind, fields as JSON, remarks, and the working file's sig where known."""

WORTH_SAVING = 64
"""Files learned since the cache was written, from which on it is written anew."""

FOLDERS = ("board", "agents", "docs")

_VERSION = (1, __version__, sys.version_info[:2])
_SYMLINK: tuple[Remark, ...] = ((1, "is a symbolic link; a record is a plain file", True),)


class Snapshot:
    """The record files of one tree by their path from the board's root."""

    def __init__(self, tree: str | None, files: dict[str, File]) -> None:
        self.tree = tree
        self.files = files
        self.fresh = 0
        """How many sigs were learned since it was loaded; worth saving when there are many."""

    def save(self, folder: Path) -> None:
        """Keep it for the next reader; a cache that can't be written is no harm."""
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"board.{os.getpid()}"
            partial.write_bytes(marshal.dumps((_VERSION, self.tree, self.files)))
            partial.replace(folder / "board")
            self.fresh = 0


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


def cached(folder: Path) -> Snapshot:
    """The snapshot the last reader kept, or an empty one."""
    try:
        version, tree, files = marshal.loads((folder / "board").read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        return Snapshot(None, {})
    return Snapshot(tree, files) if version == _VERSION else Snapshot(None, {})


def read(git: Git, objects: Objects, tree: str | None, prefix: str, folder: Path) -> Snapshot:
    """The snapshot of `tree`: what the cache has, brought forward by what git says has changed."""
    with uncollected():
        snapshot = cached(folder)
        if snapshot.tree == tree:
            return snapshot
        if tree is None:
            return Snapshot(None, {})
        changed = _changed(git, snapshot.tree, tree, prefix)
        if changed is None:
            snapshot = Snapshot(None, {})
            changed = _changed(git, None, tree, prefix) or {}
        update(snapshot, changed, _working_root(git, prefix), objects)
        snapshot.tree = tree
        snapshot.fresh += len(changed)
        return snapshot


def update(
    snapshot: Snapshot, changed: Mapping[str, tuple[bytes, str] | None], root: Path | None, objects: Objects
) -> None:
    """Set these files to (mode, blob), None for gone; contents come from working files that agree."""
    missing: dict[str, str] = {}
    for path, entry in changed.items():
        if entry is None:
            snapshot.files.pop(path, None)
        elif entry[0] == LINK:
            snapshot.files[path] = (entry[1], kind_of(path), None, _SYMLINK, None)
        elif not (root and _take_working(snapshot, path, entry[1], root, objects.algorithm)):
            missing[path] = entry[1]
    blobs = objects.blobs(missing.values())
    for path, oid in missing.items():
        kind, fields, remarks = codec.row(path, blobs[oid])
        snapshot.files[path] = (oid, kind, fields, remarks, None)


def _take_working(snapshot: Snapshot, path: str, oid: str, root: Path, algorithm: str) -> bool:
    try:
        data = (root / path).read_bytes()
    except OSError:
        return False
    if blob_id(data, algorithm) != oid:
        return False
    kind, fields, remarks = codec.row(path, data)
    snapshot.files[path] = (oid, kind, fields, remarks, None)
    return True


def _working_root(git: Git, prefix: str) -> Path | None:
    return git.work_tree / prefix if git.work_tree else None


def _changed(git: Git, old: str | None, new: str, prefix: str) -> dict[str, tuple[bytes, str] | None] | None:
    """What differs between two trees under the board's folders; everything for no old tree.

    None where the old tree is gone from the repository.
    """
    paths = [prefix + folder for folder in FOLDERS]
    found: dict[str, tuple[bytes, str] | None] = {}
    if old is None:
        out = git.run("ls-tree", "-r", "-z", "--full-tree", new, "--", *paths)
        for line in out.split(b"\0")[:-1]:
            meta, _, name = line.partition(b"\t")
            mode, kind, oid = meta.split()
            if kind == b"blob":
                _note(found, name, prefix, (mode, oid.decode()))
        return found
    try:
        out = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", old, new, "--", *paths)
    except GitFailed:
        return None
    parts = out.split(b"\0")
    for meta, name in zip(parts[:-1:2], parts[1::2], strict=True):
        _, mode, _, oid, status = meta.split()
        _note(found, name, prefix, None if status == b"D" else (mode, oid.decode()))
    return found


def _note(found: dict[str, Any], name: bytes, prefix: str, entry: tuple[bytes, str] | None) -> None:
    path = name.decode(errors="surrogateescape").removeprefix(prefix)
    if kind_of(path):
        found[path] = entry


def assemble(commit: str | None, files: Mapping[str, File]) -> Board:
    """The board these files are. Raises Invalid where its format is newer than this version reads."""
    rows: dict[str, dict[str, Any]] = {kind: {} for kind in RECORDS}
    problems: list[Problem] = []
    held: set[str] = set()
    for path, (oid, kind, fields, remarks, _) in files.items():
        if kind is None:
            continue
        if remarks:
            problems.extend(Problem(path, *remark) for remark in remarks)
        name = _name(kind, path)
        if fields is not None:
            rows[kind][name] = (path, oid, fields)
        elif kind == "task":
            held.add(name)
    for path, other in duplicates(path for path, file in files.items() if file[1]):
        problems.append(Problem(path, 1, f"differs from {other} only in case; rename one of them"))
        kind = files[path][1] or ""
        rows[kind].pop(_name(kind, path), None)
    config = _config(rows["config"], problems)
    tables = {kind: Table(rows[kind], _maker(RECORDS[kind])) for kind in rows}
    return Board(
        commit=commit,
        tasks=tables["task"],
        agents=tables["agent"],
        messages=tables["message"],
        documents=tables["document"],
        config=config,
        problems=tuple(sorted(problems)),
        held=frozenset(held),
    )


_TABLES = {"task": "tasks", "agent": "agents", "message": "messages", "document": "documents"}


def with_file(board: Board, path: str, file: File | None) -> Board | None:
    """The board with one file set, or gone for None; None where that needs assembling it anew."""
    kind = file[1] if file else kind_of(path)
    field = _TABLES.get(kind or "")
    if field is None or (file is not None and file[2] is None):
        return None
    name = _name(kind or "", path)
    row = (path, file[0], file[2]) if file else None
    remarks = file[3] if file else ()
    problems = [p for p in board.problems if p.path != path] + [Problem(path, *r) for r in remarks]
    table = getattr(board, field).with_row(name, row)
    changed: dict[str, Any] = {field: table, "problems": tuple(sorted(problems))}
    if kind == "task":
        changed["held"] = board.held - {name}
    return replace(board, **changed)


def _name(kind: str, path: str) -> str:
    """What a record goes by: tasks and agents by file name, the others by path."""
    return path.rpartition("/")[2].removesuffix(".md") if kind in ("task", "agent") else path


def _maker(kind: type[Record]) -> Any:
    return lambda name, row: kind.from_row(row[0], row[2])


def _config(rows: Mapping[str, Any], problems: list[Problem]) -> Config:
    row = rows.get("board/config.yml")
    if row is None:
        return Config()
    config = Config.from_row(row[0], row[2])
    if config.format > FORMAT:
        raise Invalid(
            f"board/config.yml: format {config.format} is newer than this version of agentos reads "
            f"({FORMAT}). Upgrade agentos to work on this board."
        )
    return config

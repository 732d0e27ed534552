"""A commit's files, each parsed once per blob, from a disposable cache of plain data."""

import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentos.errors import Invalid
from agentos.model.board import Board, Problem, duplicates
from agentos.model.briefs import Brief
from agentos.model.ledger import Ledger
from agentos.model.records import FORMAT, RECORDS, Config
from agentos.model.tables import Row, Table
from agentos.model.words import kind_of, task_number
from agentos.store import cache
from agentos.store.cache import File, Snapshot, uncollected
from agentos.store.git import Git, GitFailed
from agentos.store.objects import LINK, Objects, blob_id
from agentos.store.rows import SYMLINK
from agentos.store.rows import Row as Parsed

if TYPE_CHECKING:
    from agentos.store.worktree import HandEdit

is_claimable = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*").fullmatch
"""Whether a task's name can be part of a ref."""

QUIET = 0.02
"""Seconds a file must have been left alone before its stat says anything."""

Briefs = Callable[[], Mapping[str, Brief]]
Summed = Callable[[], Ledger | None]

FOLDERS = ("board", "agents", "docs")


def read(git: Git, objects: Objects, tree: str | None, prefix: str, folder: Path) -> Snapshot:
    """The snapshot of `tree`: what the cache has, brought forward by what git says has changed."""
    snapshot = cache.load(folder)
    if snapshot.tree == tree:
        return snapshot
    if tree is None:
        return Snapshot(None, {})
    with uncollected():
        changed = _changed(git, snapshot.tree, tree, prefix)
        if changed is None:
            snapshot = Snapshot(None, {})
            changed = _changed(git, None, tree, prefix) or {}
        update(snapshot, changed, git.work_tree / prefix if git.work_tree else None, objects)
        snapshot.at(tree)
    return snapshot


def update(
    snapshot: Snapshot, changed: Mapping[str, tuple[bytes, str] | None], root: Path | None, objects: Objects
) -> None:
    """Set these files to (mode, blob), None for gone; contents come from working files that agree."""
    missing: dict[str, str] = {}
    algorithm, settled = objects.algorithm, time.time_ns() - int(QUIET * 1e9)
    for path, entry in changed.items():
        if entry is None:
            snapshot.set(path, None)
        elif entry[0] == LINK:
            kind = kind_of(path)
            is_ours = kind not in ("agent", "document")
            snapshot.set(path, (entry[1], kind if is_ours else None, None, SYMLINK if is_ours else (), None))
        elif not (root and _take_working(snapshot, path, entry[1], str(root), algorithm, settled)):
            missing[path] = entry[1]
    blobs = objects.blobs(missing.values())
    for path, oid in missing.items():
        kind, fields, remarks = parsed(path, blobs[oid])
        snapshot.set(path, (oid, kind, fields, remarks, None))


def board_of(commit: str | None, found: Snapshot) -> Board:
    """The board of a snapshot as it is."""
    tree = found.tree
    return assemble(commit, found.files, lambda: found.briefs, lambda: found.ledger(tree))


def overlaid(commit: str | None, found: Snapshot, edits: Iterable["HandEdit"]) -> Board:
    """The board of a snapshot with hand edits over it."""
    files = found.files.copy()
    for edit in edits:
        if edit.row is None:
            files.pop(edit.path, None)
        else:
            files[edit.path] = (f"hand:{edit.mtime}", *edit.row, None)
    return assemble(commit, files, lambda: found.briefs)


def earlier(git: Git, objects: Objects, now: Snapshot, commit: str, prefix: str) -> dict[str, File] | None:
    """The files as they were at another commit; None where that is gone from the repository."""
    if now.tree is None:
        return None
    changed = _changed(git, now.tree, f"{commit}^{{tree}}", prefix)
    if changed is None:
        return None
    then = Snapshot(None, dict(now.files))
    update(then, changed, None, objects)
    return then.files


def parsed(path: str, data: bytes) -> Parsed:
    """The row of a file; the parser is loaded only here, since most reads find everything in the cache."""
    from agentos.store import codec

    return codec.row(path, data)


def _take_working(snapshot: Snapshot, path: str, oid: str, root: str, algorithm: str, settled: int) -> bool:
    """Use the working file if it is this blob, and remember at which stat it was; one read serves both."""
    try:
        handle = os.open(f"{root}/{path}", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        found = os.fstat(handle)
        data = os.read(handle, found.st_size + 1) if stat.S_ISREG(found.st_mode) else b""
    finally:
        os.close(handle)
    if blob_id(data, algorithm) != oid:
        return False
    sig = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
    snapshot.set(path, (oid, *parsed(path, data), sig if max(sig[0], sig[3]) < settled else None))
    return True


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


def assemble(
    commit: str | None, files: Mapping[str, File], kept: Briefs = dict, summed: Summed = lambda: None
) -> Board:
    """The board these files are; `kept` gives the briefs that are known, by blob, `summed` their ledger."""
    plain, others = _sorted_out(files)
    rows: dict[str, dict[str, Row]] = {kind: {} for kind in RECORDS} | {"task": plain}
    problems: list[Problem] = []
    held: set[str] = set()
    twice: list[tuple[str, str]] = []
    for path, (oid, kind, fields, remarks, _) in others:
        if kind is None:
            continue
        name = path[path.rfind("/") + 1 : -3] if kind in _BY_NAME else path
        if fields is not None:
            if name in rows[kind]:
                twice.append((rows[kind][name][0], path))
            rows[kind][name] = (path, oid, fields)
        elif kind == "task":
            held.add(name)
        if remarks:
            problems.extend(Problem(path, *remark) for remark in remarks)
    for path, reason in (*_misnamed(files, rows["task"]), *_doubled(twice)):
        problems.append(Problem(path, 1, reason))
        kind = files[path][1] or ""
        rows[kind].pop(_name(kind, path), None)
        if kind == "task":
            held.add(_name(kind, path))
    tables: dict[str, Table[Any]] = {kind: Table(rows[kind], RECORDS[kind]) for kind in rows}
    return Board(
        commit=commit,
        tasks=tables["task"],
        agents=tables["agent"],
        messages=tables["message"],
        documents=tables["document"],
        config=_config(rows["config"]),
        problems=tuple(sorted(problems)),
        held=frozenset(held),
        kept=kept,
        summed=summed,
    )


def _sorted_out(files: Mapping[str, File]) -> tuple[dict[str, Row], Iterable[tuple[str, File]]]:
    """The tasks of which nothing more need be asked, by name, and the other files.

    Nearly all files are such tasks, so the one pass over all is a short one; where two of them share a name
    every file is asked.
    """
    plain: dict[str, Row] = {}
    others: list[tuple[str, File]] = []
    for path, file in files.items():
        oid, kind, fields, remarks, _ = file
        if kind == "task" and fields is not None and not remarks:
            plain[path[path.rfind("/") + 1 : -3]] = (path, oid, fields)
        else:
            others.append((path, file))
    return (plain, others) if len(plain) + len(others) == len(files) else ({}, files.items())


def _misnamed(files: Mapping[str, File], tasks: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """The files whose names won't do, with the reason; all are looked at one by one only if some won't."""
    if tasks and not is_claimable("".join(tasks)):
        for name in [name for name in tasks if not is_claimable(name) and task_number(name) is not None]:
            yield tasks[name][0], "has a name with other characters than letters, digits, - and _"
    if len({path.lower() for path in files}) < len(files):
        for pair in duplicates(path for path, file in files.items() if file[1]):
            for path, other in (pair, pair[::-1]):
                yield path, f"differs from {other} only in case; rename one of them"


def _doubled(twice: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The two places of one identity, each with the reason."""
    for one, other in twice:
        yield one, f"has the name of {other}; one of the two must go"
        yield other, f"has the name of {one}; one of the two must go"


_BY_NAME = frozenset({"task", "agent"})
"""The kinds that go by their file's name; the others go by their path."""

_TABLES = {"task": "tasks", "agent": "agents", "message": "messages", "document": "documents"}


def with_file(board: Board, path: str, file: File | None) -> Board | None:
    """The board with one file set, or gone for None; None where that needs assembling it anew."""
    kind = file[1] if file else kind_of(path)
    field = _TABLES.get(kind or "")
    if field is None or (file is not None and file[2] is None):
        return None
    name, table = _name(kind or "", path), getattr(board, field)
    was = table.rows.get(name)
    if was is not None and was[0] != path:
        return None
    if was is None and kind == "task" and (name in board.held or not is_claimable(name)):
        return None
    row = (path, file[0], file[2]) if file else None
    remarks = file[3] if file else ()
    problems = [p for p in board.problems if p.path != path] + [Problem(path, *r) for r in remarks]
    changed: dict[str, Any] = {field: table.with_row(name, row), "problems": tuple(sorted(problems))}
    if kind == "task":
        changed["held"] = board.held - {name}
    return replace(board, **changed)


def _name(kind: str, path: str) -> str:
    """What a record goes by: tasks and agents by file name, the others by path."""
    return path.rpartition("/")[2].removesuffix(".md") if kind in _BY_NAME else path


def _config(rows: Mapping[str, Any]) -> Config:
    row = rows.get("board/config.yml")
    return Config.from_row(row[0], row[2]) if row else Config()


def require_format(board: Board) -> Board:
    """The board, if this version may read and write its format. Raises Invalid for a newer one."""
    if board.config.format > FORMAT:
        raise Invalid(
            f"board/config.yml: format {board.config.format} is newer than this version of agentos reads "
            f"({FORMAT}). Upgrade agentos to work on this board."
        )
    return board

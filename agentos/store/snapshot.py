"""A commit's files, each parsed once per blob, from a disposable cache of plain data."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.errors import Invalid
from agentos.model.board import Board, Problem, Table, duplicates
from agentos.model.records import FORMAT, RECORDS, Config
from agentos.model.words import kind_of, task_number
from agentos.store import cache
from agentos.store.cache import File, Snapshot, uncollected
from agentos.store.git import Git, GitFailed
from agentos.store.objects import LINK, Objects, blob_id
from agentos.store.rows import SYMLINK, Row

is_claimable = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*").fullmatch
"""Whether a task's name can be part of a ref."""

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
    for path, entry in changed.items():
        if entry is None:
            snapshot.set(path, None)
        elif entry[0] == LINK:
            kind = kind_of(path)
            is_ours = kind not in ("agent", "document")
            snapshot.set(path, (entry[1], kind if is_ours else None, None, SYMLINK if is_ours else (), None))
        elif not (root and _take_working(snapshot, path, entry[1], root, objects.algorithm)):
            missing[path] = entry[1]
    blobs = objects.blobs(missing.values())
    for path, oid in missing.items():
        kind, fields, remarks = parsed(path, blobs[oid])
        snapshot.set(path, (oid, kind, fields, remarks, None))


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


def parsed(path: str, data: bytes) -> Row:
    """The row of a file; the parser is loaded only here, since most reads find everything in the cache."""
    from agentos.store import codec

    return codec.row(path, data)


def _take_working(snapshot: Snapshot, path: str, oid: str, root: Path, algorithm: str) -> bool:
    try:
        data = (root / path).read_bytes()
    except OSError:
        return False
    if blob_id(data, algorithm) != oid:
        return False
    kind, fields, remarks = parsed(path, data)
    snapshot.set(path, (oid, kind, fields, remarks, None))
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


def assemble(commit: str | None, files: Mapping[str, File]) -> Board:
    """The board these files are."""
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
        if kind == "task" and not is_claimable(name) and task_number(name) is not None:
            problems.append(
                Problem(path, 1, "has a name with other characters than letters, digits, - and _")
            )
            rows[kind].pop(name, None)
            held.add(name)
    for pair in duplicates(path for path, file in files.items() if file[1]):
        for path, other in (pair, pair[::-1]):
            problems.append(Problem(path, 1, f"differs from {other} only in case; rename one of them"))
            kind = files[path][1] or ""
            rows[kind].pop(_name(kind, path), None)
            if kind == "task":
                held.add(_name(kind, path))
    config = _config(rows["config"])
    tables: dict[str, Table[Any]] = {kind: Table(rows[kind], RECORDS[kind]) for kind in rows}
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

"""Timelines: who changed what in one record, read from git, one path a call, so that its filters serve."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NamedTuple

from agentos.errors import NotFound
from agentos.model.activity import Activity
from agentos.model.edits import Edit, Side, edits
from agentos.model.words import kind_of
from agentos.store import frontmatter, history
from agentos.store.fields import Unreadable
from agentos.store.git import Git
from agentos.store.history import FIELDS
from agentos.store.objects import ZERO_MODE, Objects
from agentos.store.repository import Store


class Line(NamedTuple):
    """One edit of one file, with the commit it came with."""

    activity: Activity
    path: str
    edit: Edit


class Version(NamedTuple):
    """One file in one commit: its blob in each parent and in the commit; None where it is not there."""

    activity: Activity
    parents: tuple[str, ...]
    path: str
    old: tuple[str | None, ...]
    new: str | None


def of(store: Store, ref: str, limit: int, at: str | None = None) -> list[Line]:
    """The last edits of the task, agent or document that `ref` means, or meant by its whole name.

    Raises NotFound, Usage for a part of several names, and Invalid where its file can't be read now.
    """
    try:
        path = store.board(at).record(ref).path
    except NotFound:
        path = ref if kind_of(ref) else f"board/tasks/{ref}.md"
        is_whole = kind_of(ref) or re.fullmatch(r"TASK-\d+-[\w-]+", ref)
        if not is_whole or ".." in ref.split("/"):
            raise
    return read(store, path, limit, at)


def read(store: Store, path: str, limit: int, at: str | None = None) -> list[Line]:
    """The last edits of the record at `path`, and the messages about it, newest first.

    It is followed through its earlier names and places, each commit read by what it changed. Raises NotFound
    where history knows no such file.
    """
    start = store.commit_of(at) if at else store.refs().head
    if start is None:
        raise NotFound(f"{path}: nothing was committed on {store.branch} yet.")
    chains = list(_chains(store, start, path, limit))
    own = [version for chain in chains for version in chain]
    if not own:
        raise NotFound(f"{path} was never on {store.branch}; `agentos log` shows what was.")
    lists = [own]
    if kind_of(path) == "task":
        moves = {chain[-1].activity.commit for chain in chains[:-1]}
        for name in {PurePosixPath(version.path).stem: None for version in own}:
            said = versions(store.git, store.prefix, start, f"board/messages/{name}", limit)
            lists.append([version for version in said if version.activity.commit not in moves])
    found = _in_order(store, start, lists)[:limit]
    return list(_lines(store, found, chains))[:limit]


def versions(git: Git, prefix: str, start: str, path: str, limit: int) -> list[Version]:
    """The last commits that changed a file, or the files of a folder, newest first.

    One path a call: git's changed-path filters serve no more (`revision.c`, forbid_bloom_filters), and
    `--follow` never uses them. A merge counts where it is like none of its parents (`-c`).
    """
    out = git.run(
        "--literal-pathspecs", "log", "-z", "-c", "--raw", "--no-renames", "--no-abbrev", f"-n{limit}",
        f"--format=%x01{FIELDS}", "--end-of-options", start, "--", prefix + path,
    )  # fmt: skip
    return list(_parsed(iter(out.decode(errors="surrogateescape").split("\0")), prefix))


def _parsed(tokens: Iterator[str], prefix: str) -> Iterator[Version]:
    """The versions in the output of `log -z --raw`: six fields a commit, then two tokens a file."""
    activity: Activity | None = None
    parents: tuple[str, ...] = ()
    for token in tokens:
        if token.startswith("\1"):
            row = [token[1:], *(next(tokens) for _ in range(5))]
            activity, parents = history.told(row), tuple(row[1].split())
        elif (raw := token.lstrip("\n")).startswith(":") and activity is not None:
            count = len(raw) - len(raw.lstrip(":"))
            cells = raw[count:].split()
            modes, blobs = cells[: count + 1], cells[count + 1 : 2 * count + 2]
            there = [blob if mode != ZERO_MODE else None for mode, blob in zip(modes, blobs, strict=True)]
            path = next(tokens).removeprefix(prefix)
            yield Version(activity, parents, path, tuple(there[:-1]), there[-1])


def _chains(store: Store, start: str, path: str, limit: int) -> Iterator[list[Version]]:
    """The versions of a record under each of its names, the last name first."""
    for _ in range(history.MOST_NAMES):
        chain = versions(store.git, store.prefix, start, path, limit)
        yield chain
        limit -= len(chain)
        if not chain or limit <= 0 or chain[-1].old != (None,):
            return
        first = chain[-1]
        before = history.earlier(store.git, store.prefix, first.activity.commit, first.parents, path)
        if before is None:
            return
        start, path = first.parents[0], before.path


def _in_order(store: Store, start: str, lists: Sequence[Sequence[Version]]) -> list[Version]:
    """Several lists as one, newest first: by time, and by what git says where clocks don't tell.

    That is within a second which two lists have, and everywhere once a clock has gone backwards.
    """
    lists = [each for each in lists if each]
    if len(lists) == 1:
        return list(lists[0])
    every = [version for each in lists for version in each]
    if any(a.activity.time < b.activity.time for each in lists for a, b in pairwise(each)):
        rank = _ranks(store.git, start)
        return sorted(every, key=lambda v: rank[v.activity.commit])
    rank = {v.activity.commit: i for each in lists for i, v in enumerate(each)}
    seconds = Counter(time for each in lists for time in {v.activity.time for v in each})
    commits = Counter(time for _, time in {(v.activity.commit, v.activity.time) for v in every})
    for moment in (time for time, count in seconds.items() if count > 1 < commits[time]):
        rank |= _ranks(store.git, start, moment)
    return sorted(every, key=lambda v: (-v.activity.time.timestamp(), rank[v.activity.commit]))


def _ranks(git: Git, start: str, moment: datetime | None = None) -> dict[str, int]:
    """The commits, of one second if it is given, numbered from the latest on."""
    second = int(moment.timestamp()) if moment else 0
    limits = (f"--max-age={second}", f"--min-age={second}") if moment else ()
    found = git.text("rev-list", "--topo-order", *limits, "--end-of-options", start, "--").split()
    return {commit: i for i, commit in enumerate(found)}


def _lines(store: Store, found: Sequence[Version], chains: Sequence[Sequence[Version]]) -> Iterator[Line]:
    """The edits of these versions; where a name begins that another one went over to, a move."""
    moved = {chain[-1]: after[0] for chain, after in pairwise(chains) if after}
    before = {version: moved[version].new for version in moved}
    objects = Objects(store.git)
    oids = {oid for version in found for oid in (*version.old, version.new, before.get(version)) if oid}
    blobs = objects.blobs(oids)

    def side(path: str, oid: str | None) -> Side | None:
        return _side(path, blobs[oid]) if oid else None

    for version in found:
        new = side(version.path, version.new)
        if version in moved:
            yield Line(version.activity, version.path, Edit("moved", "", moved[version].path, version.path))
            was = before[version]
            changed = edits(side(version.path, was), new) if was != version.new else []
        else:
            changed = _common([edits(side(version.path, old), new) for old in version.old])
        yield from (Line(version.activity, version.path, _said(version, edit, new)) for edit in changed)


def _common(each: Sequence[Sequence[Edit]]) -> list[Edit]:
    """What a merge did itself: the edits that stand against every parent."""
    first, *others = each
    names = [{(edit.what, edit.name) for edit in other} for other in others]
    return [edit for edit in first if all((edit.what, edit.name) in other for other in names)]


def _said(version: Version, edit: Edit, side: Side | None) -> Edit:
    """An edit of a message is about what was said."""
    if kind_of(version.path) != "message":
        return edit
    words = next((line for line in (side.body if side else "").splitlines() if line.strip()), "")
    kind = str((side.fields or {}).get("type", "comment")) if side else "message"
    how = {"created": "", "removed": " removed"}.get(edit.what, " edited")
    return Edit("message", kind + how, new=words)


def _side(path: str, data: bytes) -> Side:
    try:
        page = frontmatter.split(path, data)
        return Side(page.fields(), page.body)
    except Unreadable:
        return Side(None, "")

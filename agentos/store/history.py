"""History: activities, read from commits and their trailers; nothing is stored a second time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agentos.model import activity
from agentos.model.activity import Activity, Event
from agentos.model.changes import diff
from agentos.model.words import kind_of
from agentos.store import codec
from agentos.store.cache import File
from agentos.store.git import Git
from agentos.store.objects import EXECUTABLE, FILE, ZERO_MODE, Objects
from agentos.store.snapshot import FOLDERS, assemble

_FIELDS = "%H%x00%P%x00%ct%x00%an%x00%s%x00%(trailers:only,unfold,separator=%x1f)"


def feed(
    git: Git, objects: Objects, starts: Sequence[str], prefix: str, limit: int, paths: Sequence[str] = ()
) -> list[Activity]:
    """The last activities up to these commits, newest first; of one record where its paths are given.

    Only commits that change a record count, and merges that did nothing but merge do not. One without
    trailers is described by what it changed.
    """
    under = list(paths) or [prefix + folder for folder in FOLDERS]
    out = git.run(
        "log", "-z", f"-n{limit}", f"--format={_FIELDS}",
        "--invert-grep", f"--grep=^Event: {activity.MERGED} ", "--end-of-options", *starts, "--", *under,
    )  # fmt: skip
    found = []
    for row in _rows(out):
        told = _told(row)
        events = told.events or tuple(_described(git, objects, prefix, told.commit, row[1].split()))
        found.append(replace(told, events=events))
    return found


def updated(git: Git, start: str, prefix: str, paths: Sequence[str]) -> dict[str, datetime]:
    """When each of these files was last changed, from one walk that ends when all are found."""
    missing = {prefix + path for path in paths}
    found: dict[str, datetime] = {}
    folders = sorted({path.rpartition("/")[0] or path for path in missing})
    if not missing:
        return found
    args = ("-z", "--name-only", "--format=%x01%ct", "--end-of-options", start, "--", *folders)
    with git.start("log", *args) as process:
        assert process.stdout is not None
        moment = datetime.fromtimestamp(0, UTC)
        rest = b""
        while missing and (chunk := process.stdout.read(1 << 13)):
            *parts, rest = (rest + chunk).split(b"\0")
            for part in parts:
                name = part.lstrip(b"\n")
                if name.startswith(b"\x01"):
                    moment = datetime.fromtimestamp(int(name[1:]), UTC)
                elif (path := name.decode(errors="surrogateescape")) in missing:
                    missing.discard(path)
                    found[path.removeprefix(prefix)] = moment
        process.kill()
    return found


def versions(git: Git, start: str, path: str, most: int = 200) -> set[str]:
    """The blobs that a file has had, as far as its last `most` commits tell."""
    out = git.run(
        "log", "-z", "-m", "--full-history", "--raw", "--no-abbrev", "--no-renames", "--format=", f"-n{most}",
        "--end-of-options", start, "--", path,
    )  # fmt: skip
    return {oid for meta in re.findall(rb":\d+ \d+ (\w+ \w+) ", out) for oid in meta.decode().split()}


def since(git: Git, old: str, new: str) -> list[Activity]:
    """The commits after `old` up to `new`, newest first, as their trailers tell them."""
    out = git.run("log", "-z", f"--format={_FIELDS}", "--end-of-options", f"{old}..{new}", "--")
    return [_told(row) for row in _rows(out)]


def one(git: Git, commit: str) -> Activity:
    """What one commit says of itself."""
    out = git.run("log", "-z", "-n1", f"--format={_FIELDS}", "--end-of-options", commit, "--")
    return _told(_rows(out)[0])


def _rows(out: bytes) -> list[list[str]]:
    parts = out.decode(errors="replace").split("\0")
    return [parts[i : i + 6] for i in range(0, len(parts) - 5, 6)]


def _told(row: Sequence[str]) -> Activity:
    """What a commit says of itself."""
    commit, _, time, author, subject, text = row
    pairs = [line.partition(": ") for line in text.split("\x1f") if ": " in line]
    trailers = tuple((key, value) for key, _, value in pairs)
    events = tuple(Event(*value.split(" ", 1)) for key, value in trailers if key == "Event" and " " in value)
    said = dict(reversed(trailers))
    agent, person = said.get("Agent"), said.get("Person")
    return Activity(
        commit=commit,
        time=datetime.fromtimestamp(int(time), UTC),
        actor=f"agent:{agent}:main" if agent else person or author,
        subject=subject,
        events=events,
        trailers=trailers,
    )


class Touched(NamedTuple):
    """One file that a commit changed: its path from the board's root, and the blob on either side."""

    path: str
    old: str | None
    new: str | None
    is_file: bool
    """Whether it is a plain file on both sides, and no link or submodule."""


def touched(git: Git, prefix: str, commit: str, parents: Sequence[str], *folders: str) -> Iterator[Touched]:
    """What a commit changed against its first parent, in these folders of the board, or below them all.

    Without folders, a path outside the board begins with `/`: it is the one from the repository's top.
    """
    out = git.run(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--root", "--no-commit-id", *parents[:1], commit,
        "--", *(prefix + folder for folder in folders),
    )  # fmt: skip
    parts = out.split(b"\0")
    for meta, name in zip(parts[:-1:2], parts[1::2], strict=True):
        old_mode, new_mode, old, new, _ = meta.decode().lstrip(":").split()
        path = name.decode(errors="surrogateescape")
        yield Touched(
            path.removeprefix(prefix) if path.startswith(prefix) else f"/{path}",
            old if old_mode != ZERO_MODE else None,
            new if new_mode != ZERO_MODE else None,
            {old_mode, new_mode} <= {ZERO_MODE, FILE.decode(), EXECUTABLE.decode()},
        )


def _described(git: Git, objects: Objects, prefix: str, commit: str, parents: Sequence[str]) -> list[Event]:
    """What a commit without trailers did, from the records it changed against its first parent."""
    before: dict[str, File] = {}
    after: dict[str, File] = {}
    for path, old, new, _ in touched(git, prefix, commit, parents, *FOLDERS):
        if kind_of(path):
            for side, oid in ((before, old), (after, new)):
                if oid:
                    side[path] = _file(objects, path, oid)
    return activity.events(diff(assemble(None, before), assemble(None, after)))


def _file(objects: Objects, path: str, oid: str) -> File:
    kind, fields, remarks = codec.row(path, objects.blob(oid))
    return oid, kind, fields, remarks, None


def to_plain(activities: Sequence[Activity]) -> list[Any]:
    """The activities as plain data, for the cache: what a line of the feed says."""
    return [(a.commit, a.time.timestamp(), a.actor, a.text) for a in activities]


def from_plain(rows: Sequence[Any]) -> list[Activity]:
    """The activities that `to_plain` kept; their text stands in for subject and events."""
    return [
        Activity(commit, datetime.fromtimestamp(time, UTC), actor, text) for commit, time, actor, text in rows
    ]

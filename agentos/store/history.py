"""History: activities, read from commits and their trailers; nothing is stored a second time."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agentos.model import activity
from agentos.model.activity import Activity, Event
from agentos.model.changes import diff
from agentos.model.words import kind_of
from agentos.store import codec
from agentos.store.cache import File
from agentos.store.git import Git
from agentos.store.objects import ZERO_MODE, Objects
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
    parts = out.decode(errors="replace").split("\0")
    rows = [parts[i : i + 6] for i in range(0, len(parts) - 5, 6)]
    return [_activity(git, objects, prefix, row) for row in rows]


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


def _activity(git: Git, objects: Objects, prefix: str, row: Sequence[str]) -> Activity:
    commit, parents, time, author, subject, text = row
    pairs = [line.partition(": ") for line in text.split("\x1f") if ": " in line]
    trailers = tuple((key, value) for key, _, value in pairs)
    events = tuple(Event(*value.split(" ", 1)) for key, value in trailers if key == "Event" and " " in value)
    said = dict(reversed(trailers))
    agent, person = said.get("Agent"), said.get("Person")
    if not events:
        events = tuple(_described(git, objects, prefix, commit, parents.split()[:1]))
    return Activity(
        commit=commit,
        time=datetime.fromtimestamp(int(time), UTC),
        actor=f"agent:{agent}:main" if agent else person or author,
        subject=subject,
        events=events,
        trailers=trailers,
    )


def _described(git: Git, objects: Objects, prefix: str, commit: str, parent: Sequence[str]) -> list[Event]:
    """What a commit without trailers did, from the records it changed against its first parent."""
    out = git.run(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--root", "--no-commit-id", *parent, commit,
        "--", *(prefix + folder for folder in FOLDERS),
    )  # fmt: skip
    parts = out.split(b"\0")
    before: dict[str, File] = {}
    after: dict[str, File] = {}
    for meta, name in zip(parts[:-1:2], parts[1::2], strict=True):
        old_mode, new_mode, old, new, _ = meta.decode().lstrip(":").split()
        path = name.decode(errors="surrogateescape").removeprefix(prefix)
        if kind_of(path):
            for side, mode, oid in ((before, old_mode, old), (after, new_mode, new)):
                if mode != ZERO_MODE:
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

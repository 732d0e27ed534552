"""History: activities, read from commits and their trailers; nothing is stored a second time."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from agentos.model import activity
from agentos.model.activity import Activity, Actor, Event
from agentos.model.changes import Change, diff, looked_into
from agentos.model.records import Task
from agentos.model.words import kind_of, task_number
from agentos.store import codec, frontmatter
from agentos.store.cache import File
from agentos.store.git import Git
from agentos.store.objects import EXECUTABLE, FILE, ZERO_MODE, Objects
from agentos.store.snapshot import FOLDERS, assemble

Text = Callable[[str], bytes]
"""Gives the bytes of the file at a path."""

FIELDS = "%H%x00%P%x00%ct%x00%an%x00%s%x00%(trailers:only,unfold,separator=%x1f)"


def feed(
    git: Git, objects: Objects, starts: Sequence[str], prefix: str, limit: int, paths: Sequence[str] = ()
) -> list[Activity]:
    """The last activities up to these commits, newest first; of one record where its paths are given.

    Only commits that change a record count, and merges that did nothing but merge do not. One without
    trailers is described by what it changed.
    """
    under = list(paths) or [prefix + folder for folder in FOLDERS]
    found = []
    for row in _worth_telling(git, starts, limit, under):
        said = told(row)
        events = said.events or tuple(_described(git, objects, prefix, said.commit, row[1].split()))
        found.append(replace(said, events=events))
    return found


def _worth_telling(git: Git, starts: Sequence[str], limit: int, under: Sequence[str]) -> list[list[str]]:
    """The last commits that did more than merge; git's own `--grep` reads all commits, filters or not."""
    mark, count = f"\x1fEvent: {activity.MERGED} ", limit
    while True:
        shape = (f"-n{count}", f"--format={FIELDS}")
        rows = list(_rows(git.run("log", "-z", *shape, "--end-of-options", *starts, "--", *under)))
        kept = [row for row in rows if mark not in f"\x1f{row[-1]}"]
        if len(kept) >= limit or len(rows) < count:
            return kept[:limit]
        count *= 2


class Version(NamedTuple):
    """One commit that changed a file: its blob before and after (None: no file), and what the commit says."""

    commit: str
    seconds: int
    message: str
    before: str | None
    after: str | None
    name: str = ""
    email: str = ""

    @property
    def actor(self) -> Actor | None:
        """Who did it, if it was AgentOS that wrote the commit."""
        found = re.search(r"^(Agent|Person): (\S+)$", self.message, re.MULTILINE)
        return Actor(found[2], found[1] == "Agent", self.name, self.email) if found else None


def versions(git: Git, start: str, path: str, limit: int) -> list[Version]:
    """The last versions of one file up to `start`, newest first; `path` is from the repository's top."""
    shape = ("--raw", "--no-abbrev", "--no-renames", "--format=%x00%H%x00%ct%x00%an%x00%ae%x00%B%x00")
    out = git.run("log", f"-n{limit}", *shape, "--end-of-options", start, "--", path)
    parts = iter(out.decode(errors="replace").split("\0")[1:])
    found = []
    for commit, seconds, name, email, message, raw in zip(*[parts] * 6, strict=True):
        if line := re.search(r"^:\d+ \d+ (\w+) (\w+) ", raw, re.MULTILINE):
            before, after = (None if set(oid) == {"0"} else oid for oid in line.groups())
            found.append(Version(commit, int(seconds), message, before, after, name, email))
    return found


def refusals(git: Git, start: str, limit: int) -> list[Activity]:
    """The commits in which edits of WORKING.md were refused, newest first; the reasons are trailers."""
    out = git.run(
        "log", "-z", f"-n{limit}", f"--format={FIELDS}", f"--grep=^{activity.REFUSED}: ",
        "--end-of-options", start, "--",
    )  # fmt: skip
    found = [told(row) for row in _rows(out)]
    return [one for one in found if one.trailer(activity.REFUSED)]


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


def blobs(git: Git, start: str, path: str, most: int = 200) -> set[str]:
    """The blobs that a file has had, as far as its last `most` commits tell."""
    out = git.run(
        "log", "-z", "-m", "--full-history", "--raw", "--no-abbrev", "--no-renames", "--format=", f"-n{most}",
        "--end-of-options", start, "--", path,
    )  # fmt: skip
    return {oid for meta in re.findall(rb":\d+ \d+ (\w+ \w+) ", out) for oid in meta.decode().split()}


def since(git: Git, old: str, new: str) -> list[Activity]:
    """The commits after `old` up to `new`, newest first, as their trailers tell them."""
    out = git.run("log", "-z", f"--format={FIELDS}", "--end-of-options", f"{old}..{new}", "--")
    return [told(row) for row in _rows(out)]


def one(git: Git, commit: str) -> Activity:
    """What one commit says of itself."""
    out = git.run("log", "-z", "-n1", f"--format={FIELDS}", "--end-of-options", commit, "--")
    return told(_rows(out)[0])


def _rows(out: bytes) -> list[list[str]]:
    parts = out.decode(errors="replace").split("\0")
    return [parts[i : i + 6] for i in range(0, len(parts) - 5, 6)]


def told(row: Sequence[str]) -> Activity:
    """What a commit says of itself, from the six fields of `FIELDS`."""
    commit, _, time, author, subject, text = row
    pairs = [line.partition(": ") for line in text.split("\x1f") if ": " in line]
    trailers = tuple((key, value) for key, _, value in pairs)
    events = tuple(Event.read(value) for key, value in trailers if key == "Event" and " " in value)
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


class Blob(NamedTuple):
    """A file on one side of a commit."""

    path: str
    oid: str


def paired(touched: Iterable[Touched]) -> Iterator[tuple[Blob | None, Blob | None]]:
    """Each file before and after a commit; what went at one path and came at another is one that moved.

    That is what has the same name in another folder, a task with the same number, or the same bytes.
    """
    gone: list[Blob] = []
    came: list[Blob] = []
    for path, old, new, _ in touched:
        if old and new:
            yield Blob(path, old), Blob(path, new)
        elif old:
            gone.append(Blob(path, old))
        elif new:
            came.append(Blob(path, new))
    pairs: dict[Blob, Blob] = {}
    for key in (_by_name, _by_number, _by_bytes):
        left = {key(blob): blob for blob in reversed(gone)}
        for blob in came:
            before = left.pop(key(blob), None) if blob not in pairs else None
            if before is not None and (kind := kind_of(blob.path)) and kind == kind_of(before.path):
                pairs[blob] = before
                gone.remove(before)
    yield from ((pairs.get(blob), blob) for blob in came)
    yield from ((blob, None) for blob in gone)


MOST_NAMES = 20
"""Names of one record that are followed back."""


def earlier(git: Git, prefix: str, commit: str, parents: Sequence[str], path: str) -> Blob | None:
    """What the file that came at a path in this commit was before it: elsewhere, under another name."""
    changed = touched(git, prefix, commit, parents, path.partition("/")[0])
    return next((old for old, new in paired(changed) if new and new.path == path), None)


def _by_name(blob: Blob) -> str:
    return blob.path.rpartition("/")[2]


def _by_number(blob: Blob) -> object:
    """The task's number; of anything else its path, which no other has."""
    number = task_number(PurePosixPath(blob.path).stem) if kind_of(blob.path) == "task" else None
    return blob.path if number is None else number


def _by_bytes(blob: Blob) -> str:
    return blob.oid


def _described(git: Git, objects: Objects, prefix: str, commit: str, parents: Sequence[str]) -> list[Event]:
    """What a commit without trailers did, from the records it changed against its first parent."""
    before: dict[str, File] = {}
    after: dict[str, File] = {}
    for path, old, new, _ in touched(git, prefix, commit, parents, *FOLDERS):
        if kind_of(path):
            for side, oid in ((before, old), (after, new)):
                if oid:
                    side[path] = _file(objects, path, oid)
    changes = diff(assemble(None, before), assemble(None, after))
    was, now = ((lambda path, files=files: objects.blob(files[path][0])) for files in (before, after))
    return activity.events(read_closely(changes, was, now))


def read_closely(changes: list[Change], before: Text, after: Text) -> list[Change]:
    """The changes, with what an edit of a text did to criteria; of very many at once nobody asks."""

    def body(text: Text) -> Callable[[Task], str]:
        return lambda task: frontmatter.split(task.path, text(task.path)).body

    is_short = len(changes) <= activity.MOST_EVENTS
    return looked_into(changes, body(before), body(after)) if is_short else changes


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

"""Conflict markers in a file: the sides they were made of, merged after all as records."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentos.model import merge
from agentos.model.words import lines
from agentos.store import frontmatter, merging
from agentos.store.fields import Unreadable
from agentos.store.git import Git, GitFailed
from agentos.store.objects import Objects

MOST_COMMITS = 200
"""Commits of one file that are looked through for the one that brought the markers."""

_MARK = re.compile(r"^(<{7}|\|{7}|={7}|>{7})(?: .*)?\r?$")
_GAP = "# The two sides differ here, and nothing says what stood here before.\n"


@dataclass(slots=True)
class Sides:
    """The texts that a file with markers was made of, and each place's part of both sides.

    `base` is as far as the markers tell; `is_whole` where they tell all of it (git's diff3 style).
    """

    base: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    is_whole: bool = True

    def take(self, ours: list[str], base: list[str] | None, theirs: list[str]) -> None:
        """One place between markers."""
        self.ours += ours
        self.theirs += theirs
        self.base += merge.suggested(ours, theirs, _GAP) if base is None else base
        self.is_whole &= base is not None
        self.parts.append(("".join(ours), "".join(theirs)))


def sides(text: str) -> Sides | None:
    """Both sides of a text with markers; None where it has none, or they are no longer as git wrote them."""
    found = Sides()
    place: dict[str, list[str]] = {}
    now = ""
    for line in lines(text):
        match = _MARK.match(line.rstrip("\n"))
        mark = match[1][0] if match else ""
        if mark in ("|", "=") and not now:
            mark = ""
        if not mark:
            for side in [place[now]] if now else [found.base, found.ours, found.theirs]:
                side.append(line)
        elif mark not in {"": "<", "<": "|=", "|": "=", "=": ">"}[now]:
            return None
        elif mark == ">":
            found.take(place["<"], place.get("|"), place["="])
            place, now = {}, ""
        else:
            place[mark], now = [], mark
    return None if now or not found.parts else found


def merged(path: str, data: bytes, base: bytes | None = None) -> bytes | None:
    """The file as the merge of records makes it from both sides; None where they can't be told or read.

    `base` is the version before both, where history has it; else it is what the markers tell.
    """
    try:
        found = sides(frontmatter.decode(data))
        if found is None:
            return None
        root, ours, theirs = ("".join(side).encode() for side in (found.base, found.ours, found.theirs))
        return merging.files(path, root if base is None else base, ours, theirs)
    except Unreadable:
        return None


def base(git: Git, objects: Objects, head: str, path: str) -> bytes | None:
    """The version before both sides, where a merge commit brought the markers into this file; else None.

    `path` is from the repository's top. What stands between the markers must be what the parents had.
    """
    origin = _origin(git, objects, head, path)
    if origin is None or len(origin[1]) != 2:
        return None
    commit, parents = origin
    blobs = [objects.find(name, path) for name in (commit, *parents)]
    whole, ours, theirs = (objects.blob(oid).decode(errors="replace") if oid else "" for oid in blobs)
    found = sides(whole)
    if found is None or not all(a in ours and b in theirs for a, b in found.parts):
        return None
    try:
        before = objects.find(git.text("merge-base", *parents), path)
    except GitFailed:
        return None
    return objects.blob(before) if before else None


def _origin(git: Git, objects: Objects, head: str, path: str) -> tuple[str, Sequence[str]] | None:
    """The one commit with markers in this file none of whose parents has them, and its parents."""
    log = git.run(
        "log", "--full-history", f"-n{MOST_COMMITS}", "--format=%H %P", "--end-of-options", head, "--", path
    )
    found = []
    for line in log.decode().splitlines():
        commit, *parents = line.split()
        if _has(objects, commit, path) and not any(_has(objects, parent, path) for parent in parents):
            found.append((commit, parents))
    return found[0] if len(found) == 1 else None


def _has(objects: Objects, commit: str, path: str) -> bool:
    oid = objects.find(commit, path)
    return oid is not None and sides(objects.blob(oid).decode(errors="replace")) is not None

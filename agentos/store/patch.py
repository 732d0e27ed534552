"""Patches: the difference of two commits as a reviewer must see it, with nothing hidden."""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from agentos.store.git import Git

_OPEN = (
    "--text", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--full-index",
    "--ignore-submodules=none", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Attributes, drivers and settings of a repository could leave something out, or run a program."""

_PLACE = re.compile(rb"(?m)^@@ [^\n]*$")
_INDEX = re.compile(rb"(?m)^index [0-9a-f. ]+\n")


class Count(NamedTuple):
    """One changed file, with the lines that came and went."""

    path: str
    added: int
    removed: int


def diff(git: Git, old: str, new: str, paths: Sequence[str] = ()) -> bytes:
    """The difference of two commits as a patch; of some paths where they are given."""
    return _run(git, "-p", old, new, paths)


def binary(git: Git, old: str, new: str) -> bytes:
    """The difference of two commits as `git apply` takes it. Raises NotFound where one is gone."""
    ends = ("--end-of-options", git.commit_of(old), git.commit_of(new))
    how = ("-p", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
    return git.run("diff-tree", "-r", *how, "--src-prefix=a/", "--dst-prefix=b/", *ends)


def counts(git: Git, old: str, new: str, paths: Sequence[str] = ()) -> tuple[Count, ...]:
    """The files in which two commits differ; what git takes for no text is counted as if it were."""
    rows = [row.split(b"\t", 2) for row in _run(git, "--numstat", old, new, paths, "-z").split(b"\0") if row]
    found = ((os.fsdecode(path), added, removed) for added, removed, path in rows)
    return tuple(
        Count(path, int(added), int(removed)) if added != b"-" else _counted(git, old, new, path)
        for path, added, removed in found
    )


def _counted(git: Git, old: str, new: str, path: str) -> Count:
    """A file that attributes or bytes make binary: numstat does not count it, whatever it is told."""
    _, _, hunks = diff(git, old, new, [path]).partition(b"\n@@ ")
    lines = [line[:1] for line in hunks.split(b"\n")[1:]]
    return Count(path, lines.count(b"+"), lines.count(b"-"))


def _run(git: Git, how: str, old: str, new: str, paths: Sequence[str], *more: str) -> bytes:
    ends = ("--end-of-options", old, new, "--", *paths)
    return git.run("--literal-pathspecs", "diff-tree", "-r", how, *more, *_OPEN, *ends)


def digest(data: bytes, *, with_places: bool) -> str:
    """What two patches have in common that make the same change, to the last space.

    Without places they may stand on other lines, as after a rebase; that is git's patch id, but for its
    indifference to white space.
    """
    data = _INDEX.sub(b"", data)
    return hashlib.sha256(data if with_places else _PLACE.sub(b"@@", data)).hexdigest()

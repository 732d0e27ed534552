"""Patches: the difference of two commits as a reviewer must see it, with nothing hidden."""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from agentos.store.git import Git

_OPEN = (
    "--text", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index",
    "--ignore-submodules=none", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Attributes, drivers and settings of a repository could leave something out, or run a program."""

_NO_MOVES, _MOVES = ("--no-renames",), ("--find-renames=50%", "-l1000")
_PLACE = re.compile(rb"(?m)^@@ [^\n]*$")
_INDEX = re.compile(rb"(?m)^index [0-9a-f. ]+\n")


class Count(NamedTuple):
    """One changed file, with the lines that came and went; `was` is the path that it was moved from.

    The modes are git's (`100755` is executable, `120000` a link), with zeros for a file that is not there.
    """

    path: str
    added: int
    removed: int
    was: str = ""
    old_mode: str = ""
    mode: str = ""
    is_binary: bool = False
    """Whether git takes it for no text, by its bytes or by an attribute."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it touches."""
        return (self.path, self.was) if self.was else (self.path,)


def diff(git: Git, old: str, new: str, paths: Sequence[str] = (), *, has_moves: bool = False) -> bytes:
    """The difference of two commits as a patch; of some paths where they are given.

    With moves, a file that went elsewhere is shown as that, and only what is different in it.
    """
    return _run(git, "-p", old, new, paths, *(_MOVES if has_moves else _NO_MOVES))


def binary(git: Git, old: str, new: str) -> bytes:
    """The difference of two commits as `git apply` takes it. Raises NotFound where one is gone."""
    ends = ("--end-of-options", git.commit_of(old), git.commit_of(new))
    how = ("-p", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")
    return git.run("diff-tree", "-r", *how, "--src-prefix=a/", "--dst-prefix=b/", *ends)


def counts(git: Git, old: str, new: str, paths: Sequence[str] = ()) -> tuple[Count, ...]:
    """The files in which two commits differ; what git takes for no text is counted as if it were."""
    out = iter(_run(git, "--raw", old, new, paths, "--numstat", "-z", *_MOVES).split(b"\0"))
    modes: dict[str, tuple[str, str]] = {}
    found = []
    for row in out:
        if row.startswith(b":"):
            old_mode, mode, _, _, kind = row.decode().lstrip(":").split()
            was, path = (next(out), next(out)) if kind[0] == "R" else (b"", next(out))
            modes[os.fsdecode(path)] = (old_mode, mode)
        elif row:
            added, removed, path = row.split(b"\t", 2)
            was, path = (b"", path) if path else (next(out), next(out))
            count = Count(os.fsdecode(path), 0, 0, os.fsdecode(was), *modes[os.fsdecode(path)])
            found.append(_counted(git, old, new, count, added, removed))
    return tuple(found)


def _counted(git: Git, old: str, new: str, count: Count, added: bytes, removed: bytes) -> Count:
    """With its lines: what attributes or bytes make binary, numstat does not count, whatever it is told."""
    if added != b"-":
        return count._replace(added=int(added), removed=int(removed))
    _, _, hunks = diff(git, old, new, count.paths, has_moves=True).partition(b"\n@@ ")
    lines = [line[:1] for line in hunks.split(b"\n")[1:]]
    return count._replace(added=lines.count(b"+"), removed=lines.count(b"-"), is_binary=True)


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

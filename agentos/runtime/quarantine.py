"""Quarantine: what came out of a workspace is checked before the person's repository has any of it."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agentos.errors import Refused
from agentos.model import protected
from agentos.model.activity import Actor
from agentos.runtime import clones
from agentos.runtime.handing import Pack, terminated
from agentos.store import codec
from agentos.store.git import GitFailed
from agentos.store.objects import Objects
from agentos.store.repository import Store

MOST_FILES = 20_000
"""Changed files in one commit: more, nobody can review."""

FILES, LINK, MODULE = ("100644", "100755"), "120000", "160000"
POINTER = b"version https://git-lfs.github.com/spec/"


class Change(NamedTuple):
    """One path that differs between two trees; an object of zeros is none."""

    path: bytes
    old_mode: str
    old: str
    mode: str
    oid: str

    @property
    def name(self) -> str:
        return os.fsdecode(self.path)


@contextmanager
def opened(store: Store, parent: str, folder: Path, allow: Sequence[str]) -> Iterator["Quarantine"]:
    """A quarantine in an empty folder, for a commit that is to follow `parent`."""
    clones.make_git(folder, store)
    objects = Objects(clones.bare(folder, store))
    try:
        yield Quarantine(store, parent, folder, objects, allow)
    finally:
        objects.close()


class Quarantine:
    """Objects that nobody has yet, in a folder that borrows the person's."""

    def __init__(
        self, store: Store, parent: str, folder: Path, objects: Objects, allow: Sequence[str]
    ) -> None:
        self._store = store
        self._parent = parent
        self._git = clones.bare(folder, store)
        self._index = {"GIT_INDEX_FILE": str(folder / "index")}
        self._objects = objects
        self._allow = allow

    def take(self, pack: Pack) -> tuple[str | None, tuple[str, ...]]:
        """The tree that may be handed in, none where it is the parent's, and what was left out, with reasons.

        Raises Refused for objects that git finds unsound, and for more files than can be reviewed.
        """
        try:
            if pack.data:
                self._git.run("index-pack", "--strict", "--stdin", stdin=pack.data)
            changes = list(self._changes(pack.tree))
        except GitFailed as error:
            said = (
                re.sub(r"[0-9a-f]{40,}", "", error.stderr).strip().partition("\n")[0].removeprefix("error: ")
            )
            raise Refused(f"What the workspace holds is not sound, and was not taken: {said}") from None
        if len(changes) > MOST_FILES:
            raise Refused(f"{len(changes)} changed files are more than can be handed in ({MOST_FILES}).")
        reasons = {change: self._why_left_out(change) for change in changes}
        out = [change for change, why in reasons.items() if why]
        words = tuple(f"{change.name}: {reasons[change]}" for change in out)
        left_out = (*pack.skipped, *words)
        if len(out) == len(changes):
            return None, left_out
        return self._without(pack.tree, out) if out else pack.tree, left_out

    def _changes(self, tree: str) -> Iterator[Change]:
        """What the tree changes (git-diff-tree, raw: `:mode mode object object status`, then the path)."""
        line = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", self._parent, tree)
        parts = self._git.run(*line).split(b"\0")
        for about, path in zip(parts[0::2], parts[1::2], strict=False):
            old_mode, mode, old, oid, _ = about.decode().lstrip(":").split()
            yield Change(path, old_mode, old, mode, oid)

    def _why_left_out(self, change: Change) -> str:
        prefix = self._store.prefix
        why = protected.why_left_out(change.name, prefix, self._allow)
        if why:
            return why
        if MODULE in (change.mode, change.old_mode):
            return "a submodule, or a repository of its own"
        if change.mode == LINK and protected.leads_out(change.name, self._objects.blob(change.oid)):
            return "a link that leads out of the repository"
        if protected.may_be_document(change.name, prefix) and self._is_document(change):
            return "a document of the board; agents write it by their tools"
        if change.old_mode in FILES and self._objects.blob(change.old).startswith(POINTER):
            return "a file of git LFS"
        return ""

    def _is_document(self, change: Change) -> bool:
        path = protected.fold(change.name).removeprefix(protected.fold(self._store.prefix))
        sides = ((change.old_mode, change.old), (change.mode, change.oid))
        return any(codec.row(path, self._objects.blob(oid)).kind for mode, oid in sides if mode in FILES)

    def _without(self, tree: str, out: Sequence[Change]) -> str:
        """The tree with these paths as the parent has them."""
        none = b"0" * len(tree)
        gone = [b"0 %s\t%s" % (none, change.path) for change in out]
        back = [f"{c.old_mode} {c.old}\t".encode() + c.path for c in out if c.old_mode.strip("0")]
        lines = terminated(gone + back)
        self._git.run("read-tree", tree, extra=self._index)
        self._git.run("update-index", "--replace", "-z", "--index-info", stdin=lines, extra=self._index)
        return self._git.run("write-tree", extra=self._index).decode().strip()

    def commit(self, tree: str, by: Actor, message: str) -> str:
        """A commit of this tree after the parent, it and all it needs now in the person's repository."""
        who = {}
        for role in ("AUTHOR", "COMMITTER"):
            who[f"GIT_{role}_NAME"] = by.full_name or by.name
            who[f"GIT_{role}_EMAIL"] = by.email or f"{by.name}@agentos.invalid"
            who[f"GIT_{role}_DATE"] = f"{int(self._store.clock().timestamp())} +0000"
        text = message.replace("\0", "").encode(errors="replace")
        made = self._git.run("commit-tree", tree, "-p", self._parent, "-F", "-", stdin=text, extra=who)
        commit = made.decode().strip()
        wanted = f"{commit}\n^{self._parent}\n".encode()
        pack = self._git.run("pack-objects", "-q", "--revs", "--stdout", stdin=wanted)
        durably = ("-c", "core.fsync=objects,reference")
        self._store.git.run(*durably, "unpack-objects", "-q", "--strict", stdin=pack)
        return commit

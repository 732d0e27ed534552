"""The store: one board in one repository, read without a lock and written by transactions."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from agentos.errors import Invalid, NotFound, Usage
from agentos.model import ids, times
from agentos.model.activity import Activity, Actor
from agentos.model.board import Board, Problem
from agentos.model.records import BRANCH, Record
from agentos.store import git, refs, snapshot, worktree
from agentos.store.cache import Snapshot, uncollected
from agentos.store.git import Git
from agentos.store.objects import Objects
from agentos.store.refs import Claim, Refs

Clock = Callable[[], datetime]
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Store:
    """Where one board lives: its repository, its branch, and its folder below the repository's top.

    `quiet` is for how many seconds a hand edit must have been left alone to be committed.
    """

    git: Git
    prefix: str
    branch: str
    clock: Clock
    identity: Mapping[str, str] = field(default_factory=dict)
    quiet: float = snapshot.QUIET

    @classmethod
    def open(cls, start: Path, env: Mapping[str, str], clock: Clock) -> "Store":
        """The board at or above a folder. Raises NotFound where there is none."""
        found = git.find(start, env)
        assert found.work_tree is not None
        local = read_local(found.common_dir)
        prefix = _prefix(start.resolve(), found.work_tree.resolve(), local)
        branch = local.get("branch") or _configured_branch(found, prefix) or refs.current_branch(found)
        if not branch:
            raise NotFound("HEAD is detached and no branch is set; put `branch: main` into board/config.yml.")
        if not re.fullmatch(BRANCH, branch):
            raise Invalid(
                f"The board can't live on a branch named {branch!r}: letters, digits, - _ . / only."
            )
        return cls(found, prefix, branch, clock, local)

    @property
    def local(self) -> Path:
        """What belongs to this clone alone: lock, journal, cache."""
        return self.git.common_dir / "agentos"

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def moment(self) -> datetime:
        """Now, in UTC."""
        return self.clock().astimezone(UTC)

    def refs(self) -> Refs:
        return refs.read(self.git, self.branch)

    def git_at(self, top: Path) -> Git:
        """Git for the worktree at `top`."""
        return self.git if top == self.git.work_tree else self.git.at(top)

    def commit_of(self, at: str) -> str:
        """The commit that a revision means, or the branch's last one at or before a time (`times.when`).

        Raises NotFound where there is none, and Usage for a time that can't be.
        """
        moment = times.when(at, self.clock())
        if moment is None:
            return self.git.commit_of(at, f", or a time. {times.EXAMPLES}")
        return refs.before(self.git, self.ref, moment)

    # Reading -------------------------------------------------------------------------------------------

    def board(self, at: str | None = None) -> Board:
        """The board now, hand edits over it, or as it was at a revision or a time. Takes no lock."""
        with uncollected():
            return snapshot.require_format(self._board(at))

    def _board(self, at: str | None) -> Board:
        objects = Objects(self.git)
        try:
            if at is not None:
                commit = self.commit_of(at)
                tree = self.git.text("rev-parse", "--verify", f"{commit}^{{tree}}")
                found = snapshot.read(self.git, objects, tree, self.prefix, self.local / "cache")
                return snapshot.board_of(commit, found)
            now = self.refs()
            found = snapshot.read(self.git, objects, now.tree, self.prefix, self.local / "cache")
            edits = self.hand_edits(now, found, objects)
            found.save(self.local / "cache")
            return snapshot.overlaid(now.head, found, edits) if edits else snapshot.board_of(now.head, found)
        finally:
            objects.close()

    def hand_edits(self, now: Refs, found: Snapshot, objects: Objects) -> list[worktree.HandEdit]:
        """What a person changed and has not committed, where the branch is checked out."""
        root = self.root(now)
        if root is None:
            return []
        edits = worktree.hand_edits(found, root, objects.algorithm, cache(self.converts))
        unfinished = self._unfinished() if edits else {}
        return [edit for edit in edits if edit.path not in unfinished]

    def converts(self) -> bool:
        """Whether git's checkout gives files CRLF line ends here, which its commits do not have."""
        return self.git.text("config", "core.autocrlf", ok=(0, 1)).lower() == "true"

    def root(self, now: Refs) -> Path | None:
        """The board's root in the worktree that has the branch checked out."""
        return now.worktree / self.prefix if now.worktree else None

    def _unfinished(self) -> Mapping[str, Any]:
        """Files that another transaction is writing at this moment: not a person's edits."""
        from agentos.store import journal

        entry = journal.read(self.local / "journal")
        return {path.removeprefix(self.prefix): blobs for path, blobs in entry.paths.items()} if entry else {}

    def text(self, path: str, at: str | None = None) -> str:
        """A file's text: the working file where it is the board's, else the commit's. Raises NotFound."""
        now = self.refs()
        root = self.root(now) if at is None else None
        if root is not None and (root / path).is_file() and not (root / path).is_symlink():
            with contextlib.suppress(FileNotFoundError):  # removed since: the commit still has it
                return _decoded((root / path).read_bytes())
        commit = self.commit_of(at) if at else now.head
        objects = Objects(self.git)
        try:
            oid = objects.find(commit, self.prefix + path) if commit else None
            if oid is None:
                raise NotFound(f"{path} does not exist at {at or self.branch}.")
            return _decoded(objects.blob(oid))
        finally:
            objects.close()

    def committed(self, path: str, at: str | None = None) -> str:
        """A file's text in a commit, the board's last one for none given; empty where it is not there."""
        commit = self.commit_of(at) if at else self.refs().head
        objects = Objects(self.git)
        try:
            oid = objects.find(commit, self.prefix + path) if commit else None
            return objects.blob(oid).decode(errors="replace") if oid else ""
        finally:
            objects.close()

    def body(self, record: Record, at: str | None = None) -> str:
        """The Markdown below a record's front matter."""

        from agentos.store import frontmatter

        return frontmatter.split(record.path, self.text(record.path, at).encode()).body.lstrip("\r\n")

    def activities(self, limit: int, at: str | None = None, paths: Sequence[str] = ()) -> list[Activity]:
        """The last activities, newest first; of some records where their paths are given."""
        from agentos.store import history

        start = self.commit_of(at) if at else self.refs().head
        if start is None:
            return []
        objects = Objects(self.git)
        try:
            return history.feed(
                self.git, objects, [start], self.prefix, limit, [self.prefix + p for p in paths]
            )
        finally:
            objects.close()

    def refusals(self, limit: int, at: str | None = None) -> list[Activity]:
        """The last commits in which edits of WORKING.md were refused, newest first."""
        from agentos.store import history

        start = self.commit_of(at) if at else self.refs().head
        return history.refusals(self.git, start, limit) if start else []

    def record(self, path: str, kind: type[R], at: str | None = None) -> R | None:
        """One record by its path; None where there is none that can be read."""
        try:
            text = self.text(path, at)
        except NotFound:
            return None
        row = snapshot.parsed(path, text.encode())
        return kind.from_row(path, row.fields) if row.fields is not None else None

    def updated(self, paths: Sequence[str], at: str | None = None) -> dict[str, str]:
        """When each of these files was last committed, as the records write times."""
        from agentos.store import history

        start = self.commit_of(at) if at else self.refs().head
        found = history.updated(self.git, start, self.prefix, paths) if start else {}
        return {path: times.stamp(moment) for path, moment in found.items()}

    def located(self, problems: Iterable[Problem], at: str | None = None) -> list[Problem]:
        """The problems with the line filled in where only the field is known."""
        return [self._locate(p, at) if not p.line else p for p in problems]

    def _locate(self, problem: Problem, at: str | None) -> Problem:
        from agentos.store import frontmatter

        try:
            page = frontmatter.split(problem.path, self.text(problem.path, at).encode())
        except NotFound:  # removed since the board was read
            return problem
        line = frontmatter.line_of(page, problem.field.split("."))
        return Problem(problem.path, line, problem.reason, problem.is_fatal, problem.field)

    def claims(self) -> list[Claim]:
        """Every claim that is held."""
        held = self.refs().claims
        objects = Objects(self.git)
        try:
            return [refs.parse_claim(task, objects.blob(oid)) for task, oid in held.items()]
        except Invalid:
            now = self.refs().claims  # `git gc --prune=now` takes a claim that was given back meanwhile
            return [refs.parse_claim(task, objects.blob(oid)) for task, oid in now.items()]
        finally:
            objects.close()

    def person(self) -> Actor:
        """Who works here by hand: as recorded at `init`, else as git knows them. Raises Usage."""
        full, email = self.identity.get("name"), self.identity.get("email")
        if not full or not email:
            full, email = identity(self.git)
        return person(full, email, self.identity.get("person"))


def _decoded(data: bytes) -> str:
    from agentos.store import frontmatter

    return frontmatter.decode(data)


def identity(found: Git) -> tuple[str, str]:
    """The name and address that git would commit with. Raises Usage where it has none."""
    full = found.text("config", "user.name", ok=(0, 1))
    email = found.text("config", "user.email", ok=(0, 1))
    if not full or not email:
        raise Usage(
            "git does not know who you are. Set it once: git config user.name 'Your Name' and "
            "git config user.email you@example.com"
        )
    return full, email


def person(full: str, email: str, name: str | None = None) -> Actor:
    """The person with this git identity; the short name is the one given, or made from the full one."""
    return Actor(name or ids.slugify(full, fallback="person"), False, full, email)


def read_local(common_dir: Path) -> dict[str, str]:
    """What `init` recorded for this clone: branch, prefix, name, email, person; empty where it never ran."""
    try:
        data = json.loads((common_dir / "agentos" / "clone.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def _prefix(start: Path, top: Path, local: Mapping[str, str]) -> str:
    """The board's root below the repository's top, as `` or `folder/`: the nearest with `board/tasks`."""
    folder = start
    while True:
        if (folder / "board" / "tasks").is_dir():
            inner = folder.relative_to(top).as_posix()
            return "" if inner == "." else inner + "/"
        if folder == top:
            break
        folder = folder.parent
    if "prefix" in local:
        return local["prefix"]
    raise NotFound(f"No board in {start} or above it. `agentos init` makes one.")


def _configured_branch(found: Git, prefix: str) -> str | None:
    """The branch that the working tree's config names; a config that can't be read names none."""
    from agentos.store import frontmatter
    from agentos.store.fields import Unreadable

    assert found.work_tree is not None
    try:
        data = (found.work_tree / prefix / "board" / "config.yml").read_bytes()
        value = frontmatter.split("board/config.yml", data).fields().get("branch")
    except (OSError, Unreadable):
        return None
    return value if isinstance(value, str) else None

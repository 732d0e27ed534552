"""Joining two commits into one tree: records by the semantic merge, everything else by git's.

It reads and writes objects alone; nothing else of the repository is touched.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from agentos.errors import Conflict
from agentos.model import ids, working
from agentos.model.words import kind_of, task_number
from agentos.store import merging
from agentos.store.git import Git
from agentos.store.objects import EXECUTABLE, FILE, Entry, Objects

Sides = tuple[Entry | None, Entry | None]
"""What stands at a path before and after."""

_AS_GIT_DOES = (
    "-c", "merge.directoryRenames=false",
    "-c", "merge.agentos.driver=git merge-file %A %O %B",
)  # fmt: skip
"""What git merges that is no record, it merges as it would any text, and lets folders alone."""


class Clash(Conflict):
    """Something that is no record changed differently on both sides; `paths` are its files."""

    def __init__(self, message: str, paths: Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


@dataclass(frozen=True)
class Joined:
    """A merge of the board's head with another commit, `theirs`, named `name`.

    `files` are the ones in which its tree differs from the head's, by their path from the top (None: gone);
    `records` those among them that are records. `found` is the blob of a working copy that is not what the
    head has and may be replaced all the same. `is_forward`: the head has nothing that `theirs` has not.
    """

    theirs: str
    name: str
    tree: str
    files: Mapping[str, Entry | None]
    records: frozenset[str]
    is_forward: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Tasks of ours that gave way to others of the same name, with their new names."""
    found: Mapping[str, str] = field(default_factory=dict)

    def is_record(self, path: str) -> bool:
        return path in self.records

    def seen(self, found: Mapping[str, str]) -> "Joined":
        """The same, with the working copies that may be replaced."""
        return replace(self, found=found)


def join(
    git: Git, objects: Objects, prefix: str, ours: str, theirs: str, name: str, base: str | None = None
) -> Joined | None:
    """Merge two commits; None where ours has theirs already. A `base` that is not in common stands for it.

    Two tasks made apart under one name are told apart: ours moves to the next number, with what refers to
    it. Raises Clash, naming the paths, where something that is no record changed differently on both sides,
    and Conflict where the two have no common history.
    """
    bases = git.run("merge-base", "--all", ours, theirs, ok=(0, 1)).decode().split()
    if not bases:
        raise Conflict(f"{name} and this branch have no common history; nothing was merged.")
    if theirs in bases:
        return None
    tree = git.text("rev-parse", "--verify", f"{theirs}^{{tree}}")
    renamed: dict[str, str] = {}
    if ours not in bases:
        since = base or bases[0]
        side = ours if since in bases else _grafted(git, objects, ours, since)
        tree, renamed = _Join(git, objects, prefix, (since, ours, theirs), name, side).run()
        objects.flush()
    files = {path: after for path, (_, after) in differ(git, f"{ours}^{{tree}}", tree).items()}
    was = {path: objects.entry(ours, path) for path in files}
    records = frozenset(
        path for path, new in files.items() if _is_plain(new, was[path])
        and is_record(objects, prefix, path, (new, was[path]))
    )  # fmt: skip
    return Joined(theirs, name, tree, files, records, ours in bases, renamed)


def preview(git: Git, ours: str, theirs: str) -> str | None:
    """The tree that two commits would come to, merged as git does it; None where that has conflicts."""
    line = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--end-of-options")
    tree, *names = git.run(*_AS_GIT_DOES, *line, ours, theirs, ok=(0, 1)).split(b"\0")
    return None if any(names) else tree.decode()


def differ(git: Git, old: str, new: str) -> dict[str, Sides]:
    """The files in which two trees differ, by path, with what stands there in each."""
    out = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--end-of-options", old, new)
    parts = out.split(b"\0")
    found = {}
    for meta, path in zip(parts[:-1:2], parts[1::2], strict=True):
        modes_and_names = meta.lstrip(b":").split()
        sides = zip(modes_and_names[:2], modes_and_names[2:4], strict=True)
        before, after = (Entry(mode, oid.decode()) if mode.strip(b"0") else None for mode, oid in sides)
        found[os.fsdecode(path)] = (before, after)
    return found


def _is_plain(*entries: Entry | None) -> bool:
    return all(entry is None or entry.mode in (FILE, EXECUTABLE) for entry in entries)


def is_record(objects: Objects, prefix: str, path: str, sides: Iterable[Entry | None]) -> bool:
    """Whether a path is a record's, or the page's; under `docs/` and `agents/` a side must say so."""
    if not path.startswith(prefix):
        return False
    inner = path.removeprefix(prefix)
    kind = kind_of(inner)
    if kind is None:
        return inner == working.PATH
    if kind not in ("document", "agent"):
        return True
    from agentos.store import codec

    blobs = (objects.blob(side.oid) for side in sides if side and _is_plain(side))
    return any(codec.row(inner, data).kind for data in blobs)


def _grafted(git: Git, objects: Objects, ours: str, base: str) -> str:
    """A commit with our tree right after a base, so that git merges from there; no ref ever has it."""
    tree = git.text("rev-parse", "--verify", f"{ours}^{{tree}}")
    who = "agentos <agentos@agentos.invalid> 0 +0000"
    data = f"tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\n\nmerged from here\n"
    made = objects.write("commit", data.encode())
    objects.flush()
    return made


class _Join:
    """One merge of two commits that have both moved on from a third; `side` is ours as git is to see it."""

    def __init__(
        self, git: Git, objects: Objects, prefix: str, commits: tuple[str, str, str], name: str, side: str
    ) -> None:
        self.git = git
        self.objects = objects
        self.prefix = prefix
        self.base, self.ours, self.theirs = commits
        self.name = name
        self.side = side
        self.taken: dict[str, Entry | None] = {}

    def run(self) -> tuple[str, dict[str, str]]:
        """The merged tree, and the tasks of ours that were renamed."""
        mine = differ(self.git, self.base, self.ours)
        other = differ(self.git, self.base, self.theirs)
        root, renamed = self._make_way(mine, other)
        if renamed:
            mine = differ(self.git, self.base, root)
        records = {path for path in mine.keys() | other.keys() if self._is_record(path, mine, other)}
        self._records(*({p: s for p, s in side.items() if p in records} for side in (mine, other)))
        code = [path for path in other if path not in records]
        if any(path not in records for path in mine) and code:
            self._merge_code(records)
        else:
            self.taken |= {path: other[path][1] for path in code}
        return self.objects.tree_with(root, self.taken) or self.objects.write("tree", b""), renamed

    def _is_record(self, path: str, *sides: Mapping[str, Sides]) -> bool:
        found = [entry for side in sides for entry in side.get(path, ())]
        return _is_plain(*found) and is_record(self.objects, self.prefix, path, found)

    def _merge_code(self, records: set[str]) -> None:
        """Everything that is no record as git merges it. Raises Conflict with the paths that it can't."""
        out = self.git.run(
            *_AS_GIT_DOES, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages",
            "--end-of-options", self.side, self.theirs, ok=(0, 1),
        )  # fmt: skip
        tree, *names = (os.fsdecode(part) for part in out.split(b"\0"))
        clashes = sorted({name for name in names if name} - records)
        if clashes:
            raise Clash(
                f"{self.name} changed the same lines as this branch: {some(clashes)}. "
                "Nothing was merged; merge it with git and solve them.",
                clashes,
            )
        merged = differ(self.git, f"{self.ours}^{{tree}}", tree)
        self.taken |= {path: new for path, (_, new) in merged.items() if path not in records}

    # Records -------------------------------------------------------------------------------------------

    def _records(self, mine: Mapping[str, Sides], other: Mapping[str, Sides]) -> None:
        """Take over what they changed; where we changed the same record, both merged."""
        here, there = _moves(mine), _moves(other)
        back = {to: source for source, to in there.items()}
        for path, (old, new) in other.items():
            if path == self.prefix + working.PATH:
                continue
            source = back.get(path)
            if source is not None and source in mine:
                base, ours = mine[source][0], mine[source][1]
                if ours is None and source in here:
                    ours = mine[here[source]][1]
                    path = here[source]
                else:
                    self.taken[source] = None
                self.taken[path] = self._merged(path, base, ours, new)
            elif path in there and path in mine:
                continue
            elif path in here:
                self.taken[here[path]] = self._merged(path, old, mine[here[path]][1], new)
            elif path in mine:
                self.taken[path] = self._merged(path, old, mine[path][1], new)
            else:
                self.taken[path] = new

    def _merged(
        self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None
    ) -> Entry | None:
        """One record; changed on one side and deleted on the other, the change wins."""
        if ours in (base, theirs) or ours is None:
            return theirs
        if theirs in (base, None):
            return ours
        root = self.objects.blob(base.oid) if base else None
        sides = (self.objects.blob(side.oid) for side in (ours, theirs) if side)
        data = merging.anyhow(path.removeprefix(self.prefix), root, *sides)
        return Entry(ours.mode, self.objects.write("blob", data))

    # One name, two tasks -------------------------------------------------------------------------------

    def _make_way(self, mine: Mapping[str, Sides], other: Mapping[str, Sides]) -> tuple[str, dict[str, str]]:
        """Our tree, in which each task that they made as well, apart from us, has the next number."""
        fresh = [
            {PurePosixPath(path).stem for path, (old, new) in side.items() if self._is_fresh(path, old, new)}
            for side in (mine, other)
        ]
        twice = sorted(fresh[0] & fresh[1])
        twice = [name for name in twice if not self._is_one(name, mine, other)]
        if not twice:
            return self.ours, {}
        number = ids.next_number(self._names())
        renamed = {}
        for name in twice:
            renamed[name] = ids.task_id(number, name.split("-", 2)[2])
            number += 1
        changes = _renaming(self.objects, renamed, mine)
        root = self.objects.tree_with(self.ours, changes)
        self.objects.flush()
        assert root is not None
        return root, renamed

    def _is_fresh(self, path: str, old: Entry | None, new: Entry | None) -> bool:
        inner = path.removeprefix(self.prefix)
        is_task = path.startswith(self.prefix) and kind_of(inner) == "task"
        name = PurePosixPath(path).stem
        return is_task and task_number(name) is not None and old is None and new is not None

    def _is_one(self, name: str, mine: Mapping[str, Sides], other: Mapping[str, Sides]) -> bool:
        """Whether the two are the same file all the same, or one that was only moved."""
        ends = f"/{name}.md"
        if any(path.endswith(ends) and old for side in (mine, other) for path, (old, _) in side.items()):
            return True
        blobs = [{new for path, (_, new) in side.items() if path.endswith(ends)} for side in (mine, other)]
        return blobs[0] == blobs[1]

    def _names(self) -> list[str]:
        """Every task that either side has or talks of."""
        folders = [f"{self.prefix}board/{folder}" for folder in ("tasks", "archive", "messages")]
        out = b"".join(
            self.git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", side, "--", *folders)
            for side in (self.ours, self.theirs)
        )
        return re.findall(r"(TASK-\d+-[\w-]+)", os.fsdecode(out))


def _renaming(
    objects: Objects, names: Mapping[str, str], mine: Mapping[str, Sides]
) -> dict[str, Entry | None]:
    """What other names for some tasks change in our tree: paths and texts that nobody else has seen yet."""
    every = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, names))})(?![\w-])")
    changes: dict[str, Entry | None] = {}
    for path, (_, new) in mine.items():
        if new is None or not _is_plain(new):
            continue
        target = every.sub(lambda found: names[found[1]], path)
        data = fresh = objects.blob(new.oid)
        if path.endswith(".md"):
            text = data.decode(errors="surrogateescape")
            text = every.sub(lambda found: names[found[1]], text)
            fresh = text.encode(errors="surrogateescape")
        if target != path:
            changes[path] = None
        if target != path or fresh != data:
            changes[target] = Entry(new.mode, objects.write("blob", fresh))
    return changes


def _moves(side: Mapping[str, Sides]) -> dict[str, str]:
    """The tasks whose file went elsewhere, as to the archive, or got another name with its number: to where.

    Where more than one file of a number went or came, none is paired.
    """
    gone: dict[int, list[str]] = defaultdict(list)
    came: dict[int, list[str]] = defaultdict(list)
    for path, (old, new) in side.items():
        number = task_number(PurePosixPath(path).stem) if path.endswith(".md") else None
        if number is not None and (old is None) is not (new is None):
            (came if old is None else gone)[number].append(path)
    pairs = ((gone[number], came[number]) for number in gone.keys() & came.keys())
    return {old[0]: new[0] for old, new in pairs if len(old) == len(new) == 1}


def some(paths: Iterable[str], most: int = 5) -> str:
    """The first of these paths, and how many more there are."""
    listed = list(paths)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")

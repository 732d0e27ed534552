"""Packing: our own commits go from loose objects into a pack now and then, and get changed-path filters.

Git's own `gc` is the person's affair: their packs and whatever else lies loose stay as they are.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from agentos.model import working
from agentos.store.git import Git, GitFailed
from agentos.store.lock import try_lock
from agentos.store.objects import sync_folder
from agentos.store.repository import Store
from agentos.store.snapshot import FOLDERS

EVERY = 300
"""Commits after which packing is worth it; they are some 2,000 loose objects, or 15 MB at 1,000 tasks."""

MOST_PACKS = 20
"""Packs of ours that become one: with 66 packs a transaction took 11 % more CPU than with one."""

FIRST = 2000
"""Commits to look back where this clone does not remember what it has packed."""

MOST_GRAPHED = 100_000
"""Commits of a repository without a commit-graph beyond which writing one would take too long in a tick."""

MOST_FILTERS = 20_000
"""Changed-path filters computed in one go; 10,000 took 0.8 s of CPU."""

DEPTH = 10
"""Deltas in a row: a log reads old trees, and is many times as slow with git's own 50 (decision 0016)."""

LOCKS = (
    "gc.pid",
    "objects/maintenance.lock",
    "objects/info/commit-graph.lock",
    "objects/info/commit-graphs/commit-graph-chain.lock",
)
"""What says that a git process tidies up here."""


def tidy(store: Store, every: int = EVERY, most: int = MOST_PACKS) -> int:
    """Pack what came since the last time, if it is `every` commits or more; gives how many objects went.

    Safe beside readers and writers, and wherever it is killed: an object goes only once a pack that is on
    disk has it, readers look for packs anew where one is gone, and packing an object again does no harm.
    """
    if not _is_worth_a_look(store.git.common_dir / "objects", every):
        return 0
    head = store.refs().head
    if head is None:
        return 0
    tip = _tip(store, head)
    if tip == head or int(store.git.text("rev-list", "--count", head, *_without(tip))) < every:
        return 0
    with try_lock(store.local / "pack.lock") as held:
        if not held or any((store.git.common_dir / lock).exists() for lock in LOCKS):
            return 0
        packed, made = _pack(store, head, tip)
        names = [*_ours(store), *made]
        _write_graph(store.git, head)
        _remember(store, head, names)
        if len(names) >= most and _joined(store.git, names):
            _remember(store, head, [])
    return packed


def _is_worth_a_look(objects: Path, every: int) -> bool:
    """Whether one of the 256 folders of loose objects has enough; `git gc --auto` looks there too."""
    try:
        return len(os.listdir(objects / "17")) >= every * 3 // 256
    except OSError:
        return every * 3 < 256


def _tip(store: Store, head: str) -> str | None:
    """The last commit that was packed; None to begin with the first one."""
    try:
        tip = str(json.loads((store.local / "packed.json").read_bytes())["tip"])
        return store.git.text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{tip}^{{commit}}")
    except (OSError, ValueError, LookupError, TypeError, GitFailed):
        skipped = ("--first-parent", "-n1", f"--skip={FIRST}")
        return store.git.text("rev-list", *skipped, "--end-of-options", head, "--") or None


def _without(tip: str | None) -> list[str]:
    return [f"^{tip}"] if tip else []


def _ours(store: Store) -> list[str]:
    """The packs that we made and did not join yet, as far as this clone remembers."""
    try:
        names = map(str, json.loads((store.local / "packed.json").read_bytes())["packs"])
        return [name for name in names if re.fullmatch(r"[0-9a-f]{40,64}", name)]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _remember(store: Store, head: str, packs: Sequence[str]) -> None:
    """Keep how far we are, and which packs are ours; a folder that can't be written costs looking again."""
    with contextlib.suppress(OSError):
        partial = store.local / f"packed.{os.getpid()}"
        partial.write_text(json.dumps({"tip": head, "packs": packs}))
        partial.replace(store.local / "packed.json")


def _pack(store: Store, head: str, tip: str | None) -> tuple[int, list[str]]:
    """Move the loose objects of our records and their commits into a pack; gives how many, and its name."""
    git, paths = store.git, [store.prefix + path for path in (*FOLDERS, working.PATH)]
    listed = git.run("rev-list", "--objects", "--missing=allow-any", head, *_without(tip), "--", *paths)
    loose = {}
    for line in listed.splitlines():
        oid = line[: len(head)].decode()
        file = git.common_dir / "objects" / oid[:2] / oid[2:]
        if file.exists():
            loose[oid] = (line, file)
    if not loose:
        return 0, []
    made = _make_pack(git, (line for line, _ in loose.values()))
    packed = _inside(git, made) & loose.keys()
    for oid in packed:
        loose[oid][1].unlink(missing_ok=True)
    return len(packed), made


def _joined(git: Git, names: Iterable[str]) -> bool:
    """Make one pack of these; the old ones go once it is on disk and has all that they have.

    Not where the person has an index over several packs, which would name packs that are gone.
    """
    folder = git.common_dir / "objects" / "pack"
    old = [name for name in dict.fromkeys(names) if (folder / f"pack-{name}.idx").exists()]
    if (folder / "multi-pack-index").exists() or any((folder / f"pack-{name}.keep").exists() for name in old):
        return False
    made = _make_pack(git, (f"pack-{name}.pack".encode() for name in old), "--stdin-packs")
    gone = set(old) - set(made)
    if not _inside(git, gone) <= _inside(git, made):
        return False
    for name in gone:
        for ending in (
            "idx",
            "pack",
            "rev",
        ):  # the index first, as git does, so that nobody opens it any more
            (folder / f"pack-{name}.{ending}").unlink(missing_ok=True)
    return True


def _make_pack(git: Git, lines: Iterable[bytes], *options: str) -> list[str]:
    """A pack of these objects, on disk when this returns; gives its name, or several where it was split."""
    base = git.common_dir / "objects" / "pack" / "pack"
    how = ("-q", "--delta-base-offset", f"--depth={DEPTH}", *options)
    made = git.run("pack-objects", *how, str(base), stdin=b"".join(line + b"\n" for line in lines))
    sync_folder(base.parent)
    return made.decode().split()


def _inside(git: Git, names: Iterable[str]) -> set[str]:
    """The objects that these packs have, by their indexes."""
    folder = git.common_dir / "objects" / "pack"
    indexes = [(folder / f"pack-{name}.idx").read_bytes() for name in names]
    listed = [git.run("show-index", stdin=index).splitlines() for index in indexes]
    return {line.split()[1].decode() for lines in listed for line in lines}


def _write_graph(git: Git, head: str) -> None:
    """Changed-path filters for our commits, as another layer of the commit-graph.

    The number of new filters is limited, since git computes them for every commit behind `head`. A person's
    `gc` keeps them (git-commit-graph: `--changed-paths` is remembered).
    """
    info = git.common_dir / "objects" / "info"
    is_there = (info / "commit-graph").exists() or (info / "commit-graphs").exists()
    limit = MOST_GRAPHED + 1
    if not is_there and int(git.text("rev-list", "--count", f"-n{limit}", head)) == limit:
        return
    git.run(
        "commit-graph", "write", "--stdin-commits", "--split", "--changed-paths", "--no-progress",
        f"--max-new-filters={MOST_FILTERS}", stdin=f"{head}\n".encode(),
    )  # fmt: skip

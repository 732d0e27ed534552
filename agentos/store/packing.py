"""Packing: our own commits go from loose objects into a pack now and then, and get changed-path filters.

Git's own `gc` is the person's affair: their packs and whatever else lies loose stay as they are.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from agentos.model import working
from agentos.store.git import Git, GitFailed
from agentos.store.lock import try_lock
from agentos.store.objects import sync_folder
from agentos.store.repository import Store
from agentos.store.snapshot import FOLDERS

EVERY = 300
"""Commits after which packing is worth it; they are some 2,000 loose objects, or 15 MB at 1,000 tasks."""

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


def tidy(store: Store, every: int = EVERY) -> int:
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
        packed = _pack(store, head, tip)
        _write_graph(store.git, head)
        _remember(store, head)
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


def _remember(store: Store, head: str) -> None:
    """Keep how far we are; a folder that can't be written costs looking again."""
    with contextlib.suppress(OSError):
        partial = store.local / f"packed.{os.getpid()}"
        partial.write_text(json.dumps({"tip": head}))
        partial.replace(store.local / "packed.json")


def _pack(store: Store, head: str, tip: str | None) -> int:
    """Move the loose objects of our records and their commits into a pack."""
    git, paths = store.git, [store.prefix + path for path in (*FOLDERS, working.PATH)]
    listed = git.run("rev-list", "--objects", "--missing=allow-any", head, *_without(tip), "--", *paths)
    loose = {}
    for line in listed.splitlines():
        oid = line[: len(head)].decode()
        file = git.common_dir / "objects" / oid[:2] / oid[2:]
        if file.exists():
            loose[oid] = (line, file)
    if not loose:
        return 0
    base = git.common_dir / "objects" / "pack" / "pack"
    made = git.run(
        "pack-objects", "-q", "--local", "--delta-base-offset", f"--depth={DEPTH}", str(base),
        stdin=b"".join(line + b"\n" for line, _ in loose.values()),
    )  # fmt: skip
    sync_folder(base.parent)
    packed = _inside(git, (base.with_name(f"pack-{name}.idx") for name in made.decode().split()))
    for oid in packed & loose.keys():
        loose[oid][1].unlink(missing_ok=True)
    return len(packed & loose.keys())


def _inside(git: Git, indexes: Iterable[Path]) -> set[str]:
    """The objects that these packs have, by their indexes."""
    listed = [git.run("show-index", stdin=index.read_bytes()).splitlines() for index in indexes]
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

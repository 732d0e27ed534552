"""The condition of a clone, for who asks what is wrong: what git is told, holds, or has left behind."""

from collections import defaultdict

from agentos.store.git import Git
from agentos.store.snapshot import FOLDERS


def unmerged(git: Git, prefix: str) -> dict[str, bool]:
    """The records that git's merge could not join; whether one side deleted them while the other edited."""
    stages: dict[str, set[str]] = defaultdict(set)
    out = git.run("ls-files", "--unmerged", "-z", "--", *(prefix + folder for folder in FOLDERS))
    for line in out.decode(errors="surrogateescape").split("\0")[:-1]:
        meta, _, path = line.partition("\t")
        stages[path].add(meta.split()[2])
    return {path: not {"2", "3"} <= found for path, found in stages.items()}


def unseen(git: Git, prefix: str) -> list[str]:
    """The records that git was told not to look at (skip-worktree, assume-unchanged)."""
    out = git.run("ls-files", "-v", "-z", "--", *(prefix + folder for folder in FOLDERS))
    lines = out.decode(errors="surrogateescape").split("\0")[:-1]
    return [line[2:] for line in lines if line[0] == "S" or line[0].islower()]


def staged(git: Git, prefix: str, head: str) -> list[str]:
    """The records that the person has staged and not committed."""
    folders = [prefix + folder for folder in FOLDERS]
    out = git.run("diff-index", "--cached", "--name-only", "-z", head, "--", *folders)
    return out.decode(errors="surrogateescape").split("\0")[:-1]

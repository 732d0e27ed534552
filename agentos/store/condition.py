"""The condition of a clone, for who asks what is wrong: what git is told, holds, or has left behind."""

from collections import defaultdict
from pathlib import Path

from agentos.store.git import Git
from agentos.store.snapshot import FOLDERS

_PROCESSES = Path("/proc")


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


def has_process(top: Path) -> bool | None:
    """Whether a git process is at work in this working tree; None where the system doesn't tell."""
    if not _PROCESSES.is_dir():
        return None
    return any(_is_git_in(folder, top) for folder in _PROCESSES.iterdir() if folder.name.isdigit())


def _is_git_in(process: Path, top: Path) -> bool:
    """Whether this process is a git one inside `top`; one that is gone or somebody else's is not."""
    try:
        name = (process / "comm").read_text(errors="replace").strip()
        return name.startswith("git") and (process / "cwd").resolve().is_relative_to(top.resolve())
    except OSError:
        return False

"""Handing in: the files of a workspace, which nobody trusts, as a tree and a pack made inside the sandbox."""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError, Refused
from agentos.runtime import clones
from agentos.runtime.sandbox import Sandbox
from agentos.store.repository import Store

LARGEST = 50 << 20
"""Bytes of one file that can be handed in."""

MOST_PACKED = 256 << 20
"""Bytes, compressed, of everything handed in at once."""

MOST_NAMES = 1 << 20
MOST_REFUSED = 20
"""Files with impossible names that are told one by one."""

MODULE = b"160000"


class Pack(NamedTuple):
    """The tree of the files as they lie there, its objects, and what was not even looked at."""

    tree: str
    data: bytes
    skipped: tuple[str, ...]


def look(store: Store, sandbox: Sandbox, path: Path, parent: str, box: Path, made: Sequence[str]) -> Pack:
    """The files of a workspace as a tree and a pack, made inside the sandbox.

    Git runs there with a folder and an index of ours in `box`: what the agent wrote into the clone's `.git`
    is never read. Repositories inside the workspace and huge files are passed over. Raises Refused for too
    much of it.
    """
    git = box / "git"
    clones.make_git(git, store)
    clones.write_excludes(git, made)
    index = {"GIT_INDEX_FILE": str(box / "index")}
    listed = clones.bare(git, store).run("ls-tree", "-r", "-z", parent).split(b"\0")
    followed = [line for line in listed if line and not line.startswith(MODULE)]
    clones.bare(git, store).run("update-index", "-z", "--index-info", stdin=terminated(followed), extra=index)
    env = {"GIT_DIR": str(git), "GIT_WORK_TREE": str(path), **index}
    inside = clones.inside(sandbox, store, path, box, env)
    skipped = _passed_over(inside)
    spec = [b".", *(b":(exclude,literal)" + name for name in skipped)]
    refused = _add(inside, terminated(spec))
    tree = inside.run("write-tree").decode(errors="replace").strip()
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", tree):
        raise AgentOSError(f"git write-tree in {path} said {tree[:80]!r}.")
    # of a commit alone, git leaves nothing out here: it looks at trees only where commits lead to them
    wanted = f"{tree}\n^{parent}^{{tree}}\n".encode()
    inside.run("pack-objects", "-q", "--revs", str(box / "out"), stdin=wanted)
    why = f"a repository of its own, or larger than {LARGEST >> 20} MiB"
    words = tuple(f"{os.fsdecode(name)}: {why}" for name in skipped)
    return Pack(tree, _read_pack(box), (*words, *refused))


def _add(inside: clones.Inside, spec: bytes) -> tuple[str, ...]:
    """Every file that git follows or would; where the agent has closed some, they are opened first.

    A name that git never takes, such as `git~1`, leaves out that file alone; gives git's words about each.
    """
    line = ("add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul")
    try:
        inside.run(*line, stdin=spec)
    except AgentOSError:
        inside.sandbox.run(["chmod", "-R", "u+rwX", "."], inside.cell, timeout=clones.TIME)
        said = inside.run(*line, "--ignore-errors", stdin=spec, ok=(0, 1)).decode(errors="replace")
        found = [text for text in said.splitlines() if text.startswith("error: invalid path")]
        return tuple(text.removeprefix("error: ") for text in found[:MOST_REFUSED])
    return ()


def terminated(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\0" for line in lines)


def _passed_over(inside: clones.Inside) -> list[bytes]:
    """Folders with a repository of their own, and files too large: as they are named inside."""
    huge = ["-type", "f", "-size", f"+{LARGEST}c", "-print0"]
    git = ["-path", "./.git", "-prune", "-o", "-name", ".git", "-prune", "-print0", "-o"]
    line = ["find", ".", "-xdev", *git, *huge]
    found = inside.sandbox.run(line, inside.cell, timeout=clones.TIME, limit=2 * MOST_NAMES)
    if len(found.output) > MOST_NAMES or found.stopped:
        raise Refused("The workspace has more repositories and huge files in it than can be told.")
    names = [name[2:] for name in found.output.split(b"\0") if name.startswith(b"./")]
    return [name.removesuffix(b"/.git") for name in names]


def _read_pack(box: Path) -> bytes:
    """The pack that git left, if it is a file and no link to one. Raises Refused for one too large."""
    found = sorted(box.glob("out-*.pack"))
    if not found:
        return b""
    handle = os.open(found[0], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(f"{found[0].name} is no file.")
        data = file.read(MOST_PACKED + 1)
    if len(data) > MOST_PACKED:
        raise Refused(f"More than {MOST_PACKED >> 20} MiB would be handed in; make the task smaller.")
    return data

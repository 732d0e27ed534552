"""Handing in: the files of a workspace, which nobody trusts, as a tree and a pack made inside the sandbox."""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from agentos.errors import AgentOSError, Refused
from agentos.runtime import clones, near
from agentos.runtime.near import ALL
from agentos.runtime.sandbox import Sandbox
from agentos.store.repository import Store

LARGEST = 50 << 20
"""Bytes of one file that can be handed in."""

MOST_PACKED = 256 << 20
"""Bytes, compressed, of everything handed in at once."""

MOST_NAMES = 1 << 20
MOST_REFUSED = 20
"""Files with impossible names that are told one by one."""

_NAMED = r"""for name do printf ':(exclude,literal)%s\0' "${name%/.git}"; done"""

_TAKE = r"""
set -e
spec() {
  printf '.\0'
  find . -xdev -path ./.git -prune -o -name .git -prune -exec sh -c "$NAMED" sh {} + \
    -o -type f -size "+${LARGEST}c" -exec sh -c "$NAMED" sh {} + || :
}
add() { git add -A --pathspec-from-file="$BOX/spec" --pathspec-file-nul "$@"; }
settled() { touch -t 203701010000 "$GIT_INDEX_FILE"; }
spec > "$BOX/spec" 2> /dev/null
git read-tree "$PARENT"
[ ! -s "$BOX/modules" ] || git update-index -z --index-info < "$BOX/modules"
settled
git update-index -q --refresh -z --skip-worktree --stdin < "$BOX/far" > /dev/null || :
settled
add 2> /dev/null || {
  chmod -R u+rwX . 2> /dev/null || :
  spec > "$BOX/spec"
  add --ignore-errors 2> "$BOX/refused" || [ $? = 1 ] || {
    echo '* -working-tree-encoding' > "$GIT_DIR/info/attributes"
    add --ignore-errors 2> "$BOX/refused" || [ $? = 1 ]
  }
}
tree=$(git write-tree)
printf '%s\n^%s^{tree}\n' "$tree" "$PARENT" | git pack-objects -q --revs "$BOX/out" > /dev/null
echo "$tree"
"""
"""What is done in the sandbox, at one go: starting one takes longer than most of it.

Folders with a repository of their own and huge files are passed over. Refreshed, the index knows which files
are as they were, and its date says that this holds for those of the same second too: nobody is left who could
have changed one since. Else `add` wrote them all anew, since in there git can't touch the person's objects.
Before it is refreshed it knows of no file, and its date keeps git from reading some of them twice.
What the agent has closed is opened, and where attributes name an encoding that a file is not in, over which
git gives up, files are taken as they lie there. Of a commit alone, `pack-objects` leaves nothing out here: it
looks at trees only where commits lead to them.
"""

MODULE = b"160000"


class Pack(NamedTuple):
    """The tree of the files as they lie there, its objects, and what was not even looked at."""

    tree: str
    data: bytes
    skipped: tuple[str, ...]


def look(
    store: Store,
    sandbox: Sandbox,
    path: Path,
    parent: str,
    box: Path,
    made: Sequence[str],
    names: Sequence[str] = ALL,
) -> Pack:
    """The files of a workspace as a tree and a pack, made inside the sandbox.

    Git runs there with a folder and an index of ours in `box`: what the agent wrote into the clone's `.git`
    is never read. Repositories inside the workspace and huge files are passed over. Records of other tasks
    than `names` are not missed. Raises Refused for too much of it.
    """
    git = box / "git"
    clones.make_git(git, store, config=clones.SPARSE)
    clones.write_excludes(git, made)
    index = {"GIT_INDEX_FILE": str(box / "index")}
    listed = clones.bare(git, store).run("ls-tree", "-r", "-z", parent).split(b"\0")
    gone = [b"0" + line.removeprefix(MODULE) for line in listed if line.startswith(MODULE)]
    (box / "modules").write_bytes(terminated(gone))
    (box / "far").write_bytes(terminated(_far(store, listed, names)))
    own = {"GIT_DIR": str(git), "GIT_WORK_TREE": str(path), "BOX": str(box), "PARENT": parent, **index}
    inside = clones.inside(sandbox, store, path, box, own | {"NAMED": _NAMED, "LARGEST": str(LARGEST)})
    tree = inside.script(_TAKE).rpartition("\n")[2]
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", tree):
        raise AgentOSError(f"git write-tree in {path} said {tree[:80]!r}.")
    return Pack(tree, _read_pack(box), (*_passed_over(box), *_refused(box)))


def _far(store: Store, listed: Iterable[bytes], names: Sequence[str]) -> list[bytes]:
    """Of the lines of a tree, the paths that are not checked out."""
    if names == ALL:
        return []
    is_far = near.is_far(store.prefix, names)
    paths = (line.partition(b"\t")[2] for line in listed)
    return [path for path in paths if is_far(os.fsdecode(path))]


def terminated(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\0" for line in lines)


def _passed_over(box: Path) -> list[str]:
    """The folders with a repository of their own, and the files too large, that `add` was told to leave."""
    spec = _read(box / "spec", MOST_NAMES)
    if len(spec) > MOST_NAMES:
        raise Refused("The workspace has more repositories and huge files in it than can be told.")
    why = f"a repository of its own, or larger than {LARGEST >> 20} MiB"
    names = [line.partition(b")")[2].removeprefix(b"./") for line in spec.split(b"\0")[1:-1]]
    return [f"{os.fsdecode(name)}: {why}" for name in names]


def _refused(box: Path) -> list[str]:
    """Git's words about names that it never takes, such as `git~1`; each leaves out that file alone."""
    said = _read(box / "refused", MOST_NAMES).decode(errors="replace").splitlines()
    found = [text for text in said if text.startswith("error: invalid path")]
    return [text.removeprefix("error: ") for text in found[:MOST_REFUSED]]


def _read_pack(box: Path) -> bytes:
    """The pack that git left, if any. Raises Refused for one too large."""
    found = sorted(box.glob("out-*.pack"))
    data = _read(found[0], MOST_PACKED) if found else b""
    if len(data) > MOST_PACKED:
        raise Refused(f"More than {MOST_PACKED >> 20} MiB would be handed in; make the task smaller.")
    return data


def _read(path: Path, most: int) -> bytes:
    """A file that was written in the sandbox, if it is one and no link, up to a byte more than `most`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    except OSError:
        raise Refused(f"{path.name} is no file.") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(f"{path.name} is no file.")
        return file.read(most + 1)

"""Setting a clone up: the repository itself, and what is recorded for this clone alone.

The one place where GitPython is used: it makes repositories. Everything after that goes through
`agentos.store.git`, one process a question.
"""

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from agentos.errors import Invalid, NotFound, Usage
from agentos.model.records import BRANCH, NAME
from agentos.store import git, refs, worktree
from agentos.store.git import Git
from agentos.store.objects import write_durably
from agentos.store.repository import Clock, Store, identity, person, read_local


def ensure_repository(folder: Path, env: Mapping[str, str]) -> tuple[Git, bool]:
    """The repository around `folder`, made if there is none; gives whether it was."""
    try:
        return git.find(folder, env), False
    except NotFound:
        pass
    import git as gitpython

    folder.mkdir(parents=True, exist_ok=True)
    gitpython.Repo.init(folder, initial_branch="main").close()
    return git.find(folder, env), True


def set_up(
    folder: Path,
    env: Mapping[str, str],
    clock: Clock,
    branch: str | None = None,
    called: str | None = None,
) -> tuple[Store, bool]:
    """Record branch, place and person for this clone; gives the store, and whether it has a board already.

    `called` is the person's short name. Raises Usage for a detached head without `branch`, Conflict while
    git is in the middle of something.
    """
    found, _ = ensure_repository(folder, env)
    assert found.work_tree is not None
    worktree.require_quiet(found.git_dir)
    local = read_local(found.common_dir)
    branch = branch or local.get("branch") or refs.current_branch(found)
    if branch is None:
        raise Usage("HEAD is detached. Say which branch the board shall live on: agentos init --branch main")
    if not re.fullmatch(BRANCH, branch):
        raise Usage(f"{branch!r} can't be the board's branch: letters, digits, - _ . / only.")
    _fetch_branch(found, branch)
    full, email = identity(found)
    prefix = _prefix(folder.resolve(), found.work_tree.resolve(), local)
    store = Store(found, prefix, branch, clock)
    has_board = bool(store.board().config.fields()) or _has_tasks(store)
    known = store.board().config.people
    name = called or next((who for who, p in known.items() if p.email == email), None)
    name = name or local.get("person") or person(full, email).name
    if not re.fullmatch(NAME, name):
        raise Usage(f"{name!r} can't be a name here: lower-case letters, digits, - and _ only.")
    record = {"branch": branch, "prefix": prefix, "name": full, "email": email, "person": name}
    store.local.mkdir(parents=True, exist_ok=True)
    partial = store.local / "clone.new"
    write_durably(partial, (json.dumps(record, indent=2) + "\n").encode())
    partial.replace(store.local / "clone.json")
    install_driver(found)
    return Store(found, prefix, branch, clock, record), has_board


def _fetch_branch(found: Git, branch: str) -> None:
    """A local branch for one that only a remote has, so that its board is found and no second one begun."""
    if found.run("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}"):
        return
    remotes = found.text("for-each-ref", "--format=%(refname:lstrip=2)", f"refs/remotes/*/{branch}").split()
    if remotes and refs.current_branch(found) != branch:
        found.run("branch", "--track", branch, remotes[0])


def install_driver(found: Git) -> None:
    """Tell git how to merge records; `.gitattributes` names the driver, each clone says what it is."""
    found.run("config", "merge.agentos.name", "AgentOS records, field by field")
    found.run("config", "merge.agentos.driver", _driver())


def has_driver(found: Git) -> bool:
    """Whether this clone's git knows the driver, with the Python that runs here."""
    return found.text("config", "merge.agentos.driver", ok=(0, 1)) == _driver()


def _driver() -> str:
    return f"{shlex.quote(sys.executable)} -m agentos.store.driver %O %A %B %P"


def _has_tasks(store: Store) -> bool:
    head = store.refs().head
    if head is None:
        return False
    listed = store.git.run("ls-tree", "-z", "--full-tree", head, "--", f"{store.prefix}board/tasks")
    return bool(listed)


def _prefix(folder: Path, top: Path, local: Mapping[str, str]) -> str:
    """Where the board is, or shall be: the nearest folder with `board/tasks`, else this one."""
    for place in (folder, *folder.parents):
        if (place / "board" / "tasks").is_dir():
            folder = place
            break
        if place == top:
            if "prefix" in local:
                return local["prefix"]
            break
    try:
        inner = folder.relative_to(top).as_posix()
    except ValueError:
        raise Invalid(f"{folder} is outside the repository at {top}.") from None
    return "" if inner == "." else inner + "/"

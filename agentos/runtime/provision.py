"""Setting a workspace up: a person's commands, run once for as long as the files they follow are the same."""

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentos.errors import AgentOSError, Invalid
from agentos.model.records import WorkspaceSettings
from agentos.runtime import clones
from agentos.runtime.clones import PLAIN, Clone, Start
from agentos.runtime.sandbox import Cell, Ended, Sandbox
from agentos.store.objects import Objects
from agentos.store.repository import Store

TIME = 1800.0
"""Seconds that one command of the set-up may take."""

MOST_NAMES = 16 << 20
KEPT = 5
"""Set-ups kept for other tasks."""

OTHERS = ("ls-files", "-z", "--others", "--directory")
SUBMODULES = ("git", "submodule", "update", "--init", "--recursive")
LFS = (("git", "lfs", "install", "--local"), ("git", "lfs", "pull"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run, and a name for what comes of it.

    `is_shared`: the files are those of the board's branch, which people let in; only then may what comes of
    it serve other tasks.
    """

    commands: tuple[tuple[str, ...], ...]
    network: tuple[str, ...]
    key: str
    is_shared: bool


def plan(store: Store, settings: WorkspaceSettings, start: Start, sandbox: Sandbox) -> Plan:
    """What this workspace needs; `key` changes with the commands and the content of the `locks` files."""
    commands = tuple(tuple(shlex.split(line) if isinstance(line, str) else line) for line in settings.setup)
    objects = Objects(store.git)
    try:
        locks = {name: objects.find(start.tree, name) for name in settings.locks}
    finally:
        objects.close()
    more = (*((SUBMODULES,) if settings.submodules else ()), *(LFS if settings.lfs else ()))
    about = json.dumps([commands, more, locks, sandbox.name], sort_keys=True)
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    is_shared = start.tree == start.base and not more and sandbox.name != "off"
    return Plan((*more, *commands), settings.network, key, is_shared)


def is_done(store: Store, task: str, plan: Plan) -> bool:
    return not plan.commands or _noted(store, task).get("key") == plan.key


def made(store: Store, task: str) -> tuple[str, ...]:
    """What the set-up made and git would take for work, as patterns."""
    return tuple(_noted(store, task).get("made", ()))


def forget(store: Store, task: str) -> None:
    """Drop what is known of a task's workspace and its set-up, its output included."""
    for file in (_note(store, task), store.local / "setups" / f"{task}.log", index(store, task)):
        file.unlink(missing_ok=True)


def index(store: Store, task: str) -> Path:
    """Where git's index of a task's workspace is kept; no command of an agent can reach it."""
    return store.local / "setups" / f"{task}.index"


def mounts(settings: WorkspaceSettings) -> tuple[Path, ...]:
    """The folders that a person lets agents read. Raises Invalid for one that is not there."""
    for name in settings.mounts:
        if not name.startswith("/") or not Path(name).exists():
            raise Invalid(f"board/config.yml: workspace: mounts: {name!r} is not here, or no absolute path.")
    return tuple(Path(name) for name in settings.mounts)


def set_up(clone: Clone, task: str, plan: Plan) -> None:
    """Run the commands, or unpack what another task's run of them came to.

    What they make is not taken for work, and what they do to files that git follows is undone. Raises
    AgentOSError, with where the output is, for a command that fails.
    """
    if not plan.commands:
        return
    with _home(clone, plan) as home:
        env = {name: value for name, value in PLAIN.items() if name != "PATH"}
        cell = Cell(clone.path, home, clone.reads, env, plan.network)
        if not (plan.is_shared and _is_unpacked(clone, cell, _tar(clone.store, plan))):
            _run_all(clone, cell, plan, clone.store.local / "setups" / f"{task}.log")
            if plan.is_shared:
                _keep(clone, cell, plan, task)
    with clone.git() as inside:
        listed = inside.run(*OTHERS, "--exclude-standard", limit=MOST_NAMES)
    patterns = [_pattern(name) for name in listed.split(b"\0") if name and b"\n" not in name]
    clone.restore(patterns)
    note = _note(clone.store, task)
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_text(json.dumps({"key": plan.key, "made": patterns}))


def _is_unpacked(clone: Clone, cell: Cell, tar: Path) -> bool:
    """Unpack what another task's run of the set-up came to; False where there is none, or none any more."""
    if not tar.is_file():
        return False
    try:
        _run(clone, replace(cell, reads=(*cell.reads, tar)), ["tar", "-xf", str(tar), "-C", "."])
    except AgentOSError:
        if tar.is_file():
            raise
        return False
    return True


@contextmanager
def _home(clone: Clone, plan: Plan) -> Iterator[Path]:
    """A home for the set-up: never an agent's, which may be logged in somewhere; a lasting one where the
    files come from people, so that downloads are kept."""
    if plan.is_shared:
        lasting = clone.store.local / "homes" / ".setup"
        lasting.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield lasting
    else:
        with clones.box(clone.store) as home:
            yield home


def _run_all(clone: Clone, cell: Cell, plan: Plan, log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("wb") as file:

        def note(data: bytes) -> None:
            file.write(data)

        for argv in plan.commands:
            note(f"$ {shlex.join(argv)}\n".encode(errors="replace"))
            ended = clone.sandbox.run(argv, cell, timeout=TIME, on_output=note)
            if ended.code != 0:
                what = f"The set-up of the workspace failed at `{shlex.join(argv)}`"
                raise AgentOSError(f"{what}: {_said(ended)} (all of it: {log})")


def _run(clone: Clone, cell: Cell, argv: Sequence[str], stdin: bytes = b"") -> None:
    ended = clone.sandbox.run(argv, cell, timeout=TIME, stdin=stdin)
    if ended.code != 0:
        raise AgentOSError(f"{shlex.join(argv)}: {_said(ended)}")


def _said(ended: Ended) -> str:
    """How it ended, in a line."""
    lines = ended.output.decode(errors="replace").strip().splitlines()
    return ended.stopped or f"it left with {ended.code}{': ' + lines[-1][:200] if lines else ''}"


def _keep(clone: Clone, cell: Cell, plan: Plan, task: str) -> None:
    """Pack what was made, for the next task with the same files; the oldest of those kept goes.

    Two tasks may come here at once, in the same home: each packs under its own name.
    """
    with clone.git() as inside:
        names = inside.run(*OTHERS, limit=MOST_NAMES)
    made = cell.home / f"{plan.key}-{task}.tar"
    _run(clone, cell, ["tar", "-cf", str(made), "--null", "-T", "-"], names)
    if made.is_symlink() or not made.is_file():
        raise AgentOSError(f"{made} is no file; the set-up has put something else there.")
    made.replace(_tar(clone.store, plan))
    for old in _tars(clone.store)[:-KEPT]:
        old.unlink(missing_ok=True)


def _tars(store: Store) -> list[Path]:
    """The set-ups that are kept, the oldest first; others may remove some meanwhile."""
    found = []
    with suppress(FileNotFoundError), os.scandir(store.local / "setups") as listed:
        for entry in listed:
            with suppress(FileNotFoundError):
                if entry.name.endswith(".tar"):
                    found.append((entry.stat().st_mtime, Path(entry.path)))
    return [file for _, file in sorted(found)]


def _tar(store: Store, plan: Plan) -> Path:
    return store.local / "setups" / f"{plan.key}.tar"


def _note(store: Store, task: str) -> Path:
    return store.local / "setups" / f"{task}.json"


def _noted(store: Store, task: str) -> dict[str, Any]:
    try:
        found = json.loads(_note(store, task).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _pattern(name: bytes) -> str:
    """A path as `.gitignore` takes it, from the top, nothing in it special."""
    return "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", os.fsdecode(name))

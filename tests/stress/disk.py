"""A disk that is full, read-only, forbidden or broken, at each call of a command that changes a file.

The size is how many calls are tried of each command and each error at most, spread at random; 0 is all of them.
A full or read-only disk stays so from that call on, a broken one fails once. The command says in one line what is
wrong and leaves with 1, or has done all of it; what it was to do is done afterwards, once, and nothing else.
"""

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import ground
from conftest import Scratch
from faults import Ended, Faults, prepared
from ground import TECHNICAL, Run

from agentos.actions import tasks
from agentos.cli import main as cli

FIRST = "board/tasks/TASK-001-first.md"


class Wrong(NamedTuple):
    """One way in which a disk fails: whether it stays so, and the words that the message must have."""

    number: int
    stays: bool
    words: str


ERRORS = {
    "full": Wrong(errno.ENOSPC, True, "no space left"),
    "read-only": Wrong(errno.EROFS, True, "read-only"),
    "forbidden": Wrong(errno.EACCES, True, "permission denied"),
    "broken": Wrong(errno.EIO, False, "input/output error"),
}


class Command(NamedTuple):
    """A command, what a person does before it, and the subjects of the commits it makes, oldest first."""

    words: tuple[str, ...]
    subjects: tuple[str, ...]
    before: Callable[[Scratch], object] = lambda scratch: None


def append(scratch: Scratch) -> None:
    scratch.write(FIRST, scratch.read(FIRST) + "\nWritten by hand.\n")


COMMANDS = {
    "add": Command(("task", "add", "Third"), ("TASK-003-third: created",)),
    "edit": Command(("task", "edit", "2", "--priority", "1"), ("TASK-002-second: priority 3 → 1",)),
    "hand edit": Command(
        ("task", "edit", "2", "--priority", "1"),
        ("TASK-001-first: text edited", "TASK-002-second: priority 3 → 1"),
        append,
    ),
}


def do(words: tuple[str, ...]) -> None:
    """The command, as the command line runs it."""
    sys.argv[1:] = words
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cli.run()


def subjects(scratch: Scratch, base: str) -> list[str]:
    return scratch.git("log", "--reverse", "--format=%s", f"{base}..").splitlines()


def check(scratch: Scratch, command: Command, base: str, wrong: Wrong, ended: Ended) -> None:
    """Raises AssertionError where a promise is broken."""
    wanted, found = list(command.subjects), subjects(scratch, base)
    assert ended.code in (0, 1), f"it left with {ended.code}: {ended.said}"
    assert found == wanted[: len(found)], f"commits {found}"
    if ended.code:
        *adopted, error = ended.said.splitlines()
        lines = [*adopted, error]
        said = [line.removesuffix("  (by hand)") for line in adopted]
        theirs = [subject for subject in found[: len(wanted) - 1] if f"{subject} is committed" not in error]
        assert said == theirs, f"it said {lines}, and the commits are {found}"
        assert error.startswith("error: "), f"it said {lines}"
        assert wrong.words in error.lower() or error.startswith("error: git "), f"it said {lines}"
        is_said = f"{wanted[-1]} is committed" in error
        assert is_said == (found == wanted), f"it said {lines}, and the commits are {found}"
    else:
        assert found == wanted, "acknowledged, and lost"
    scratch.act(lambda draft: None, TECHNICAL)
    if subjects(scratch, base) != wanted:
        scratch.act(lambda draft: redo(draft, command))
    assert subjects(scratch, base) == wanted, f"commits in the end {subjects(scratch, base)}"
    status = scratch.git("status", "--porcelain", "-uall")
    assert status == "", f"git status says {status!r}"
    scratch.git("fsck", "--strict")


def redo(draft: object, command: Command) -> None:
    if command.words[1] == "add":
        tasks.add(draft, "Third")  # type: ignore[arg-type]
    else:
        tasks.edit(draft, "2", {"priority": 1})  # type: ignore[arg-type]


def fail_each(run: Run, faults: Faults, place: Path, name: str, most: int) -> None:
    """Every call of one command with every error, or so many of them."""
    command = COMMANDS[name]
    home = ground.copy(place, name)
    home.act(lambda d: (tasks.add(d, "First"), tasks.add(d, "Second")))
    base = home.git("rev-parse", "HEAD").strip()
    command.before(home)
    time.sleep(0.05)

    def once(kind: str, at: int) -> int:
        scratch, wrong = ground.copy(place, "copy", name), ERRORS[kind]
        ended = faults.run(scratch, lambda: do(command.words), at, wrong.number, sticky=wrong.stays)
        try:
            check(scratch, command, base, wrong, ended)
        except Exception as error:
            run.require(False, f"{name}, {kind} at call {at}: {error}")
        run.count(f"left with {ended.code}")
        ground.remove(scratch)
        return ended.calls

    calls = once("full", 0)
    for kind in ERRORS:
        for at in sorted(run.chance.sample(range(1, calls + 1), min(most or calls, calls))):
            once(kind, at)
            run.count("faults")


def main() -> None:
    run = Run("disk")
    with ground.folder() as place:
        faults = prepared(place)
        for name in COMMANDS if faults else ():
            assert faults
            fail_each(run, faults, place, name, ground.size(0))
    run.end()


if __name__ == "__main__":
    main()

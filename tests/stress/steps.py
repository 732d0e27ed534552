"""A transaction killed at each step of its own: at every call that changes a file, ours or git's.

The size is how many steps are tried of each scenario at most, spread at random; 0 is all of them. At a step the
process alone is killed, or all of its group, git with it; a write that is the last is torn in the middle.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import ground
from conftest import Scratch
from faults import KILL, KILL_GROUP, Ended, Faults, prepared
from ground import TECHNICAL, Run

from agentos.actions import messages, tasks
from agentos.store import claims
from agentos.store.draft import Draft
from agentos.store.refs import Claim

SECOND = "board/tasks/TASK-002-second.md"
CLAIM = Claim("TASK-002-second", "technical", "run", "2999-01-01T00:00:00Z")


class Scenario(NamedTuple):
    """What is there before, what is done, and how it shows in the tree of the head: all of it, or nothing."""

    before: Callable[[Scratch], object]
    work: Callable[[Draft], object]
    signs: tuple[str, ...]
    by_hand: tuple[str, ...] = ()
    """The subjects of the commits that are the person's."""


def edit(draft: Draft) -> None:
    tasks.edit(draft, "2", {"priority": 1})
    messages.add(draft, "2", "Hello")
    tasks.add(draft, "Fresh")


def settle(draft: Draft) -> None:
    tasks.add(draft, "Fresh")
    draft.release(CLAIM.task)


def append(scratch: Scratch) -> None:
    scratch.write(SECOND, scratch.read(SECOND) + "\nWritten by hand.\n")


def page(scratch: Scratch) -> None:
    scratch.write("WORKING.md", scratch.read("WORKING.md").replace("### INBOX\n", "### INBOX\n- By hand\n"))


def stage(scratch: Scratch) -> None:
    scratch.write(SECOND, scratch.read(SECOND).replace("title: Second", "title: A second"))
    scratch.git("add", SECOND)


FRESH = ("board/tasks/TASK-003-fresh.md:title: Fresh", f"{SECOND}:priority: 1")
SCENARIOS = {
    "edit": Scenario(lambda s: None, edit, FRESH),
    "archive": Scenario(
        lambda s: None,
        lambda d: tasks.archive(d, ["1"]),
        ("board/archive/00xx/TASK-001-first.md:title: First",),
    ),
    "hand edit": Scenario(append, edit, FRESH, ("TASK-002-second: text edited",)),
    "page": Scenario(
        page, lambda d: tasks.edit(d, "2", {"priority": 1}), FRESH[1:], ("TASK-003-by-hand: created",)
    ),
    "staged": Scenario(stage, edit, FRESH),
    "settle": Scenario(lambda s: claims.take(s.store, CLAIM), settle, FRESH[:1]),
}


def is_done(scratch: Scratch, scenario: Scenario) -> bool:
    """Whether the head has all of it. Raises AssertionError where it has some."""
    found = [
        line in scratch.git("show", f"HEAD:{path}", check=False).splitlines()
        for path, line in (sign.split(":", 1) for sign in scenario.signs)
    ]
    assert len(set(found)) == 1, f"half done: {found}"
    return found[0]


def check(scratch: Scratch, scenario: Scenario, base: str, status: str, ended: Ended) -> None:
    """Raises AssertionError where the next transaction does not find everything in order."""
    assert ended.code in (0, -9) or "killed (signal 9)" in ended.said, (
        f"it left with {ended.code}: {ended.said}"
    )
    scratch.act(lambda draft: None, TECHNICAL)
    assert ended.code or is_done(scratch, scenario), "acknowledged, and lost"
    found = scratch.git("status", "--porcelain", "-uall")
    assert found == status, f"git status says {found!r}"
    by_hand = scratch.git("log", "--format=%s", "--author=Ada", f"{base}..").splitlines()
    assert by_hand == list(scenario.by_hand), f"commits in the person's name: {by_hand}"
    is_held = CLAIM.ref in scratch.git("for-each-ref")
    assert is_held == (scenario.work is settle and not is_done(scratch, scenario)), f"the claim: {is_held}"
    left = [path.name for path in (scratch.root / ".git").rglob("*") if path.name.endswith((".lock", ".new"))]
    assert set(left) <= {"journal.new"}, f"{left} are left"
    if not is_done(scratch, scenario):
        scratch.act(scenario.work, TECHNICAL)
        assert is_done(scratch, scenario), "the next one does nothing"
        assert scratch.git("status", "--porcelain", "-uall") == status, "after the next one"
    scratch.git("fsck", "--strict")


def kill_each(run: Run, faults: Faults, place: Path, name: str, most: int) -> None:
    """Every step of one scenario, or so many of them."""
    scenario = SCENARIOS[name]
    home = ground.copy(place, name)
    home.act(lambda d: (tasks.add(d, "First"), tasks.move(d, "1", "done"), tasks.add(d, "Second")))
    home.write("staged.txt", "one\n")
    home.git("add", "staged.txt")
    home.write("untracked.txt", "two\n")
    base = home.git("rev-parse", "HEAD").strip()
    scenario.before(home)
    time.sleep(0.05)

    def once(at: int, act: int) -> int:
        scratch = ground.copy(place, "copy", name)
        ended = faults.run(scratch, lambda: scratch.act(scenario.work, TECHNICAL), at, act)
        status = home.git("status", "--porcelain", "-uall")
        if scenario.by_hand:
            status = "".join(line for line in status.splitlines(keepends=True) if not line.startswith(" M"))
        try:
            check(scratch, scenario, base, status, ended)
        except Exception as error:
            run.require(False, f"{name}, step {at}{' with its group' if act == KILL_GROUP else ''}: {error}")
        ground.remove(scratch)
        return ended.calls

    calls = once(0, 0)
    steps = (
        range(1, calls + 1) if not most else sorted(run.chance.sample(range(1, calls + 1), min(most, calls)))
    )
    for at in steps:
        for act in (KILL, KILL_GROUP) if not most else (run.chance.choice((KILL, KILL_GROUP)),):
            once(at, act)
            run.count("kills")
    run.count("steps", calls)


def main() -> None:
    run = Run("steps")
    with ground.folder() as place:
        faults = prepared(place)
        for name in SCENARIOS if faults else ():
            assert faults
            kill_each(run, faults, place, name, ground.size(0))
    run.end()


if __name__ == "__main__":
    main()

"""`kill -9` at random moments of runs that do real work: each is gone on with, and nothing is done twice.

    python tests/stress/runs.py [KILLS]

One agent, one task, and a command that does four steps, each of them only where it is not done yet. The run
alone is killed, or with it the tick and all that it started. Then ticks go on until the task is handed in.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ground
from conftest import Scratch
from ground import Run

from agentos.actions import tasks
from agentos.model.words import Status
from agentos.runtime.ledger import Ledger
from agentos.store import runs

AGENTOS = str(Path(sys.executable).with_name("agentos"))
STEPS, TOKENS, MOST_TICKS = 4, 11, 6
OFTEN = 0.995
"""How likely it is that the kill waits for a run to begin, at each look."""

LONGEST = 0.9
"""Seconds after which the kill then comes at the latest; a run takes about as long."""

SCRIPT = """
for n in $(seq %d); do
  grep -qx "step $n" work.txt 2>/dev/null || echo "step $n" >> work.txt
  sleep 0.05
done
echo '{"type": "result", "result": "All steps are done.", "usage": {"input_tokens": %d, "output_tokens": 0}}'
"""


def furnish(scratch: Scratch) -> None:
    """A task for an agent whose command does the steps; nobody else is at work."""
    line = ["sh", "-c", SCRIPT % (STEPS, TOKENS)]
    given = {"technical": {"runner": "command", "command": line}, "qa": {"paused": True}}

    def decide(draft: Any) -> None:
        tasks.add(draft, "The work", assignees=["technical"])
        for name, settings in given.items():
            agent = draft.board.agents[name]
            draft.put(
                agent.replace(agentos=agent.agentos.model_dump(mode="json", exclude_unset=True) | settings)
            )

    scratch.act(decide)


def processes(root: Path) -> Iterator[int]:
    """Everything that runs in this repository."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(root):
                yield int(entry.name)


def survivors(root: Path) -> list[str]:
    """What still runs in this repository once all had a few seconds to end."""
    until = time.monotonic() + 5
    while (alive := list(processes(root))) and time.monotonic() < until:
        time.sleep(0.05)
    found = []
    for pid in alive:
        with suppress(OSError):
            found.append(
                Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
    return found


def kill_once(run: Run, scratch: Scratch) -> None:
    """Start a tick, wait a random while, and kill the run or everything; says which it was."""
    with subprocess.Popen(
        [AGENTOS, "tick", "--force", "--quiet"],
        cwd=scratch.root,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as tick:
        while run.chance.random() < OFTEN and tick.poll() is None and not scratch.store.claims():
            time.sleep(0.01)
        time.sleep(run.chance.random() * LONGEST)
        claims = scratch.store.claims()
        is_alone = run.chance.random() < 0.5
        killed = [claim.pid for claim in claims] if is_alone else list(processes(scratch.root))
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.count(("runs killed" if is_alone else "everything killed") if claims else "killed without a run")
        tick.wait()


def finish(scratch: Scratch) -> int:
    """Tick once, and until the task is handed in; gives how many ticks that took."""
    for number in range(1, MOST_TICKS):
        subprocess.run([AGENTOS, "tick", "--force", "--quiet"], cwd=scratch.root, check=False)
        if scratch.store.board().task("1").status is Status.REVIEW and not scratch.store.claims():
            return number
    return MOST_TICKS


def check(run: Run, scratch: Scratch, number: int, before: str) -> None:
    """What is promised of a run that was killed."""
    said, require = f"kill {number}", run.require
    board = scratch.store.board()
    task = board.task("1")
    require(task.status is Status.REVIEW and not task.blocked, f"{said}: {task.status}, {task.blocked!r}")
    made = scratch.git("show", f"agentos/{task.id}:work.txt", check=False).splitlines()
    require(made == [f"step {n + 1}" for n in range(STEPS)], f"{said}: the work is {made}")
    found = [each for each in runs.of_task(scratch.store, task) if each.run]
    require(len({each.run for each in found}) == len(found), f"{said}: a run settled twice: {found}")
    good = [each for each in found if not each.failure]
    require(len(good) == 1 and good[0].tokens == TOKENS, f"{said}: settled runs are {good}")
    lost = [each for each in found if each.failure]
    require(len(lost) <= 1 and all(each.failure == "lost" for each in lost), f"{said}: failures are {lost}")
    run.count("settled as lost", len(lost))
    run.count("gone on with from what was saved", bool(scratch.git("for-each-ref", "refs/agentos/salvage")))
    commits = scratch.git("rev-list", "--count", f"main..agentos/{task.id}").strip()
    require(commits == "1", f"{said}: {commits} commits on the branch")
    require(not scratch.store.claims() and not Ledger(scratch.store.local).is_open(), f"{said}: still held")
    alive = survivors(scratch.root)
    require(not alive, f"{said}: still alive are {alive}")
    left = sorted(path.name for path in (scratch.store.local / "handing").glob("*"))
    require(left == [], f"{said}: {left} are left in .git/agentos/handing")
    status = scratch.git("status", "--porcelain")
    require(status == before, f"{said}: git status says {status!r}")
    fsck = scratch.git("fsck", "--strict", "--no-dangling")
    require(not fsck, f"{said}: git fsck: {fsck}")


def main() -> None:
    run = Run("runs")
    with ground.folder() as place:
        first = ground.copy(place, "first")
        furnish(first)
        for number in range(ground.size(200)):
            scratch = ground.copy(place, f"copy-{number}", "first")
            before = scratch.git("status", "--porcelain")
            kill_once(run, scratch)
            ticks = finish(scratch)
            run.figures["ticks at most"] = max(ticks, int(str(run.figures.get("ticks at most", 0))))
            check(run, scratch, number, before)
            run.count("kills")
            shutil.rmtree(scratch.root)
    run.end()


if __name__ == "__main__":
    main()

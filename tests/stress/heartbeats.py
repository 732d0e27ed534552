"""Many heartbeats of a simulated team: what each costs on disk, and whether ticks and logs stay as fast.

    python tests/stress/heartbeats.py [HEARTBEATS]

1,000 tasks, all done but a few; done ones are reopened as the team gets through. CPU counts children and is
the median of the first and the last tenth of the ticks, so only the ratio says anything.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import ground
from conftest import Scratch

from agentos.actions import pages, tasks
from agentos.model.records import Task
from agentos.orchestrator import tick as ticking
from agentos.store import codec, packing

FULL, TASKS, FEW_TASKS = 10_000, 1_000, 60
MEASURED = 1_000
"""Heartbeats from which on the figures say something."""

BYTES, LOOSE_MB, SLOWER_TICK, SLOWER_LOG = 3_000, 100, 1.2, 5
"""The promises: bytes a heartbeat once packed, loose objects at any time, and ratios of CPU."""

OPTIONS = ticking.Options(jobs=1, force=True)


def furnish(scratch: Scratch, count: int) -> None:
    """Done tasks, committed by the person and packed by git."""
    for number in range(1, count + 1):
        path = f"board/tasks/TASK-{number:03d}-part-{number}.md"
        fields = {"title": f"Part {number}", "status": "done", "resolution": "completed"}
        (scratch.root / path).write_bytes(codec.new_file(Task.at(path, fields), "What is to be done.\n" * 5))
    scratch.git("add", "board")
    scratch.git("commit", "-qm", "tasks")
    pages.restore(scratch.store, scratch.store.person())
    scratch.git("repack", "-adq")


def feed(run: ground.Run, scratch: Scratch, few: int) -> None:
    """Reopen some tasks, where the team is running out of them."""
    board = scratch.store.board()
    if len(board.open_tasks) < few:
        done = sorted(task.id for task in board.tasks.values() if not task.is_open)
        chosen = run.chance.sample(done, 3 * few)
        scratch.act(lambda draft: [tasks.move(draft, name, "inbox") for name in chosen])
        run.count("feedings")


def used() -> float:
    """CPU seconds so far, children included."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def sizes(scratch: Scratch) -> tuple[int, int]:
    """Bytes of packs with their indexes, and of loose objects."""
    objects = scratch.root / ".git/objects"
    packed = sum(file.stat().st_size for file in (objects / "pack").iterdir())
    return packed, sum(file.stat().st_size for file in objects.glob("[0-9a-f][0-9a-f]/*"))


def log_time(scratch: Scratch, ref: str) -> float:
    """CPU seconds of `agentos log` for one task: the median of five processes."""
    spent = []
    for _ in range(5):
        begun = used()
        agentos = Path(sys.executable).with_name("agentos")
        subprocess.run([agentos, "log", ref], cwd=scratch.root, check=True, capture_output=True)
        spent.append(used() - begun)
    return statistics.median(spent)


def work(run: ground.Run, scratch: Scratch, beats: int) -> list[float]:
    """Tick until so many heartbeats have settled; gives the CPU seconds of each tick that woke somebody."""
    spent: list[float] = []
    most, settled, idle = 0, 0, 0
    while settled < beats and idle < 3:
        feed(run, scratch, 8)
        scratch.clock.forward(minutes=1)
        begun = used()
        report = ticking.tick(scratch.store, OPTIONS)
        run.require(not report.notes, f"a tick said {report.notes}")
        failed = [beat for beat in report.beats if beat.outcome == "failed"]
        run.require(not failed, f"heartbeats failed: {failed}")
        settled += sum(beat.outcome == "settled" for beat in report.beats)
        idle = idle + 1 if report.is_idle else 0
        if report.beats:
            spent.append((used() - begun) / len(report.beats))
        if len(spent) % 50 == 1:
            most = max(most, sizes(scratch)[1])
            print(f"{settled} of {beats}", end="\r", flush=True, file=sys.stderr)
    run.require(settled >= beats, f"only {settled} heartbeats; the team has nothing to do")
    run.figures |= {"heartbeats": settled, "loose MB at most": round(most / 1e6, 1)}
    run.require(most <= LOOSE_MB * 1e6, f"loose objects reach {most / 1e6:.0f} MB")
    return spent


def check(run: ground.Run, scratch: Scratch) -> None:
    """Everything is there, once."""
    found = scratch.git("fsck", "--strict", "--no-dangling")
    run.require(not found, f"git fsck: {found}")
    runs = Counter(filter(None, scratch.git("log", "--format=%(trailers:key=Run,valueonly)").splitlines()))
    run.require(max(runs.values()) == 1, "a run settled twice")
    run.require(not scratch.store.claims(), "a claim is left")
    run.require(scratch.git("status", "--porcelain") == "", "git status is not clean")


def main() -> None:
    beats = ground.size(FULL)
    run = ground.Run("heartbeats")
    with ground.folder() as place:
        fresh, scratch = ground.copy(place, "fresh"), ground.copy(place, "board")
        fresh.act(lambda draft: tasks.add(draft, "Part 1"))
        furnish(scratch, TASKS if beats >= MEASURED else FEW_TASKS)
        before = sum(sizes(scratch))
        begun = time.monotonic()
        spent = work(run, scratch, beats)
        run.figures["ms a heartbeat"] = round(1000 * (time.monotonic() - begun) / beats)
        packing.tidy(scratch.store, every=1)
        packed, loose = sizes(scratch)
        each = (packed + loose - before) / int(str(run.figures["heartbeats"]))
        window = max(1, len(spent) // 10)
        slower = statistics.median(spent[-window:]) / statistics.median(spent[:window])
        names = scratch.git("log", "--format=%(trailers:key=Task,valueonly)").split()
        busiest = Counter(names).most_common(1)[0][0]
        log = log_time(scratch, busiest) / log_time(fresh, "1")
        run.figures |= {
            "bytes a heartbeat": round(each),
            "packs": len(list((scratch.root / ".git/objects/pack").glob("*.pack"))),
            "loose KB left": loose // 1000,
            "tick at the end to its start": round(slower, 2),
            "log of a task to one on a fresh board": round(log, 2),
        }
        if beats >= MEASURED:
            run.require(each <= BYTES, f"a heartbeat takes {each:.0f} bytes")
            run.require(slower <= SLOWER_TICK, f"a tick became {slower:.2f} times slower")
            run.require(log <= SLOWER_LOG, f"the log of a task takes {log:.1f} times that of a fresh board")
        check(run, scratch)
    run.end()


if __name__ == "__main__":
    main()

"""Many at once: a person who commits without pause, races for claims, ticks side by side.

Eight writers, a committing person and two editors: tests/stress/writers.py.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from conftest import Scratch
from stress.ground import commit_by_hand

from agentos.actions import tasks

ROUNDS = int(os.environ.get("AGENTOS_ROUNDS", "10"))
RACERS = 20
PRELUDE = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from agentos.actions import messages, tasks
from agentos.model.activity import Actor
from agentos.store import claims
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.transaction import transact
store = Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
"""

WRITER = """
me, count = sys.argv[1], int(sys.argv[2])
by = Actor(me, is_agent=True)
for i in range(count):
    if i % 3 == 2:
        done = transact(store, lambda d: messages.add(d, "1", f"{me} said {i}"), by)
        print("message", done.value.path, flush=True)
    else:
        done = transact(store, lambda d: tasks.add(d, f"{me} makes {i}"), by)
        print("task", done.value.path, flush=True)
"""

RACER = """
me = sys.argv[1]
print("ready", flush=True)
for line in sys.stdin:
    task = line.strip()
    claim = Claim(task, "technical", claims.run_id(me, store.clock()), "2999-01-01T00:00:00Z")
    print("won" if claims.take(store, claim) else "lost", flush=True)
"""


def start(scratch: Scratch, code: str, *args: str) -> "subprocess.Popen[str]":
    """A process of its own that runs this code in the repository."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *args],
        cwd=scratch.root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(processes: "list[subprocess.Popen[str]]") -> list[str]:
    """What they printed, once all have left without an error."""
    lines = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        lines += out.splitlines()
    return lines


def test_a_person_who_commits_without_pause_keeps_nobody_out(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "What everybody talks about"))
    writer = start(scratch, WRITER, "writer", "3")
    mine = 0
    while writer.poll() is None:
        commit_by_hand(scratch, mine)
        mine += 1
    assert len(finish([writer])) == 3
    assert scratch.git("log", "--diff-filter=D", "--format=%h %an", "--name-only") == ""
    assert len(scratch.git("ls-files", "mine").splitlines()) == mine
    assert scratch.git("status", "--porcelain") == ""


def test_one_winner_of_every_race_for_a_claim(scratch: Scratch) -> None:
    racers = [start(scratch, RACER, f"r{i}") for i in range(RACERS)]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    for number in range(ROUNDS):
        task = f"TASK-{number:03d}-race"
        for racer in racers:
            assert racer.stdin
            racer.stdin.write(f"{task}\n")
            racer.stdin.flush()
        results = Counter(racer.stdout.readline() for racer in racers if racer.stdout)
        assert results == {"won\n": 1, "lost\n": RACERS - 1}
    assert finish(racers) == []
    assert len(scratch.store.claims()) == ROUNDS


def test_two_ticks_together_never_run_a_task_twice(scratch: Scratch) -> None:
    for i in range(8):
        scratch.act(lambda d, i=i: tasks.add(d, f"Job {i}"))
    for _ in range(max(4, ROUNDS // 2)):
        ticks = [tick(scratch) for _ in range(2)]
        for process in ticks:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert "Traceback" not in err
    settled = scratch.git("log", "--format=%(trailers:key=Event,valueonly,separator=%x2C)").split("\n")
    events = Counter(event for line in settled for event in line.split(",") if event.startswith("task."))
    twice = {
        event: n
        for event, n in events.items()
        if n > 1 and event.split()[0] in ("task.submitted", "task.completed")
    }
    assert not twice
    assert sum(event.startswith("task.submitted") for event in events) > 2
    runs = [
        line for line in scratch.git("log", "--format=%(trailers:key=Run,valueonly)").splitlines() if line
    ]
    assert len(runs) == len(set(runs))
    assert scratch.store.claims() == []
    assert scratch.git("status", "--porcelain") == ""
    scratch.git("fsck", "--strict")


def tick(scratch: Scratch) -> "subprocess.Popen[str]":
    """A real `agentos tick --force`."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("agentos"), "tick", "--force"],
        cwd=scratch.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_tick_and_commands_at_once(scratch: Scratch) -> None:
    """Hand edits, commands and a tick at the same moment: all of them arrive."""
    for i in range(4):
        scratch.act(lambda d, i=i: tasks.add(d, f"Job {i}"))
    for i in range(1, 5):
        ticking = tick(scratch)
        path = f"board/tasks/TASK-00{i}-job-{i - 1}.md"
        scratch.act(lambda d, i=i: tasks.edit(d, str(i), {}, add_to={"labels": ["mine"]}))
        scratch.write(path, scratch.read(path) + "\nA line by hand.\n")
        _, err = ticking.communicate(timeout=120)
        assert ticking.returncode == 0, err
    time.sleep(0.03)
    scratch.act(lambda d: None)
    board = scratch.store.board()
    for i in range(1, 5):
        task = board.task(str(i))
        assert "mine" in task.labels
        assert scratch.read(task.path).count("A line by hand.") == 1
    assert scratch.git("status", "--porcelain") == ""

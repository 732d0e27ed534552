"""Many at once: processes that write, a person who commits, races for claims, ticks side by side."""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from conftest import Scratch

from agentos.actions import tasks

OPERATIONS = int(os.environ.get("AGENTOS_OPERATIONS", "120"))
ROUNDS = int(os.environ.get("AGENTOS_ROUNDS", "10"))
WRITERS = 8
RACERS = 20
PAUSE = 0.1
"""Seconds between two commits of the person, who is quick but no machine."""

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

EDITOR = """
me, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    ref = str(i % 3 + 1)
    transact(store, lambda d: tasks.edit(d, ref, {"priority": i % 5 + 1}, add_to={"labels": [me]}), Actor(me, is_agent=True))
for ref in "123":
    transact(store, lambda d: tasks.edit(d, ref, {}, add_to={"labels": [me]}), Actor(me, is_agent=True))
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


def commit_by_hand(scratch: Scratch, number: int) -> str:
    """Commit a file of one's own with plain git, as often as git says that somebody else is at it."""
    path = f"mine/{number}.txt"
    scratch.write(path, f"mine {number}\n")
    for _ in range(200):
        for command in (["add", path], ["commit", "-qm", f"mine {number}"]):
            done = subprocess.run(
                ["git", *command], cwd=scratch.root, capture_output=True, text=True, check=False
            )
            if done.returncode:
                assert re.search(r"index\.lock|cannot lock ref", done.stderr), done
                time.sleep(0.005)
                break
        else:
            return scratch.git("log", "-1", "--format=%H", "--", path).strip()
    raise AssertionError("the person never came through")


def finish(processes: "list[subprocess.Popen[str]]") -> list[str]:
    """What they printed, once all have left without an error."""
    lines = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        lines += out.splitlines()
    return lines


def test_eight_writers_and_a_committing_person_lose_nothing(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "What everybody talks about"))
    start_of = scratch.git("rev-parse", "HEAD").strip()
    each = OPERATIONS // (WRITERS + 1)
    writers = [start(scratch, WRITER, f"writer-{i}", str(each)) for i in range(WRITERS)]
    mine: dict[int, str] = {}
    while any(writer.poll() is None for writer in writers):
        mine[len(mine)] = commit_by_hand(scratch, len(mine))
        time.sleep(PAUSE)
    written = finish(writers)
    assert len(written) == WRITERS * each and len(set(written)) == len(written)

    at_head = set(scratch.git("ls-tree", "-r", "--name-only", "HEAD").splitlines())
    assert {line.split()[1] for line in written} <= at_head
    titles = {task.title for task in scratch.store.board().tasks.values()}
    assert titles >= {f"writer-{i} makes {k}" for i in range(WRITERS) for k in range(each) if k % 3 != 2}
    for number, commit in mine.items():
        assert scratch.git("show", f"HEAD:mine/{number}.txt") == f"mine {number}\n"
        scratch.git("merge-base", "--is-ancestor", commit, "HEAD")

    by_whom = Counter(scratch.git("log", "--format=%an", f"{start_of}..HEAD").splitlines())
    assert by_whom == {"Ada Lovelace": len(mine)} | {f"writer-{i}": each for i in range(WRITERS)}
    assert scratch.git("rev-list", "--merges", "HEAD") == ""
    assert scratch.git("log", "--diff-filter=D", "--format=%h %an", "--name-only") == ""
    assert scratch.git("status", "--porcelain") == ""
    scratch.git("fsck", "--strict")


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


def test_saves_by_hand_and_writers_on_the_same_files_both_arrive(scratch: Scratch) -> None:
    for i in range(3):
        scratch.act(lambda d, i=i: tasks.add(d, f"Shared {i}", body="Words."))
    writers = [start(scratch, EDITOR, f"editor-{i}", str(OPERATIONS // 10)) for i in range(2)]
    lines: dict[str, list[str]] = {}
    while any(writer.poll() is None for writer in writers):
        number = len(lines)
        path = f"board/tasks/TASK-00{number % 3 + 1}-shared-{number % 3}.md"
        save(scratch.root / path, f"Line {number} by hand.\n", in_place=number % 2 == 0)
        lines[f"Line {number} by hand."] = [path]
        time.sleep(0.03)
    finish(writers)
    time.sleep(0.05)
    scratch.act(lambda d: None)
    for line, (path,) in lines.items():
        assert scratch.git("show", f"HEAD:{path}").splitlines().count(line) == 1, line
    labels = [set(task.labels) for task in scratch.store.board().tasks.values()]
    assert all(f"editor-{i}" in label for i in range(2) for label in labels)
    assert scratch.git("status", "--porcelain") == ""
    scratch.git("fsck", "--strict")


def save(file: Path, line: str, *, in_place: bool) -> None:
    """What an editor does that has just read the file: write it anew, in place or by rename."""
    text = file.read_text() + line
    if in_place:
        file.write_text(text)
    else:
        file.with_name("4913").write_text(text)
        file.with_name("4913").rename(file)


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

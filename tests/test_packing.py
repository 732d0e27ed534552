"""Packing: our own commits move into packs, whoever reads, writes or kills meanwhile; all else stays."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Clock, Scratch

from agentos.actions import tasks
from agentos.orchestrator import tick as ticking
from agentos.store import packing, timeline

SEED = 20260202
KILLS = int(os.environ.get("AGENTOS_PACKING_KILLS", "4"))
COMMITS = 12

PRELUDE = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from agentos.actions import tasks
from agentos.store import packing
from agentos.store.repository import Store
from agentos.store.transaction import transact
store = Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
"""

PACKER = """
for _ in range(int(sys.argv[1])):
    print(packing.tidy(store, every=1, most=3), flush=True)
"""

WRITER = """
for i in range(int(sys.argv[1])):
    transact(store, lambda d: tasks.add(d, f"Made {i}"), store.person())
"""

READER = """
for i in range(int(sys.argv[1])):
    assert store.board(at="HEAD~3").tasks and store.activities(20)
"""


@pytest.fixture(scope="module")
def worked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with a pack of the person's, and some commits of ours."""
    root = tmp_path_factory.mktemp("worked") / "repo"
    shutil.copytree(template, root, symlinks=True)
    here = Scratch(root, Clock())
    here.git("repack", "-adq")
    for i in range(COMMITS):
        here.act(lambda d, i=i: tasks.add(d, f"Task {i}"))
    return root


@pytest.fixture
def busy(worked: Path, tmp_path: Path) -> Scratch:
    """A copy of it."""
    shutil.copytree(worked, tmp_path / "repo", symlinks=True)
    return Scratch(tmp_path / "repo", Clock())


def packs(here: Scratch) -> set[str]:
    return {file.name for file in (here.root / ".git/objects/pack").iterdir() if file.suffix == ".pack"}


def loose(here: Scratch) -> set[str]:
    files = (here.root / ".git/objects").glob("[0-9a-f][0-9a-f]/*")
    return {file.parent.name + file.name for file in files}


def require_sound(here: Scratch) -> None:
    here.git("fsck", "--strict", "--full")
    here.git("commit-graph", "verify")


def start(here: Scratch, code: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(count)],
        cwd=here.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def test_our_commits_are_packed_and_what_is_the_persons_stays(busy: Scratch) -> None:
    busy.write("mine.txt", "only mine\n")
    mine = busy.git("hash-object", "-w", "mine.txt").strip()
    busy.write("src/code.py", "print()\n")
    busy.git("add", "src")
    busy.git("commit", "-qm", "code")
    code = busy.git("rev-parse", "HEAD:src/code.py", "HEAD:src", "HEAD^{tree}", "HEAD").split()
    busy.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    theirs, commits = packs(busy), busy.git("rev-list", "--all")
    board = busy.store.board()
    assert packing.tidy(busy.store, every=10) > 3 * COMMITS
    assert loose(busy) == {mine, *code}
    assert packs(busy) > theirs and len(packs(busy)) == len(theirs) + 1
    assert busy.git("rev-list", "--all") == commits
    assert dict(busy.store.board().tasks) == dict(board.tasks)
    assert timeline.of(busy.store, "1", 5)[0].edit.text == "priority: 3 → 1"
    require_sound(busy)
    after = packs(busy)
    assert packing.tidy(busy.store, every=1) == 0
    assert packs(busy) == after


def test_nothing_is_done_where_it_is_not_worth_it_or_somebody_else_tidies(busy: Scratch) -> None:
    before = loose(busy)
    assert packing.tidy(busy.store) == 0
    for lock in packing.LOCKS:
        file = busy.root / ".git" / lock
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        assert packing.tidy(busy.store, every=1) == 0
        file.unlink()
    assert (loose(busy), packs(busy) and len(packs(busy))) == (before, 1)


def test_the_filters_serve_the_log_of_a_task(busy: Scratch) -> None:
    packing.tidy(busy.store, every=1)
    trace = busy.root / "trace"
    os.environ["GIT_TRACE2_PERF"] = str(trace)
    try:
        busy.git("log", "--format=%H", "--", "board/tasks/TASK-001-task-0.md")
    finally:
        del os.environ["GIT_TRACE2_PERF"]
    skipped = re.findall(r'"definitely_not":(\d+)', trace.read_text())
    assert sum(map(int, skipped)) >= COMMITS - 2


def test_wherever_it_is_killed_nothing_is_lost(busy: Scratch) -> None:
    rng = random.Random(SEED)
    commits = busy.git("rev-list", "--all")
    killed = 0
    for _ in range(KILLS):
        process = start(busy, PACKER, 1)
        time.sleep(rng.uniform(0.1, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        process.communicate()
        busy.act(lambda d: tasks.edit(d, "1", {"estimate": f"{rng.random()}h"}))
        busy.git("fsck", "--strict", "--full")
    packing.tidy(busy.store, every=1)
    assert killed
    assert set(commits.split()) <= set(busy.git("rev-list", "--all").split())
    require_sound(busy)


def test_beside_writers_and_readers_nothing_is_lost(busy: Scratch) -> None:
    count = 10
    others = [start(busy, WRITER, count), start(busy, WRITER, count), start(busy, READER, count)]
    packer = start(busy, PACKER, 2 * count)
    for process in others:
        finish(process)
    assert sum(map(int, finish(packer).split())) > 0
    packing.tidy(busy.store, every=1)
    assert len(busy.store.board().tasks) == COMMITS + 2 * count
    assert busy.git("status", "--porcelain") == ""
    require_sound(busy)


def test_a_tick_packs_now_and_then_and_an_idle_one_never(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "One", needs=["a-person"]))
    path, ref = "board/tasks/TASK-001-one.md", "refs/heads/main"
    stream = []
    for i in range(packing.EVERY + 10):
        text = scratch.read(path) + f"{i}\n"
        begin = f"from {ref}^0\n" if not i else ""
        stream.append(
            f"commit {ref}\ncommitter a <a@b> {1770028300 + i} +0000\ndata 1\nx\n{begin}"
            f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        )
    subprocess.run(
        ["git", "-c", "fastimport.unpackLimit=100000", "fast-import", "--quiet"],
        cwd=scratch.root, input="".join(stream), text=True, check=True,
    )  # fmt: skip
    scratch.git("reset", "-q", "--hard")
    scratch.act(lambda d: None)
    before = len(loose(scratch))
    assert before > packing.EVERY
    assert ticking.tick(scratch.store, ticking.Options(force=True)).is_idle
    assert len(loose(scratch)) == before
    scratch.act(lambda d: tasks.add(d, "Two"))
    report = ticking.tick(scratch.store, ticking.Options(force=True))
    assert report.commit and report.notes == ()
    assert len(loose(scratch)) < 10
    scratch.git("fsck", "--strict", "--full")


def test_our_packs_become_one_now_and_then_and_the_persons_stays(busy: Scratch) -> None:
    (theirs,) = packs(busy)
    counts = []
    for i in range(5):
        busy.act(lambda d, i=i: tasks.add(d, f"More {i}"))
        packing.tidy(busy.store, every=1, most=3)
        counts.append(len(packs(busy)))
        assert theirs in packs(busy)
    assert counts == [2, 3, 2, 3, 4]
    busy.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    busy.git("multi-pack-index", "write")
    packing.tidy(busy.store, every=1, most=3)
    assert len(packs(busy)) == 5, "an index over several packs names them"
    require_sound(busy)
    assert len(busy.store.board().tasks) == COMMITS + 5


def test_what_it_remembers_may_be_lost_or_wrong(busy: Scratch) -> None:
    state = busy.root / ".git/agentos/packed.json"
    for text in (None, "{", "[]", '{"tip": "--all", "packs": ["../x", 1]}', '{"tip": "' + "0" * 40 + '"}'):
        if text is None:
            state.unlink(missing_ok=True)
        else:
            Path(state).write_text(text)
        busy.act(lambda d: tasks.add(d, "More"))
        assert packing.tidy(busy.store, every=1) > 0
    require_sound(busy)

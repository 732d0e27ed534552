"""Crashes: what a killed process and a killed git leave behind, mended by the next command.

At random moments and at each step: tests/stress/kill.py and steps.py.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Scratch

from agentos.actions import tasks
from agentos.errors import Conflict
from agentos.model.activity import Actor
from agentos.orchestrator.tick import Options, tick
from agentos.store import claims, strays
from agentos.store.index import IndexBusy
from agentos.store.refs import Claim

TECHNICAL = Actor("technical", is_agent=True)

PRELUDE = """
import os, shutil, subprocess, sys, time
from datetime import UTC, datetime
from pathlib import Path
from agentos.actions import messages, tasks
from agentos.model.activity import Actor
from agentos.store.repository import Store
from agentos.store.transaction import transact
TECHNICAL = Actor("technical", is_agent=True)
def open_store():
    return Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
"""

# Git itself ----------------------------------------------------------------------------------------------


def with_git(scratch: Scratch, update_ref: str) -> "subprocess.CompletedProcess[str]":
    """Add a task with a `git` on the path whose `update-ref` is a shell script; REAL is git's own."""
    folder = scratch.root.with_name("bin")
    folder.mkdir()
    real = shutil.which("git")
    (folder / "git").write_text(
        f'#!/bin/sh\nREAL={real}\ncase "$*" in *update-ref*) {update_ref};; esac\nexec $REAL "$@"\n'
    )
    (folder / "git").chmod(0o755)
    return subprocess.run(
        [Path(sys.executable).with_name("agentos"), "task", "add", "First"],
        cwd=scratch.root, capture_output=True, text=True, check=False, start_new_session=True,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
    )  # fmt: skip


LOCKS = ("HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "packed-refs.new")


def test_locks_that_our_killed_git_left_are_removed(scratch: Scratch) -> None:
    """A power cut, or a kill of the whole group, ends git's processes too, with their lock files in place."""
    locks = " ".join(f".git/{name}" for name in LOCKS)
    assert with_git(scratch, f"touch .git/index.agentos.lock {locks}; kill -9 0").returncode == -9
    assert (scratch.root / ".git/HEAD.lock").exists()
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert scratch.git("status", "--porcelain") == ""
    assert not [file for file in (scratch.root / ".git").glob("*") if file.suffix in (".lock", ".new")]
    assert list((scratch.root / ".git/agentos/moving").iterdir()) == []
    scratch.git("commit", "-q", "--allow-empty", "-m", "mine")


def test_a_gc_that_takes_the_commit_while_the_branch_moves(scratch: Scratch) -> None:
    """`git gc --prune=now` looked at the refs before, and removes what it found nobody to name."""
    gone = (
        "for oid in $($REAL rev-parse main main^{tree}); do rm .git/objects/${oid%${oid#??}}/${oid#??}; done"
    )
    done = with_git(scratch, f'$REAL "$@"; code=$?; {gone}; exit $code')
    assert done.returncode == 0, done.stderr
    assert scratch.git("fsck", "--strict") == ""
    assert [task.title for task in scratch.store.board().tasks.values()] == ["First"]


def test_older_locks_are_somebody_elses_and_so_are_all_while_a_git_is_at_work(scratch: Scratch) -> None:
    lock = scratch.root / ".git/packed-refs.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    assert with_git(scratch, "touch .git/HEAD.lock; kill -9 0").returncode == -9
    at_work = subprocess.Popen(["git", "hash-object", "--stdin"], cwd=scratch.root, stdin=subprocess.PIPE)
    while strays.at_work(scratch.store.git) is None:
        time.sleep(0.005)
    with pytest.raises(Conflict, match=rf"git hash-object \(process {at_work.pid}\) is at work.*HEAD\.lock"):
        scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    at_work.communicate(b"")
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert lock.exists()
    assert not (scratch.root / ".git/HEAD.lock").exists()


def test_marks_of_the_living_are_not_taken_for_those_of_the_dead(scratch: Scratch) -> None:
    git = scratch.store.git
    claim = scratch.root / ".git/refs/agentos/claims/TASK-001-first.lock"
    claim.parent.mkdir(parents=True)
    with strays.moving(git):
        claim.touch()
        assert not strays.sweep(git)
    assert claim.exists() and not list((scratch.root / ".git/agentos/moving").iterdir())

    def move(_: int) -> None:
        for _ in range(100):
            with strays.moving(git):
                pass
            strays.sweep(git)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(move, range(4))) == [None] * 4


def test_a_git_that_is_killed_after_the_branch_moved(scratch: Scratch) -> None:
    """Nobody told us that the ref has moved: the journal does, and no file is taken for a person's revert."""
    done = with_git(scratch, '$REAL "$@"; kill -9 $$')
    said = "error: TASK-001-first: created is committed, but .*: git update-ref: was killed \\(signal 9\\)\\. .*\n"
    assert done.returncode == 1 and re.fullmatch(said, done.stderr)
    scratch.act(lambda d: None, TECHNICAL)
    assert len(scratch.store.board().tasks) == 1
    assert scratch.git("log", "--format=%s", "-1") == "TASK-001-first: created\n"
    assert scratch.git("status", "--porcelain") == ""


def test_a_git_that_outlives_its_killed_runtime_keeps_the_boards_lock(scratch: Scratch) -> None:
    """The transaction after the kill waits until the orphan has moved the branch, and builds on it."""
    begun = time.monotonic()
    assert (
        with_git(
            scratch, 'said=$(cat); kill -9 $PPID; sleep 0.5; echo "$said" | $REAL "$@" >/dev/null; exit'
        ).returncode
        == -9
    )
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert time.monotonic() - begun > 0.5
    assert [task.title for task in scratch.store.board().tasks.values()] == ["First", "Second"]
    assert scratch.git("status", "--porcelain") == ""


def test_an_index_lock_that_was_held_before_the_journal_is_freed(scratch: Scratch) -> None:
    script = """
from agentos.store import index
holding = index.held(open_store().git, open_store().local)
holding.__enter__()
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", PRELUDE + script], cwd=scratch.root, check=False)
    assert done.returncode == 9 and (scratch.root / ".git/index.lock").exists()
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    assert not (scratch.root / ".git/index.lock").exists()


def test_a_claim_is_not_stopped_by_the_lock_of_a_killed_claim(scratch: Scratch) -> None:
    script = """
from agentos.store import strays
moving = strays.moving(open_store().git)
moving.__enter__()
Path(".git/refs/agentos/claims").mkdir(parents=True)
Path(".git/refs/agentos/claims/TASK-001-first.lock").touch()
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", PRELUDE + script], cwd=scratch.root, check=False)
    assert done.returncode == 9
    claim = Claim("TASK-001-first", "technical", "run", "2999-01-01T00:00:00Z")
    assert claims.take(scratch.store, claim)


def test_a_commit_with_an_open_editor_is_named(scratch: Scratch) -> None:
    """`git commit -a` holds `index.lock` for as long as the person writes the message."""
    scratch.write("WORKING.md", scratch.read("WORKING.md"))
    scratch.write("mine.txt", "one")
    scratch.git("add", "mine.txt")
    person = subprocess.Popen(
        ["git", "commit", "-aq"], cwd=scratch.root, env=os.environ | {"GIT_EDITOR": "sleep 1.5; echo mine >"}
    )
    while not (scratch.root / ".git/index.lock").exists():
        time.sleep(0.005)
    with pytest.raises(Conflict, match=r"git commit \(process \d+\) is at work .*index\.lock; try again"):
        scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    assert person.wait() == 0
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    assert scratch.git("log", "--format=%s", "-2") == "TASK-001-first: created\nmine\n"


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock"])
def test_a_lock_that_somebody_elses_git_left_is_named(scratch: Scratch, name: str) -> None:
    lock = scratch.root / ".git" / name
    lock.touch()
    with pytest.raises(Conflict, match=rf"{name} was left by a git that died, none is .*: remove it"):
        scratch.act(lambda d: tasks.add(d, "First"))
    assert lock.exists()
    lock.unlink()
    scratch.act(lambda d: tasks.add(d, "First"))
    assert scratch.git("status", "--porcelain") == ""


def test_a_person_who_works_after_the_crash_keeps_their_lock(scratch: Scratch) -> None:
    """Only the `index.lock` that is another name of our own token is ours."""
    script = """
import agentos.store.journal as journal
journal.clear = lambda path: os._exit(9)
transact(open_store(), lambda d: tasks.add(d, "First"), TECHNICAL)
"""
    done = subprocess.run([sys.executable, "-c", PRELUDE + script], cwd=scratch.root, check=False)
    assert done.returncode == 9
    lock = scratch.root / ".git/index.lock"
    lock.touch()
    with contextlib.suppress(IndexBusy):
        scratch.act(lambda d: tasks.add(d, "Second"))
    assert lock.exists()
    lock.unlink()
    scratch.act(lambda d: tasks.add(d, "Second"))
    assert scratch.git("status", "--porcelain") == ""


def test_a_lost_local_folder_costs_nothing(scratch: Scratch) -> None:
    """Without `agentos/` in the git folder everything that was committed is still there."""
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    before = scratch.store.board()
    shutil.rmtree(scratch.root / ".git/agentos")
    after = scratch.store.board()
    assert after.tasks.rows.keys() == before.tasks.rows.keys()
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert scratch.git("status", "--porcelain") == ""
    assert scratch.git("log", "-1", "--format=%an").strip() == "technical"


@pytest.mark.parametrize("name", ["journal", "cache/board", "cache/feed", "base/files.json", "wakes.json"])
def test_a_damaged_local_file_is_made_anew(scratch: Scratch, name: str) -> None:
    file = scratch.root / ".git/agentos" / name
    file.parent.mkdir(exist_ok=True)
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    real = file.read_bytes() if file.exists() else b'[1, {"x": 2}]'
    for data in (
        b"",
        b"{",
        b"\0" * 64,
        b"[]",
        b'{"technical": {"at": "x"}}',
        real[: len(real) // 2],
        real[:-1],
    ):
        file.write_bytes(data)
        made = scratch.act(lambda d: tasks.add(d, "Another"), TECHNICAL).value
        file.write_bytes(data)
        assert made.id in scratch.store.board().tasks
        assert tick(scratch.store, Options()).notes == ()
    assert scratch.git("status", "--porcelain") == ""

"""Crashes: a process killed at any moment loses nothing it said was done, and looks like nobody's edit."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Scratch

from agentos.actions import tasks
from agentos.errors import Conflict
from agentos.model.activity import Actor
from agentos.orchestrator.tick import Options, tick
from agentos.store import claims
from agentos.store.index import IndexBusy
from agentos.store.refs import Claim

KILLS = int(os.environ.get("AGENTOS_KILLS", "15"))
SEED = int(os.environ.get("AGENTOS_SEED", "20260202"))
CALLS = "fsync link unlink rename replace rmdir" + (" open write" if KILLS > 15 else "")
"""The system's calls that are steps of a transaction, besides the start of a git process."""
FIRST = "beginning" if KILLS > 15 else "journal"
"""Where the first kill is: before the journal is written nothing but new objects has been touched."""
MOST = "100000" if KILLS > 15 else "30"

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

WRITER = """
store = open_store()
print("ready", flush=True)
for i in range(int(sys.argv[1]), 100000):
    def step(draft):
        match i % 4:
            case 0: return "has", tasks.add(draft, f"Number {i}").path
            case 1: return "has", messages.add(draft, "1", f"Number {i}").path
            case 2: return "priority", str(tasks.edit(draft, "1", {"priority": i % 5 + 1}).priority)
            case _:
                old = tasks.add(draft, f"Passing {i}")
                tasks.move(draft, old.id, "assigned")
                return "has", tasks.add(draft, f"Also {i}").path
    word, value = transact(store, step, TECHNICAL).value
    print(word, value, flush=True)
"""


class Killed:
    """A repository in which writers are killed: what they said was done, and what the person has there."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        scratch.act(lambda d: tasks.add(d, "What everybody talks about"), TECHNICAL)
        scratch.write("staged.txt", "one\n")
        scratch.git("add", "staged.txt")
        scratch.write("untracked.txt", "two\n")
        self.status = scratch.git("status", "--porcelain")
        self.by_person = scratch.git("log", "--format=%h %s", "--author=Ada")
        self.done: set[str] = set()
        self.priority = 3
        self.count = 0

    def kill_one(self, chance: random.Random) -> None:
        """Start a writer, and kill it, or it and its children, after a random while."""
        writer = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + WRITER, str(self.count)],
            cwd=self.scratch.root, text=True, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert writer.stdout and writer.stdout.readline() == "ready\n"
        first = writer.stdout.readline() if chance.random() < 0.7 else ""
        time.sleep(chance.random() * 0.2)
        if chance.random() < 0.5:
            os.killpg(writer.pid, signal.SIGKILL)
        else:
            writer.kill()
        out, _ = writer.communicate(timeout=60)
        assert writer.returncode == -signal.SIGKILL, "it left by itself"
        for line in (first + out).splitlines():
            word, value = line.split(maxsplit=1)
            self.count += 1
            if word == "has":
                self.done.add(value)
            else:
                self.priority = int(value)
        self.count += 4 - self.count % 4

    def check(self, where: str) -> None:
        """The next command finds everything in order."""
        scratch = self.scratch
        scratch.act(lambda d: None, TECHNICAL)
        assert self.done <= set(scratch.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()), where
        assert scratch.git("status", "--porcelain") == self.status, where
        assert scratch.git("log", "--format=%h %s", "--author=Ada") == self.by_person, where
        assert not (scratch.root / ".git/index.lock").exists(), where


def test_killed_at_random_moments(scratch: Scratch) -> None:
    print(f"seed {SEED}, {KILLS} kills")
    chance = random.Random(SEED)
    killed = Killed(scratch)
    for number in range(KILLS):
        before = killed.priority
        killed.kill_one(chance)
        killed.check(f"kill {number}")
        found = scratch.store.board().task("1").priority
        assert found == killed.priority or found != before
        killed.priority = found
    scratch.git("fsck", "--strict")
    assert len(killed.done) >= KILLS // 4


# One step after the other -------------------------------------------------------------------------------

DRIVER = """
# Runs one transaction again and again, in a copy of the repository, killed one step later each time.
import agentos.store.exchange, agentos.store.publication
from agentos.store import journal, landing
scenario, names, first, most = sys.argv[1:]
home = Path.cwd()
calls = [(os, name) for name in names.split()]
calls.append((subprocess, "run"))

def git(*args):
    done = subprocess.run(["git", *args], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {args}: {done.stdout}{done.stderr}")
    return done.stdout

def work(draft):
    if scenario == "landing":
        return landing.take(draft, open_store(), git("rev-parse", "refs/work").strip(), "work")
    if scenario == "archive":
        return tasks.archive(draft, ["1"])
    tasks.edit(draft, "2", {"priority": 1})
    messages.add(draft, "2", "Hello")
    tasks.add(draft, "Fresh")

def is_done():
    head = git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    if scenario == "landing":
        signs = [all(path in head for path in ("link", "src/run.sh", "src/new.txt")), "src/old.txt" not in head,
                 git("merge-base", "HEAD", "refs/work") == git("rev-parse", "refs/work")]
    elif scenario == "archive":
        signs = ["board/archive/00xx/TASK-001-first.md" in head, "board/tasks/TASK-001-first.md" not in head]
    else:
        signs = ["board/tasks/TASK-003-fresh.md" in head, any(p.startswith("board/messages/") for p in head),
                 "priority: 1\\n" in git("show", "HEAD:board/tasks/TASK-002-second.md")]
    assert len(set(signs)) == 1, f"half done: {signs}"
    return signs[0]

def killed_at(step):
    # True where the transaction was over before.
    child = os.fork()
    if not child:
        left, counts = [step], [first == "beginning"]
        def wrap(real):
            def call(*args, **kwargs):
                left[0] -= counts[0]
                if not left[0]:
                    os._exit(9)
                return real(*args, **kwargs)
            return call
        def begin(*args, write=journal.write):
            counts[0] = True
            return write(*args)
        journal.write = begin
        for module, name in calls:
            setattr(module, name, wrap(getattr(module, name)))
        try:
            transact(open_store(), work, TECHNICAL)
        except BaseException as error:
            print("raised", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), code
    return code == 0

def check(status):
    transact(open_store(), lambda draft: None, TECHNICAL)
    found = git("status", "--porcelain", "-uall")
    assert found == status, f"git status says {found!r}"
    git("fsck", "--strict")
    authors = git("log", "--first-parent", "--format=%an: %s", f"{base}..").splitlines()
    people = [line for line in authors if not line.startswith("technical: ")]
    wanted = ["Ada Lovelace: TASK-002-second: text edited"] if scenario == "hand edit" else []
    assert people in ([], wanted), f"somebody committed {people}"
    if scenario == "hand edit":
        assert people == wanted and "by hand" in git("show", "HEAD:board/tasks/TASK-002-second.md")
    assert not Path(".git/index.lock").exists(), "index.lock is left"
    if not is_done():
        transact(open_store(), work, TECHNICAL)
        assert is_done() and git("status", "--porcelain", "-uall") == status, "the next one fails"

base = git("rev-parse", "HEAD").strip()
step, bad = 1, 0
while True:
    copy = home.with_name(f"copy-{step}")
    shutil.copytree(home, copy, symlinks=True)
    os.chdir(copy)
    git("update-index", "-q", "--refresh")
    status = git("status", "--porcelain", "-uall").replace(" M board/tasks/TASK-002-second.md\\n", "")
    over = killed_at(step)
    try:
        check(status)
    except BaseException as error:
        bad += 1
        print(f"step {step}: {error}", flush=True)
    os.chdir(home)
    shutil.rmtree(copy)
    if over or step == int(most):
        break
    step += 1
print(f"{step} steps, {bad} bad", flush=True)
"""


def _branch_off(scratch: Scratch) -> None:
    """A branch `refs/work` with code that is not on the board's branch, which moves on as well."""
    scratch.write("src/old.txt", "old\n")
    scratch.write("src/run.sh", "old\n")
    scratch.git("add", "src")
    scratch.git("commit", "-qm", "code", "--", "src")
    scratch.git("worktree", "add", "-q", "--detach", "../work")
    work = Scratch(scratch.root.with_name("work"), scratch.clock)
    work.write("src/new.txt", "new\n")
    work.write("src/run.sh", "new\n").chmod(0o755)
    (work.root / "src/old.txt").unlink()
    (work.root / "link").symlink_to("src")
    work.write("board/tasks/TASK-002-second.md", work.read("board/tasks/TASK-002-second.md") + "\nTheirs.\n")
    work.git("add", "-A")
    work.git("commit", "-qm", "work")
    work.git("update-ref", "refs/work", "HEAD")
    scratch.git("worktree", "remove", "../work")
    scratch.act(lambda d: tasks.add(d, "Third"))


@pytest.mark.parametrize("scenario", ["edit", "archive", "hand edit", "landing"])
def test_killed_at_each_step(scratch: Scratch, scenario: str) -> None:
    scratch.act(lambda d: (tasks.add(d, "First"), tasks.move(d, "1", "done"), tasks.add(d, "Second")))
    scratch.write("staged.txt", "one\n")
    scratch.git("add", "staged.txt")
    scratch.write("untracked.txt", "two\n")
    if scenario == "landing":
        _branch_off(scratch)
    if scenario == "hand edit":
        path = "board/tasks/TASK-002-second.md"
        scratch.write(path, scratch.read(path) + "\nWritten by hand.\n")
        time.sleep(0.05)
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + DRIVER, scenario, CALLS, FIRST, MOST],
        cwd=scratch.root, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    print(done.stdout)
    assert done.stdout.splitlines()[-1].endswith(", 0 bad"), done.stdout
    assert int(done.stdout.splitlines()[-1].split()[0]) > 15


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


def test_older_locks_are_somebody_elses_and_so_are_all_while_a_git_is_at_work(scratch: Scratch) -> None:
    lock = scratch.root / ".git/packed-refs.lock"
    lock.touch()
    os.utime(lock, (time.time() - 60,) * 2)
    assert with_git(scratch, "touch .git/HEAD.lock; kill -9 0").returncode == -9
    at_work = subprocess.Popen(["git", "hash-object", "--stdin"], cwd=scratch.root, stdin=subprocess.PIPE)
    with pytest.raises(Conflict, match=rf"git hash-object \(process {at_work.pid}\) is at work.*HEAD\.lock"):
        scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    at_work.communicate(b"")
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert lock.exists()
    assert not (scratch.root / ".git/HEAD.lock").exists()


def test_a_git_that_is_killed_after_the_branch_moved(scratch: Scratch) -> None:
    """Nobody told us that the ref has moved: the journal does, and no file is taken for a person's revert."""
    done = with_git(scratch, '$REAL "$@"; kill -9 $$')
    assert (done.returncode, done.stderr) == (1, "error: git update-ref: was killed (signal 9)\n")
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
        assert tick(scratch.store, Options(settle=0.0)).notes == ()
    assert scratch.git("status", "--porcelain") == ""

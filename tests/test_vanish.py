"""What somebody removes between two looks: another agentos, git, an editor or a person; nobody fails for it.

At random moments, all at once: tests/stress/vanish.py.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, Scratch

from agentos.actions import tasks
from agentos.errors import Conflict, Invalid, NotFound
from agentos.model.activity import Actor
from agentos.model.words import Status
from agentos.orchestrator import schedule
from agentos.orchestrator.schedule import Wake
from agentos.orchestrator.watching import Changes
from agentos.runtime import borrowing, clones, liveness, runlog, workspace
from agentos.runtime.runlog import RunLog
from agentos.store import exchange, index, looks, strays, worktree
from agentos.store.git import Git, GitFailed
from agentos.store.looks import Look
from agentos.store.objects import Objects

TECHNICAL = Actor("technical", is_agent=True)

Cli = Callable[..., Outcome]


class Moments:
    """Something done at the very moment in which a place is opened or listed, once."""

    def __init__(self) -> None:
        self._wanted: list[tuple[str, str, Callable[[], object]]] = []
        sys.addaudithook(self._hear)

    def at(self, event: str, place: Path, act: Callable[[], object]) -> None:
        """Python's own event (`open`, `os.listdir`, `os.scandir`), which comes before what it tells of."""
        self._wanted.append((event, str(place), act))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        for wanted in self._wanted:
            if wanted[0] == event and isinstance(args[0], str | Path) and str(args[0]) == wanted[1]:
                self._wanted.remove(wanted)
                wanted[2]()
                return

    def left(self) -> list[tuple[str, str]]:
        """The moments that never came; none is waited for any more."""
        missed = [(event, place) for event, place, _ in self._wanted]
        self._wanted.clear()
        return missed


HEARD = Moments()
"""An audit hook stays for as long as the process does."""


@pytest.fixture
def moments() -> Iterator[Moments]:
    yield HEARD
    assert HEARD.left() == [], "the moment never came"


# Git -----------------------------------------------------------------------------------------------------


def test_the_last_linked_worktree_is_removed_while_its_folder_is_read(
    scratch: Scratch, moments: Moments
) -> None:
    """Git removes `worktrees` with the last one."""
    scratch.git("worktree", "add", "-q", "-b", "other", "../other")
    folder = scratch.root / ".git/worktrees"
    for look in (
        lambda: strays.at_work(scratch.store.git),
        lambda: worktree.require_quiet(scratch.root / ".git", "main"),
    ):
        moments.at("os.listdir", folder, lambda: shutil.rmtree(folder))
        look()
        folder.mkdir()


def test_a_linked_worktree_is_half_made(scratch: Scratch) -> None:
    """While `git worktree add` is at work, git itself fails over what it finds; it is done in a moment."""
    half = scratch.root / ".git/worktrees/half/commondir"
    half.parent.mkdir(parents=True)
    (half.parent / "gitdir").write_text("/nowhere/.git\n")
    (half.parent / "HEAD").write_text("0" * 40)
    half.touch()
    with pytest.raises(AssertionError, match=r"failed to read .*commondir"):
        scratch.git("for-each-ref", "--format=%(worktreepath)")
    later = threading.Timer(0.2, lambda: half.write_text("../..\n"))
    later.start()
    assert scratch.store.refs().worktree == scratch.root
    later.join()


def test_marks_are_cleared_away_while_refs_move(scratch: Scratch, moments: Moments) -> None:
    git, marks = scratch.store.git, scratch.root / ".git/agentos/moving"
    with strays.moving(git):
        shutil.rmtree(marks)
    assert not marks.exists() and not strays.sweep(git)
    moments.at("open", marks.with_name("gate"), lambda: shutil.rmtree(marks))
    with strays.moving(git):
        assert len(list(marks.iterdir())) == 1
    assert list(marks.iterdir()) == []
    moments.at("os.listdir", marks, lambda: shutil.rmtree(marks))
    assert not strays.sweep(git)


def test_gc_removes_a_folder_of_objects_while_one_is_written_there(
    scratch: Scratch, moments: Moments
) -> None:
    objects = Objects(scratch.store.git)
    oid = objects.write("blob", b"something new")
    folder = scratch.root / ".git/objects" / oid[:2]
    moments.at("open", folder, lambda: shutil.rmtree(folder))
    objects.flush()
    assert scratch.git("cat-file", "-p", oid) == "something new"


def test_a_gc_that_spares_nothing_is_waited_for(scratch: Scratch) -> None:
    """It takes what no ref names yet, as all is for a moment that is just written."""
    (scratch.root / ".git/gc.pid").touch()
    with subprocess.Popen(
        ["git", "-c", "import sys; sys.stdin.read()", "gc", "--prune=now"],
        executable=sys.executable, cwd=scratch.root, stdin=subprocess.PIPE,
    ) as tidying:  # fmt: skip
        with pytest.raises(
            Conflict, match=rf"git .* \(process {tidying.pid}\) removes all that no branch has"
        ):
            strays.wait_for_pruning(scratch.store.git, patience=0.05)
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit(scratch.act, lambda d: tasks.add(d, "First"), TECHNICAL)
            time.sleep(0.2)
            assert not written.done()
            tidying.communicate(b"")
            assert written.result(60).commit
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)


def test_a_reader_of_objects_that_died_is_closed_in_whole(scratch: Scratch, tmp_path: Path) -> None:
    """What it was asked last is still to be written, and nobody reads it."""
    dead = tmp_path / "git"
    dead.write_text("#!/bin/sh\n")
    dead.chmod(0o755)
    git = dataclasses.replace(scratch.store.git, env=os.environ | {"PATH": str(tmp_path)})
    objects = Objects(git)
    for _ in range(2):
        with pytest.raises(Invalid, match="is missing"):
            objects.read("0" * 40)
        time.sleep(0.1)
    objects.close()  # what is left to write has nowhere to go


def test_an_object_that_is_used_again_is_no_longer_old(scratch: Scratch) -> None:
    """Git's own rule: what nobody names and is two weeks old, a `gc` may take at any moment."""
    objects = Objects(scratch.store.git)
    oid = objects.write("blob", b"used again")
    objects.flush()
    file = scratch.root / ".git/objects" / oid[:2] / oid[2:]
    os.utime(file, (0, 0))
    objects.write("blob", b"used again")
    objects.flush()
    scratch.git("gc", "-q")
    assert scratch.git("cat-file", "-p", oid) == "used again"


def test_a_claim_that_was_given_back_and_pruned_is_no_damage(scratch: Scratch) -> None:
    blob = scratch.root.with_name("claim")
    blob.write_text('{"agent": "technical", "run": "r", "expires": "2026-01-01T00:00:00Z"}')
    oid = scratch.git("hash-object", "-w", str(blob)).strip()
    ref = "refs/agentos/claims/TASK-001-first"
    scratch.git("update-ref", ref, oid)
    assert [claim.run for claim in scratch.store.claims()] == ["r"]

    class Late(Git):
        """Starts its reader only once the claim that was listed has gone."""

        def start(self, *args: str) -> Any:
            scratch.git("update-ref", "-d", ref)
            scratch.git("prune", "--expire=now")
            return super().start(*args)

    store = scratch.store
    late = Late(store.git.git_dir, store.git.common_dir, store.git.work_tree, store.git.env)
    assert dataclasses.replace(store, git=late).claims() == []


def test_git_in_a_folder_that_is_gone_says_so(scratch: Scratch) -> None:
    gone = scratch.root.with_name("gone")
    with pytest.raises(NotFound, match=r"gone is gone, or no folder any more"):
        scratch.store.git.at(gone)
    git = scratch.store.git
    with pytest.raises(NotFound, match=r"gone is gone"):
        Git(git.git_dir, git.common_dir, gone, git.env).run("status")


def test_a_worktree_without_its_pointer_is_not_taken_for_the_repository_around_it(scratch: Scratch) -> None:
    """`git worktree remove` takes the pointer before the folder."""
    inner = scratch.root / "linked"
    inner.mkdir()
    with pytest.raises(GitFailed, match="not a git repository"):
        scratch.store.git.at(inner)


def test_a_worktree_is_removed_after_a_crash_in_it(scratch: Scratch) -> None:
    """What did not come through there has nowhere to go; every later command failed over it."""
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    head = scratch.git("rev-parse", "HEAD").strip()
    entry = {"branch": "main", "old": None, "new": head, "worktree": str(scratch.root.with_name("gone"))}
    (scratch.root / ".git/agentos/journal").write_text(json.dumps(entry | {"paths": {}, "moves": []}))
    scratch.act(lambda d: tasks.add(d, "Second"), TECHNICAL)
    assert [task.title for task in scratch.store.board().tasks.values()] == ["First", "Second"]


def test_the_token_of_the_index_lock_is_cleared_away(scratch: Scratch, moments: Moments) -> None:
    git, local = scratch.store.git, scratch.root / ".git/agentos"
    with index.held(git, local):
        (local / index.TOKEN).unlink()
    assert not index.lock_file(git).exists()
    index.lock_file(git).touch()
    index.break_lock(git, local / index.TOKEN)
    assert index.lock_file(git).exists()


# Files ---------------------------------------------------------------------------------------------------


def test_a_record_goes_between_listing_and_reading_it(scratch: Scratch, moments: Moments, cli: Cli) -> None:
    """An editor that deletes and writes anew: the task is gone for this look, and is no problem of a file."""
    path = scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL).value.path
    text = scratch.read(path)
    file = scratch.write(path, text + "\nMore.\n")
    moments.at("open", file, file.unlink)
    board = scratch.store.board()
    assert not board.tasks and not board.problems
    scratch.write(path, text + "\nMore.\n")
    moments.at("open", file, file.unlink)
    assert scratch.store.text(path) == text
    new = scratch.write("board/tasks/another.md", "# Another\n")
    moments.at("open", new, new.unlink)
    assert not scratch.store.board().problems


def test_the_page_goes_or_becomes_something_else_while_it_is_read(scratch: Scratch, moments: Moments) -> None:
    page = scratch.root / "WORKING.md"

    def link() -> None:
        page.unlink()
        page.symlink_to("elsewhere")

    for number, happens in enumerate((page.unlink, link)):
        scratch.act(lambda d: tasks.add(d, "Before"), TECHNICAL)
        page.write_text(page.read_text().replace("Before", "After"))
        moments.at("open", page, happens)
        scratch.act(lambda d, number=number: tasks.add(d, f"Task {number}"), TECHNICAL)
        page.unlink(missing_ok=True)
        scratch.git("checkout", "-q", "--", "WORKING.md")
    assert scratch.git("status", "--porcelain") == ""


def test_what_takes_a_name_while_a_file_is_put_there_stays(tmp_path: Path, moments: Moments) -> None:
    """A link, a folder, or nothing: whatever a person did in that instant is not undone."""
    file = tmp_path / "file.md"

    def link() -> None:
        file.unlink()
        file.symlink_to("elsewhere")

    def folder() -> None:
        file.unlink()
        file.mkdir()

    for happens in (link, folder, file.unlink):
        for data in (b"new", None):
            file.write_bytes(b"old")
            event = "open" if data else "os.rename"
            moments.at(event, file, happens)
            if data is None and happens == file.unlink:
                exchange.put(file, b"old", data)
            else:
                with pytest.raises(exchange.Surprise):
                    exchange.put(file, b"old", data)
            assert file.is_symlink() == (happens is link) and file.is_dir() == (happens is folder)
            assert os.listdir(tmp_path) == (["file.md"] if happens != file.unlink else [])
            if happens is folder:
                file.rmdir()
            else:
                file.unlink(missing_ok=True)


def test_two_people_look_at_once_and_both_looks_are_kept(tmp_path: Path) -> None:
    def keep(number: int) -> None:
        looks.keep(tmp_path, f"person-{number % 2}", f"TASK-{number}", Look(str(number), "base"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, range(64)))
    for number in range(64):
        assert looks.last(tmp_path, f"person-{number % 2}", f"TASK-{number}") == Look(str(number), "base")


# Runs ----------------------------------------------------------------------------------------------------


def test_ticks_that_overlap_remember_each_what_it_did(tmp_path: Path) -> None:
    """In the threads of one `agentos run` they wrote the same partial file; in processes the last one won."""
    then = datetime(2026, 2, 2, tzinfo=UTC)

    def change(number: int) -> None:
        for hops in range(10):
            wakes = schedule.load(tmp_path)
            schedule.change(tmp_path, wakes, {**wakes, f"agent-{number}": Wake(then, hops=hops)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    assert schedule.load(tmp_path) == {f"agent-{number}": Wake(then, hops=9) for number in range(8)}


def test_the_log_of_a_run_is_cleared_away_while_it_is_at_work(tmp_path: Path, moments: Moments) -> None:
    log = RunLog(tmp_path / "run")
    log.say(agent="technical")
    shutil.rmtree(log.folder or tmp_path)
    log.write("word", text="one")
    moments.at("open", tmp_path / "run/log.jsonl", lambda: shutil.rmtree(tmp_path / "run"))
    log.write("word", text="two")
    log.say(outcome="settled")
    log.write("word", text="three")
    assert runlog.facts(tmp_path.parent, tmp_path.name) == {}
    assert json.loads((tmp_path / "run/run.json").read_text())["agent"] == "technical"


def test_boxes_of_the_dead_are_swept_and_nothing_else(scratch: Scratch, moments: Moments) -> None:
    store, place = scratch.store, scratch.root / ".git/agentos/handing"
    clones.sweep(store)
    with clones.box(store) as box:
        here = liveness.name().rpartition(".")[2]
        left = {"what-a-person-left", "4194304.1.1-of-a-container"}
        for name in (*left, f"4194304.1.{here}-dead"):
            (place / name).mkdir()
        clones.sweep(store)
        assert {path.name for path in place.iterdir()} == {box.name, *left}
    moments.at("os.listdir", place, lambda: shutil.rmtree(place))
    clones.sweep(store)


def test_objects_are_packed_while_they_are_copied(scratch: Scratch, moments: Moments, tmp_path: Path) -> None:
    """A loose object that goes is in a pack that was not listed before, so the copy is not whole yet."""
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    source, target = scratch.root / ".git/objects", tmp_path / "copy/objects"
    blob = scratch.git("rev-parse", "HEAD:WORKING.md").strip()
    moments.at("open", source / blob[:2] / blob[2:], lambda: scratch.git("gc", "-q"))
    (target / "info").mkdir(parents=True)
    borrowing.copy(source, target)
    done = subprocess.run(
        ["git", "fsck", "--strict", "--connectivity-only", scratch.git("rev-parse", "HEAD").strip()],
        env=os.environ | {"GIT_DIR": str(scratch.root / ".git"), "GIT_OBJECT_DIRECTORY": str(target)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_workspace_that_is_used_again_since_is_not_swept(scratch: Scratch) -> None:
    """The tick's board is minutes old when it tidies up."""
    name = scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL).value.id
    scratch.act(lambda d: tasks.move(d, "1", Status.DONE))
    old = scratch.store.board()
    scratch.act(lambda d: tasks.move(d, "1", Status.INBOX))
    place = scratch.root / ".git/agentos/workspaces" / name
    place.mkdir(parents=True)
    assert workspace.sweep(scratch.store, old) == [] and place.exists()
    assert workspace.sweep(scratch.store, scratch.store.board()) == []


def test_a_folder_of_the_board_that_is_made_anew_is_watched(tmp_path: Path) -> None:
    """`git checkout` of another branch and back: changes were seen once a minute from then on."""
    file = tmp_path / "board/tasks/a.md"
    file.parent.mkdir(parents=True)
    with Changes(tmp_path) as changes:
        shutil.rmtree(tmp_path / "board")
        assert changes.wait(30)
        file.parent.mkdir(parents=True)
        assert changes.wait(30)
        while changes.wait(0.5):
            pass
        file.write_text("a")
        assert changes.wait(30)


LOOKS = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from agentos.orchestrator import running, schedule
from agentos.orchestrator.schedule import Wake
from agentos.store.repository import Store
running.load()
store = Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
before, then = set(sys.modules), datetime(2026, 2, 2, tzinfo=UTC)
board = store.board()
schedule.next_due(board, {name: Wake(then) for name in board.agents}, then)
print(sorted(set(sys.modules) - before))
"""


def test_an_interrupt_of_agentos_run_comes_amid_no_import(scratch: Scratch) -> None:
    """It broke yaml for the ticks that were at work: `partially initialized module 'yaml'`."""
    scratch.act(lambda d: tasks.add(d, "First"), TECHNICAL)
    agent = scratch.store.board().agent("technical")
    plain = agent.agentos.model_dump(mode="json", exclude_unset=True) | {"heartbeat": "0 9 * * 1"}
    scratch.act(lambda d: d.put(agent.replace(agentos=plain)))
    shutil.rmtree(scratch.root / ".git/agentos/cache")
    done = subprocess.run(
        [sys.executable, "-c", LOOKS], cwd=scratch.root, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr

"""`agentos run`: ticks at once when a file changes, and leaves cleanly."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Scratch
from test_heartbeat import confinement, equip, wait_for

from agentos.actions import tasks
from agentos.model.words import Status
from agentos.orchestrator import schedule, watching
from agentos.orchestrator.schedule import Wake
from agentos.orchestrator.watching import Changes


class Foreground:
    """A real `agentos run`, and what it has said so far."""

    def __init__(self, root: Path, *options: str) -> None:
        line = [sys.executable, "-c", "from agentos.cli.main import run; run()", "run", *options]
        self.process = subprocess.Popen(
            line, cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def says(self, text: str) -> None:
        until = time.monotonic() + 20
        while text not in self.said and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert text in self.said, self.said

    def leave(self) -> int:
        """Ask it to end, as Ctrl-C does (which is ignored below a shell's `&`); gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self._reader.join()
        return code


@contextmanager
def foreground(root: Path, *options: str) -> Iterator[Foreground]:
    running = Foreground(root, *options)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running._reader.join()
        assert running.process.stderr is not None
        running.process.stderr.close()


def status(board: Scratch) -> Status:
    return board.store.board().task("1").status


def test_a_file_dropped_in_is_given_out_and_worked_off_at_once(scratch: Scratch) -> None:
    with foreground(scratch.root) as running:
        running.says("Watching the board")
        scratch.write("board/tasks/shop.md", "# Open the shop\n")
        running.says("completed TASK-001 (simulated)")
        assert status(scratch) is Status.DONE
        count = scratch.git("rev-list", "--count", "HEAD")
        time.sleep(0.6)
        assert scratch.git("rev-list", "--count", "HEAD") == count, "it does not answer to its own commits"
        assert running.leave() == 0
    assert running.said.endswith("Stopped.\n") and "Traceback" not in running.said
    assert scratch.git("status", "--porcelain") == ""


def test_a_fresh_edit_waits_until_it_was_left_alone(scratch: Scratch) -> None:
    with foreground(scratch.root, "--settle", "1s") as running:
        running.says("Watching the board")
        scratch.write("board/tasks/shop.md", "# Open the shop\n")
        saved = time.monotonic()
        running.says("completed TASK-001 (simulated)")
        assert time.monotonic() - saved > 1
        assert running.leave() == 0


@pytest.mark.parametrize("is_patient", [True, False])
def test_who_leaves_waits_for_what_is_at_work_or_leaves_it_to_end(scratch: Scratch, is_patient: bool) -> None:
    scratch.write("board/config.yml", scratch.read("board/config.yml") + f"sandbox: '{confinement()}'\n")
    scratch.act(lambda draft: tasks.add(draft, "The work", assignees=["technical"]))
    work = ["sh", "-c", "touch begun; until rm go; do sleep 0.02; done 2>/dev/null; echo done > made.txt"]
    equip(scratch, "technical", runner="command", command=work)
    equip(scratch, "qa", paused=True)
    with foreground(scratch.root) as running:
        running.says("→ technical works on TASK-001")
        place = scratch.store.local / "workspaces/TASK-001-the-work"
        wait_for((place / "begun").exists)
        running.process.send_signal(signal.SIGTERM)
        running.says("Waiting for technical (TASK-001)")
        if is_patient:
            (place / "go").touch()
            assert running.process.wait(60) == 0
            assert "✓ technical: submitted TASK-001" in running.said
        else:
            assert running.leave() == 0
            assert status(scratch) is Status.IN_PROGRESS
            (place / "go").touch()
    wait_for(lambda: status(scratch) is Status.REVIEW)
    assert scratch.git("show", "agentos/TASK-001-the-work:made.txt") == "done\n"


def test_once_is_one_tick_in_lines(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda draft: tasks.add(draft, "The work", assignees=["technical"]))
    done = cli("run", "--once")
    assert done.code == 0 and "→ technical works on TASK-001" in done.err, done
    assert "✓ technical: submitted TASK-001" in done.err
    assert cli("run", "--once", "--quiet").err == ""


# Watching -----------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "board/tasks").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "src").mkdir()
    return tmp_path


def seen(changes: Changes, act: Callable[[], Any], seconds: float = 5.0) -> bool:
    act()
    return changes.wait(seconds)


def test_changes_of_the_board_are_seen_and_no_others(root: Path) -> None:
    task = root / "board/tasks/a.md"
    with Changes(root) as changes:
        assert not changes.note
        assert seen(changes, lambda: task.write_text("a"))
        for name in (".git/index", "src/a.py", "notes.txt"):
            assert not seen(changes, lambda name=name: (root / name).write_text("a"), 0.2)  # type: ignore[misc]
        assert not seen(changes, task.read_text, 0.2), "reading is no change"
        assert seen(changes, lambda: (root / "WORKING.md").write_text("a"))
        assert seen(changes, (root / "docs").mkdir)
        assert seen(changes, lambda: (root / "docs/a.md").write_text("a")), "a folder that came later"
        assert seen(changes, lambda: task.rename(root / "b.md")), "moved away"


def test_a_burst_is_few_changes(root: Path) -> None:
    def burst() -> None:
        for number in range(20):
            (root / f"board/tasks/{number}.md").write_text("a")

    with Changes(root) as changes:
        assert seen(changes, burst)
        more = 0
        while changes.wait(0.3):
            more += 1
        assert more < 5


def test_where_no_watch_is_left_files_are_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from watchdog.observers.inotify import InotifyObserver

    def none_left(*args: Any, **how: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(InotifyObserver, "schedule", none_left)
    monkeypatch.setattr(watching, "POLL", 0.05)
    with Changes(root) as changes:
        assert "No file watch is left here" in changes.note
        time.sleep(0.1)
        assert seen(changes, lambda: (root / "board/tasks/a.md").write_text("a"))


def test_without_a_worktree_there_is_only_the_clock() -> None:
    with Changes(None) as changes:
        assert not changes.wait(0.01)
        threading.Timer(0.05, changes.wake).start()
        assert changes.wait(5)


def test_the_next_tick_is_when_the_first_agent_is_due(scratch: Scratch) -> None:
    board, now = scratch.store.board(), scratch.clock()
    assert schedule.next_due(board, {}, now) is None
    wakes = {"technical": Wake(now - timedelta(minutes=5)), "qa": Wake(now - timedelta(hours=5))}
    assert schedule.next_due(board, wakes, now) == now + timedelta(minutes=10)
    resting = {"qa": Wake(now, rests={"T": now + timedelta(seconds=30)})}
    assert schedule.next_due(board, wakes | resting, now) == now + timedelta(seconds=30)

"""The disk: full, or read-only; one clear line, nothing half written, and all well once that is mended."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Clock, Scratch

from agentos.actions import tasks
from agentos.errors import AgentOSError
from agentos.model.activity import Actor

TECHNICAL = Actor("technical", is_agent=True)
AGENTOS = Path(sys.executable).with_name("agentos")


@dataclass
class Disk:
    """A small file system of its own, with a board on it."""

    mount: Path
    scratch: Scratch

    def run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [AGENTOS, *args], cwd=self.scratch.root, capture_output=True, text=True, timeout=120, check=False
        )

    def fill(self, left: int = 0) -> None:
        """Use up the room on it, but for so many bytes."""
        ballast = self.mount / "ballast"
        with ballast.open("ab") as stream:
            for size in (1 << 20, 1 << 16, 1 << 12, 1):
                try:
                    while True:
                        os.write(stream.fileno(), b"x" * size)
                except OSError:
                    continue
        if left:
            os.truncate(ballast, max(0, ballast.stat().st_size - left))

    def free(self) -> None:
        (self.mount / "ballast").unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.mount], check=True)


@pytest.fixture
def disk(template: Path, tmp_path: Path) -> Iterator[Disk]:
    """A tmpfs of 4 MB; skipped where nothing can be mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root on Linux")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["cp", "-a", template, mount / "repo"], check=True)
        disk = Disk(mount, Scratch(mount / "repo", Clock()))
        disk.scratch.act(lambda d: (tasks.add(d, "First"), tasks.add(d, "Second")))
        yield disk
    finally:
        subprocess.run(["umount", mount], check=False)


def refused(done: "subprocess.CompletedProcess[str]", word: str) -> None:
    """Left with 1 and one line that says why."""
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert word in lines[0].lower()


def test_a_full_disk(disk: Disk) -> None:
    scratch = disk.scratch
    head = scratch.git("rev-parse", "HEAD")
    disk.fill()
    for command in (["task", "add", "Third"], ["task", "edit", "1", "--priority", "1"], ["tick"]):
        refused(disk.run(*command), "no space left")
        assert scratch.git("rev-parse", "HEAD") == head
    assert disk.run("task", "list").stdout.count("\n") == 2
    assert disk.run("board").returncode == 0
    assert scratch.git("--no-optional-locks", "status", "--porcelain") == ""
    disk.free()
    assert disk.run("task", "add", "Third").returncode == 0
    assert disk.run("tick").returncode == 0
    assert scratch.git("status", "--porcelain") == ""
    assert scratch.git("log", "--format=%an", "--author=Ada", f"{head.strip()}..").count("\n") == 1
    scratch.git("fsck", "--strict")


def test_a_disk_that_fills_up_on_the_way(disk: Disk) -> None:
    """With room for one more step each time: the branch has all of it, or nothing."""
    scratch = disk.scratch
    added = failed = 0
    for pages in range(1, 60, 2):
        disk.fill(pages * 4096)
        try:
            scratch.act(
                lambda d, pages=pages: tasks.add(d, f"With {pages}", body="Words. " * 2000), TECHNICAL
            )
            said = True
        except (OSError, AgentOSError):
            said = False
            failed += 1
        names = scratch.git("ls-tree", "--name-only", "HEAD", "board/tasks/").count("TASK-")
        assert names - 2 - added in ((1,) if said else (0, 1)), pages
        added = names - 2
        disk.free()
        scratch.act(lambda d: None, TECHNICAL)
        assert scratch.git("status", "--porcelain", "-uall") == "", pages
    assert added > 2 and failed > 2
    titles = [task.title for task in scratch.store.board().tasks.values()]
    assert len(titles) == len(set(titles)) == 2 + added
    assert set(scratch.git("log", "--format=%an", f"-{added}").splitlines()) == {"technical"}
    scratch.git("fsck", "--strict")


def test_a_read_only_disk(disk: Disk) -> None:
    scratch = disk.scratch
    head = scratch.git("rev-parse", "HEAD")
    disk.remount("ro")
    for command in (["task", "add", "Third"], ["tick"], ["init"]):
        refused(disk.run(*command), "read-only")
    for command in (
        ["task", "list"],
        ["board"],
        ["log"],
        ["doctor"],
        ["task", "show", "1"],
        ["tick", "--dry-run"],
    ):
        shown = disk.run(*command)
        assert shown.returncode == 0, shown
    disk.remount("rw")
    assert scratch.git("rev-parse", "HEAD") == head
    assert disk.run("task", "add", "Third").returncode == 0
    assert scratch.git("status", "--porcelain") == ""


def test_a_read_only_git_folder(disk: Disk) -> None:
    """The working tree can be written, the repository can't: nothing may be left in the tree."""
    scratch = disk.scratch
    inner = scratch.root / ".git"
    subprocess.run(["mount", "--bind", inner, inner], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", inner], check=True)
        for command in (["task", "add", "Third"], ["task", "move", "1", "done"], ["tick"]):
            refused(disk.run(*command), "read-only")
        assert disk.run("task", "list").stdout.count("\n") == 2
        assert scratch.git("status", "--porcelain") == ""
    finally:
        subprocess.run(["umount", inner], check=True)
    assert disk.run("task", "add", "Third").returncode == 0
    assert scratch.git("status", "--porcelain") == ""


def test_a_working_tree_that_cant_be_written(disk: Disk) -> None:
    """The commit stands, or nothing does; the files follow as soon as they can."""
    scratch = disk.scratch
    inner = scratch.root / "board"
    subprocess.run(["mount", "--bind", inner, inner], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", inner], check=True)
        refused(disk.run("task", "add", "Third"), "read-only")
        refused(disk.run("task", "edit", "1", "--priority", "1"), "read-only")
    finally:
        subprocess.run(["umount", inner], check=True)
    scratch.act(lambda d: None)
    assert scratch.git("status", "--porcelain") == ""
    assert "deleted" not in scratch.git("log", "--format=%s")
    assert len(scratch.store.board().tasks) in (2, 3)


def without_override() -> None:
    """From the next program on, file modes bind root too: PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and _READ_SEARCH."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):
            if libc.prctl(24, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.skipif(sys.platform != "linux", reason="dropping root's override is Linux's prctl")
@pytest.mark.parametrize("place", [".git/objects", ".git/agentos", ".git/refs/heads", ".git", "board/tasks"])
def test_a_folder_that_may_not_be_written(scratch: Scratch, place: str) -> None:
    scratch.act(lambda d: (tasks.add(d, "First"), tasks.add(d, "Second")))
    head = scratch.git("rev-parse", "HEAD").strip()
    folders = [folder for folder in (scratch.root / place).rglob("*") if folder.is_dir()]
    folders = [scratch.root / place, *(folders if place == ".git/objects" else [])]

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [AGENTOS, *args], cwd=scratch.root, capture_output=True, text=True, check=False,
            preexec_fn=without_override,
        )  # fmt: skip

    try:
        for folder in folders:
            folder.chmod(0o555)
        refused(run("task", "add", "Third"), "permission denied")
        assert run("task", "list").stdout.count("\n") in (2, 3)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    is_committed = place == "board/tasks"
    assert scratch.git("rev-list", "--count", f"{head}..") == ("1\n" if is_committed else "0\n")
    scratch.act(lambda d: None)
    assert scratch.git("status", "--porcelain") == ""
    assert len(scratch.store.board().tasks) == 2 + is_committed
    assert run("task", "add", "Fourth").returncode == 0
    assert scratch.git("status", "--porcelain") == ""

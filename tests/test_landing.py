"""Landing a commit on the board's branch: code and records, and what a person has there untouched."""

import os
import shutil
from pathlib import Path

import pytest
from conftest import Scratch

from agentos.actions import tasks
from agentos.errors import Conflict
from agentos.model.activity import Actor
from agentos.store import landing
from agentos.store.transaction import Result, transact

TECHNICAL = Actor("technical", is_agent=True)
ONE = "board/tasks/TASK-001-one.md"


class Fork:
    """A board with some code, and a branch `work` in a clone of its own."""

    def __init__(self, scratch: Scratch) -> None:
        self.here = scratch
        scratch.act(lambda d: tasks.add(d, "One", needs=["a-person"]))
        for name in ("a", "b", "c"):
            scratch.write(f"src/{name}.txt", "".join(f"{name}{i}\n" for i in range(9)))
        (scratch.root / "run").symlink_to("src/a.txt")
        scratch.git("add", "-A")
        scratch.git("commit", "-qm", "some code")
        self.there = Scratch(scratch.root.with_name("there"), scratch.clock)
        shutil.copytree(scratch.root, self.there.root, symlinks=True)

    def commit(self, **files: str | None) -> None:
        """Files set in the clone, or removed, and committed; `__` stands for a slash, `_txt` for `.txt`."""
        for name, text in files.items():
            path = name.replace("__", "/").replace("_txt", ".txt")
            if text is None:
                (self.there.root / path).unlink()
            else:
                self.there.write(path, text)
        self.there.git("add", "-A")
        self.there.git("commit", "-qm", "their work")

    def land(self, by: Actor | None = None) -> Result[bool]:
        self.here.git("fetch", "-q", str(self.there.root), "main:refs/work")
        commit = self.here.git("rev-parse", "refs/work").strip()
        store = self.here.store
        return transact(
            store, lambda d: landing.take(d, store, commit, "work") is not None, by or store.person()
        )

    @property
    def status(self) -> str:
        return self.here.git("status", "--porcelain", "-uall")

    @property
    def head(self) -> str:
        return self.here.git("rev-parse", "HEAD").strip()


@pytest.fixture
def fork(scratch: Scratch) -> Fork:
    return Fork(scratch)


def test_a_branch_that_is_behind_just_moves_with_files_and_index(fork: Fork) -> None:
    there = fork.there.root
    fork.there.write("src/deep/new.sh", "echo\n").chmod(0o755)
    (there / "src/b.txt").chmod(0o755)
    (there / "run").unlink()
    (there / "run").symlink_to("src/b.txt")
    (there / "link").symlink_to("/etc/passwd")
    fork.commit(src__c_txt=None)
    result = fork.land()
    here = fork.here.root
    assert result.commit == fork.head == fork.there.git("rev-parse", "HEAD").strip()
    assert fork.status == ""
    assert os.access(here / "src/deep/new.sh", os.X_OK) and os.access(here / "src/b.txt", os.X_OK)
    assert os.readlink(here / "run") == "src/b.txt" and os.readlink(here / "link") == "/etc/passwd"
    assert not (here / "src/c.txt").exists()


def test_both_sides_are_merged_code_as_git_does_records_by_what_they_mean(fork: Fork) -> None:
    there, here = fork.there, fork.here
    there.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    there.act(lambda d: tasks.add(d, "Theirs"))
    fork.commit(src__a_txt="".join(f"a{i}\n" for i in range(8)) + "their end\n")
    here.act(lambda d: tasks.edit(d, "1", {"due": "2026-03-01"}))
    here.write("src/a.txt", "our begin\n" + "".join(f"a{i}\n" for i in range(1, 9)))
    here.git("commit", "-qam", "our code")
    fork.land()
    assert here.git("log", "-1", "--format=%p").count(" ") == 1
    assert here.git("log", "-1", "--format=%B").splitlines()[0] == "Merge work"
    assert "Event: board.merged work" in here.git("log", "-1", "--format=%B")
    assert here.read("src/a.txt") == "our begin\n" + "".join(f"a{i}\n" for i in range(1, 8)) + "their end\n"
    assert "priority: 1" in here.read(ONE) and "due: 2026-03-01" in here.read(ONE)
    assert "[TASK-002] Theirs" in here.read("WORKING.md")
    assert "board.merged" not in here.read("WORKING.md") and "merged work" not in here.read("WORKING.md")
    assert fork.status == ""
    assert here.act(lambda d: None).commit is None


def test_a_conflict_in_code_is_named_and_nothing_changes(fork: Fork) -> None:
    fork.commit(src__a_txt="theirs\n", src__b_txt="theirs\n")
    fork.here.write("src/a.txt", "ours\n")
    fork.here.git("commit", "-qam", "our code")
    before = fork.head
    with pytest.raises(Conflict, match=r"same lines as this branch: src/a\.txt\."):
        fork.land()
    assert (fork.head, fork.status) == (before, "")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("edited", r"src/a\.txt \(edited\)"),
        ("staged", r"src/a\.txt \(staged\)"),
        ("removed", r"src/a\.txt \(deleted here\)"),
        ("rm", r"src/a\.txt \(its removal is staged\)"),
        ("untracked", r"src/new\.txt \(untracked\)"),
        ("folder", r"src/new\.txt \(src/new\.txt/mine is in the way\)"),
        ("link", r"src/deep/x\.txt \(src/deep is no folder here\)"),
    ],
)
def test_what_a_person_has_in_the_way_is_named_and_left(fork: Fork, what: str, said: str) -> None:
    here = fork.here
    fork.commit(src__a_txt="theirs\n", src__new_txt="new\n", src__deep__x_txt="x\n")
    match what:
        case "edited" | "staged":
            here.write("src/a.txt", "mine\n")
            here.git(*(["add", "-A"] if what == "staged" else ["status"]))
        case "removed" | "rm":
            here.git(*(["rm", "-q", "src/a.txt"] if what == "rm" else ["status"]))
            (here.root / "src/a.txt").unlink(missing_ok=True)
        case "untracked":
            here.write("src/new.txt", "mine\n")
        case "folder":
            here.write("src/new.txt/mine", "mine\n")
        case "link":
            (here.root / "src/deep").symlink_to("/tmp")
    before = (fork.head, fork.status)
    with pytest.raises(Conflict, match=said):
        fork.land()
    assert (fork.head, fork.status) == before


def test_edits_elsewhere_stay_and_a_dirty_record_is_merged(fork: Fork) -> None:
    here = fork.here
    fork.there.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    fork.commit(src__a_txt="theirs\n")
    here.write("src/b.txt", "mine\n")
    here.write("src/c.txt", "staged\n")
    here.git("add", "src/c.txt")
    here.write("untracked.txt", "mine\n")
    here.write(ONE, here.read(ONE).replace("title: One", "title: Uno"))
    fork.land()
    assert fork.status == " M src/b.txt\nM  src/c.txt\n?? untracked.txt\n"
    assert "title: Uno" in here.read(ONE) and "priority: 1" in here.read(ONE)
    assert here.read("src/a.txt") == "theirs\n"


def test_a_file_and_a_folder_change_places(fork: Fork) -> None:
    fork.commit(src__a_txt=None, src__b_txt=None, src__c_txt=None)
    (fork.there.root / "src").rmdir()
    fork.commit(src="a file now\n", run=None)
    fork.commit(run__inner_txt="a folder now\n")
    fork.land()
    assert fork.here.read("src") == "a file now\n" and fork.here.read("run/inner.txt") == "a folder now\n"
    assert fork.status == ""


def test_a_submodule_is_recorded_and_its_folder_left(fork: Fork) -> None:
    commit = fork.there.git("rev-parse", "HEAD").strip()
    fork.there.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    fork.there.git("commit", "-qm", "a submodule")
    fork.land()
    assert fork.here.git("ls-tree", "HEAD", "lib").startswith("160000 commit")
    assert (fork.here.root / "lib").is_dir() and fork.status == ""


def test_a_record_that_can_not_be_read_lands_byte_for_byte(fork: Fork) -> None:
    fork.commit(**{"board/tasks/TASK-009-broken.md": "---\ntitle: [\n---\n"})
    fork.here.act(lambda d: tasks.add(d, "Ours"))
    fork.land()
    assert fork.here.read("board/tasks/TASK-009-broken.md") == "---\ntitle: [\n---\n"
    assert "TASK-009-broken.md:" in fork.here.read("WORKING.md")


def test_one_name_made_twice_becomes_two_tasks_with_their_references(fork: Fork) -> None:
    here, there = fork.here, fork.there
    theirs = there.act(lambda d: tasks.add(d, "Add login", priority=1)).value
    here.act(lambda d: tasks.add(d, "Add login", priority=2))
    here.act(lambda d: tasks.add(d, "After it", depends_on=["TASK-002-add-login"]))
    here.write(f"board/messages/{theirs.id}/20260202T103000Z-ada-k3f9.md", "---\nauthor: ada\n---\n\nHi\n")
    fork.land()
    board = here.store.board()
    assert {name: task.priority for name, task in board.tasks.items() if "login" in name} == {
        "TASK-002-add-login": 1, "TASK-004-add-login": 2,
    }  # fmt: skip
    assert board.tasks["TASK-003-after-it"].depends_on == ("TASK-004-add-login",)
    assert [path.split("/")[2] for path in board.messages] == ["TASK-004-add-login"]
    assert fork.status == ""


def test_a_task_archived_here_and_edited_there_is_one_task(fork: Fork) -> None:
    fork.there.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    fork.here.act(lambda d: tasks.move(d, "1", "done"))
    fork.here.act(lambda d: tasks.archive(d, ["1"]))
    fork.land()
    assert not Path(fork.here.root / ONE).exists()
    assert "priority: 1" in fork.here.read("board/archive/00xx/TASK-001-one.md")
    assert fork.here.store.board().problems == ()


@pytest.mark.parametrize("is_ours", [True, False], ids=["renamed here", "renamed there"])
def test_a_task_renamed_on_one_side_and_edited_on_the_other_is_one_task(fork: Fork, is_ours: bool) -> None:
    fork.here.act(lambda d: tasks.add(d, "After it", depends_on=["1"]))
    one, other = (fork.here, fork.there) if is_ours else (fork.there, fork.here)
    (one.root / ONE).rename(one.root / "board/tasks/TASK-001-uno.md")
    one.act(lambda d: None)
    other.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    fork.land()
    board = fork.here.store.board()
    assert sorted(board.tasks) == ["TASK-001-uno", "TASK-002-after-it"]
    assert board.tasks["TASK-001-uno"].priority == 1
    assert board.tasks["TASK-002-after-it"].depends_on == ("TASK-001-uno",)
    assert fork.status == ""


def test_deleted_against_changed_the_change_wins(fork: Fork) -> None:
    fork.there.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    (fork.here.root / ONE).unlink()
    fork.here.git("commit", "-qam", "cancelled")
    fork.land()
    assert "priority: 1" in fork.here.read(ONE)
    assert fork.status == ""

"""Transactions: what lands in the commit, and what is left alone."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from conftest import Scratch

from agentos.actions import tasks
from agentos.model import working
from agentos.model.activity import Actor
from agentos.model.briefs import Brief
from agentos.store.cache import MOST_UNKNOWN
from agentos.store.draft import Draft

TECHNICAL = Actor("technical", is_agent=True)


def test_a_task_is_one_commit_with_its_page(scratch: Scratch) -> None:
    result = scratch.act(lambda d: tasks.add(d, "Add a login", priority=2))
    assert result.value.id == "TASK-001-add-a-login"
    assert scratch.git("show", "--stat=200", "--format=%s", "HEAD").splitlines()[0] == (
        "TASK-001-add-a-login: created"
    )
    assert scratch.git("status", "--porcelain") == ""
    assert "- [TASK-001] Add a login\n" in scratch.read("WORKING.md")


def test_setting_one_field_changes_one_line(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"))
    path = "board/tasks/TASK-001-add-a-login.md"
    odd = (
        "---\n# a comment\ntitle:   'Add a login'  # why\nzeta: {b: 1,  a: [x, \"y\"]}\npriority: 3   # soon\n"
        "status: inbox\n---\n\nBody  \n"
    )
    scratch.write(path, odd)
    scratch.git("commit", "-qam", "odd")
    scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    assert scratch.read(path) == odd.replace("priority: 3 ", "priority: 1 ")


def test_what_the_person_staged_edited_and_left_untracked_stays(scratch: Scratch) -> None:
    scratch.write("staged.txt", "one\n")
    scratch.write("edited.txt", "one\n")
    scratch.git("add", ".")
    scratch.git("commit", "-qm", "files")
    scratch.write("staged.txt", "two\n")
    scratch.git("add", "staged.txt")
    scratch.write("edited.txt", "two\n")
    scratch.write("untracked.txt", "new\n")
    before = scratch.git("status", "--porcelain")
    for i in range(10):
        scratch.act(lambda d, i=i: tasks.add(d, f"Task {i}"), TECHNICAL)
    assert scratch.git("status", "--porcelain") == before
    assert scratch.git("diff", "--cached", "--name-only") == "staged.txt\n"
    scratch.git("commit", "-qm", "mine")
    assert scratch.git("show", "--name-only", "--format=", "HEAD") == "staged.txt\n"
    assert len(scratch.store.board().tasks) == 10


def test_a_decision_that_fails_leaves_nothing(scratch: Scratch) -> None:
    head = scratch.git("rev-parse", "HEAD")
    outcome = None
    try:
        scratch.act(lambda d: (tasks.add(d, "One"), tasks.edit(d, "99", {"priority": 1})))
    except Exception as error:
        outcome = type(error).__name__
    assert outcome == "NotFound"
    assert scratch.git("rev-parse", "HEAD") == head
    assert scratch.git("status", "--porcelain") == ""


def test_a_hand_edit_is_adopted_as_the_persons_commit(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"), TECHNICAL)
    path = "board/tasks/TASK-001-add-a-login.md"
    scratch.write(path, scratch.read(path).replace("status: inbox", "status: done"))
    scratch.act(lambda d: tasks.add(d, "Another"), TECHNICAL)
    authors = scratch.git("log", "--format=%an: %s", "-2").splitlines()
    assert authors == [
        "technical: TASK-002-another: created",
        "Ada Lovelace: TASK-001-add-a-login: inbox → done",
    ]
    assert "resolution: completed" in scratch.read(path)
    assert scratch.git("status", "--porcelain") == ""


def test_what_was_committed_by_hand_before_somebody_moved_the_branch_is_said(scratch: Scratch) -> None:
    path = scratch.act(lambda draft: tasks.add(draft, "First")).value.path
    scratch.write(path, scratch.read(path) + "\nBy hand.\n")
    left = [lambda: scratch.git("commit", "-q", "--allow-empty", "-m", "mine")]

    def decide(draft: Draft) -> None:
        if left:
            left.pop()()
        tasks.add(draft, "Second")

    assert scratch.act(decide).notes == ("TASK-001-first: text edited  (by hand)",)
    assert scratch.git("log", "-3", "--format=%s").splitlines() == [
        "TASK-002-second: created", "mine", "TASK-001-first: text edited",
    ]  # fmt: skip


def test_a_file_dropped_in_under_a_plain_name_is_numbered(scratch: Scratch) -> None:
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nwords\n")
    scratch.act(lambda d: None)
    assert scratch.store.board().task("1").title == "Try dark mode"
    assert not (scratch.root / "board/tasks/idea.md").exists()
    assert scratch.read("board/tasks/TASK-001-try-dark-mode.md") == "# Try dark mode\n\nwords\n"
    assert scratch.git("status", "--porcelain") == ""


EDITOR = """
import sys, time
data = open(sys.argv[1], "rb").read() + b"By hand.\\n"
with open(sys.argv[1], "wb") as file:
    print("emptied", flush=True)
    time.sleep(0.3)
    file.write(data)
"""


@pytest.mark.parametrize("path", ["board/tasks/TASK-001-add-a-login.md", "WORKING.md"])
def test_a_file_that_an_editor_has_just_emptied_is_not_taken_as_it_is(scratch: Scratch, path: str) -> None:
    """A save in place empties the file first, and a busy machine may keep the editor waiting there."""
    scratch.act(lambda d: tasks.add(d, "Add a login", body="Words."), TECHNICAL)
    editor = subprocess.Popen(
        [sys.executable, "-c", EDITOR, scratch.root / path], stdout=subprocess.PIPE, text=True
    )
    assert editor.stdout and editor.stdout.readline() == "emptied\n"
    scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    editor.communicate()
    time.sleep(0.03)
    if path != "WORKING.md":
        assert scratch.read(path).endswith("Words.\nBy hand.\n")
    scratch.act(lambda d: None)
    assert scratch.store.board().task("1").priority == 1
    assert "Words." in scratch.read("board/tasks/TASK-001-add-a-login.md")
    assert "TASK-001" in scratch.read("WORKING.md")
    assert scratch.git("status", "--porcelain") == ""


def test_what_is_kept_of_tasks_in_brief_is_what_their_records_say(scratch: Scratch) -> None:
    def many(draft: Draft) -> None:
        for i in range(MOST_UNKNOWN + 1):
            task = tasks.add(draft, f"Task {i}", priority=1 + i % 5, depends_on=["1"] if i else [])
            draft.put(task.replace(status="review" if i % 3 else "done", due="2026-03-01" if i % 2 else None))

    scratch.act(many)
    kept = scratch.store.local / "cache" / "briefs"
    first = kept.read_bytes()
    scratch.act(lambda d: tasks.edit(d, "2", {"priority": 4, "blocked": "why"}))
    assert kept.read_bytes() == first
    scratch.write("board/tasks/TASK-003-task-2.md", "---\ntitle: By hand\nstatus: inbox\n---\n")
    board = scratch.store.board()
    known = board.kept()
    blobs = {name: row[1] for name, row in board.tasks.rows.items()}
    assert {name[:8] for name, blob in blobs.items() if blob not in known} == {"TASK-002", "TASK-003"}
    assert board.briefs == {task.id: Brief.of(task) for task in board.tasks.values()}
    now = datetime(2026, 2, 2, tzinfo=UTC)
    page = working.render(board, [], now)
    kept.write_bytes(b"not a cache")
    assert working.render(scratch.store.board(), [], now) == page

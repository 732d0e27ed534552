"""Undo: one commit taken back, and everything that came later kept."""

import re
from collections.abc import Callable

import pytest
from conftest import Cli, Outcome, Scratch

from agentos.actions import messages, tasks
from agentos.model import undoing
from agentos.model.activity import Actor
from agentos.orchestrator import tick as ticking
from agentos.store import claims
from agentos.store.refs import Claim

FIRST = "board/tasks/TASK-001-one.md"
ROBOT = Actor("technical", is_agent=True)

Undo = Callable[..., Outcome]


@pytest.fixture
def one(scratch: Scratch) -> Scratch:
    """A board with one task that no agent takes."""
    criteria = ["It runs", "It is quick"]
    scratch.act(lambda d: tasks.add(d, "One", body="Words.", needs=["a-person"], criteria=criteria))
    return scratch


@pytest.fixture
def undo(cli: Cli) -> Undo:
    return lambda *args: cli("undo", *args)


def edit(here: Scratch, by: Actor | None = None, ref: str = "1", **changes: object) -> str:
    """Set fields of a task; gives the commit."""
    commit = here.act(lambda d: tasks.edit(d, ref, changes), by).commit
    assert commit is not None
    return commit


def head(here: Scratch) -> str:
    return here.git("rev-parse", "HEAD").strip()


def task(here: Scratch, ref: str = "1"):  # type: ignore[no-untyped-def]
    return here.store.board().task(ref)


def tick(here: Scratch) -> None:
    """Ticks until the first task was assigned and handed in."""
    for _ in range(2):
        ticking.tick(here.store, ticking.Options(force=True))


# What it does -------------------------------------------------------------------------------------------


def test_the_last_change_is_undone_and_the_undoing_as_well(one: Scratch, undo: Undo) -> None:
    before = one.read(FIRST)
    commit = edit(one, priority=1)
    done = undo()
    assert done.code == 0
    said = done.err.splitlines()
    assert (
        said[0] == f"Undoing {commit[:9]}, 2026-02-02T10:30:00Z, ada-lovelace: TASK-001-one: priority 3 → 1"
    )
    assert re.fullmatch(r"TASK-001-one: priority 1 → 3  \([0-9a-f]{9}\)", said[1])
    assert one.read(FIRST) == before
    assert one.git("log", "-1", "--format=%B").strip().splitlines() == [
        f"TASK-001-one: priority 1 → 3 (undoes {commit[:9]})",
        "",
        "Person: ada-lovelace",
        "Task: TASK-001-one",
        "Event: task.undone TASK-001-one",
        f"Undoes: {commit}",
    ]
    assert "- 10:30 - ada-lovelace undid a change to TASK-001" in one.read("WORKING.md")
    assert one.git("status", "--porcelain") == ""
    assert undo().code == 0
    assert task(one).priority == 1
    assert one.git("show", f"{commit}:{FIRST}") == one.read(FIRST)


def test_later_changes_stay(one: Scratch, undo: Undo) -> None:
    commit = edit(one, priority=1, estimate="2h", labels=["api", "ui"])
    edit(one, title="Another", priority=2, labels=["api", "ui", "later"])
    done = undo(commit[:8])
    assert done.code == 0
    assert "! TASK-001-one: priority stays 2; it was changed later" in done.err.splitlines()
    now = task(one)
    assert (now.title, now.priority, now.estimate, now.labels) == ("Another", 2, None, ("later",))
    assert "conflicts" not in one.read(FIRST)


def test_a_status_that_was_changed_again_stays(one: Scratch, undo: Undo) -> None:
    """Were it a merge of two sides, review would win over having been reopened."""
    one.act(lambda d: tasks.move(d, "1", "review"))
    done = one.act(lambda d: tasks.move(d, "1", "done")).commit
    one.act(lambda d: tasks.move(d, "1", "in_progress"))
    failed = undo(done)
    assert failed.code == 5
    assert "status stays in_progress; it was changed later" in failed.err
    assert task(one).status == "in_progress"


def test_text_and_boxes_are_undone_line_by_line(one: Scratch, undo: Undo) -> None:
    text = one.read(FIRST)
    one.write(FIRST, text.replace("Words.", "Other words.\n\nMore.").replace("[ ] It runs", "[x] It runs"))
    commit = one.act(lambda d: tasks.check(d, "1", 2)).adopted and one.git("rev-parse", "HEAD~1").strip()
    done = undo(str(commit))
    assert done.code == 0, done
    assert one.read(FIRST) == text.replace("[ ] It is quick", "[x] It is quick")


def test_a_text_that_was_changed_again_stays_and_it_is_said(one: Scratch, undo: Undo) -> None:
    def words(text: str) -> str:
        one.write(FIRST, re.sub(r"(?m)^Words.*$", text, one.read(FIRST)))
        one.act(lambda d: None)
        return head(one)

    commit = words("Words, other.")
    edit(one, priority=1)
    words("Words, a third time.")
    failed = undo(commit)
    assert (failed.code, len(failed.err.splitlines())) == (5, 2)
    assert "the text, in part, stays; it was changed later" in failed.err
    assert "Words, a third time." in one.read(FIRST)


def test_what_was_created_goes_and_what_was_removed_comes_back(one: Scratch, undo: Undo, cli: Cli) -> None:
    before = one.git("rev-parse", "HEAD^{tree}:board")
    cli("task", "add", "Two")
    assert undo().code == 0
    assert one.git("rev-parse", "HEAD^{tree}:board") == before
    agent = one.read("agents/qa.md")
    cli("agent", "remove", "qa")
    assert undo().code == 0
    assert one.read("agents/qa.md") == agent
    assert "agent.undone qa" in one.git("log", "-1", "--format=%B")


def test_what_was_created_and_changed_since_stays(one: Scratch, undo: Undo) -> None:
    commit = one.act(lambda d: [tasks.add(d, "Two"), tasks.add(d, "Three")]).commit
    edit(one, ref="2", priority=1)
    done = undo(commit)
    assert done.code == 0
    assert "! board/tasks/TASK-002-two.md stays; it was changed later" in done.err.splitlines()
    assert list(one.store.board().tasks) == ["TASK-001-one", "TASK-002-two"]


def test_a_message_goes_with_its_attachment_and_comes_back(one: Scratch, undo: Undo) -> None:
    one.act(lambda d: messages.add(d, "1", "Look", attach={"a.txt": b"x\n"}))
    files = one.git("ls-files", "board")
    assert undo().code == 0
    assert "attachments" not in one.git("ls-files", "board")
    assert undo().code == 0
    assert one.git("ls-files", "board") == files
    assert one.git("status", "--porcelain") == ""


def test_archiving_is_undone_even_where_the_task_was_changed_since(
    one: Scratch, undo: Undo, cli: Cli
) -> None:
    one.act(lambda d: tasks.move(d, "1", "done"))
    cli("task", "archive", "1")
    commit = head(one)
    edit(one, priority=1)
    assert undo(commit).code == 0
    assert (task(one).path, task(one).priority) == (FIRST, 1)


def test_an_edit_of_an_archived_task_is_undone_where_it_is(one: Scratch, undo: Undo, cli: Cli) -> None:
    commit = edit(one, priority=1)
    one.act(lambda d: tasks.move(d, "1", "done"))
    cli("task", "archive", "1")
    assert undo(commit).code == 0
    assert (task(one).is_archived, task(one).priority) == (True, 3)


def test_a_renamed_task_is_named_back_with_what_came_later(one: Scratch, undo: Undo) -> None:
    one.act(lambda d: messages.add(d, "1", "Early"))
    one.git("mv", FIRST, "board/tasks/TASK-001-uno.md")
    one.git("mv", "board/messages/TASK-001-one", "board/messages/TASK-001-uno")
    one.git("commit", "-qm", "Call it uno")
    commit = head(one)
    one.act(lambda d: messages.add(d, "1", "Late"))
    one.act(lambda d: tasks.add(d, "Two", depends_on=["1"]))
    assert undo(commit).code == 0
    board = one.store.board()
    assert list(board.tasks) == ["TASK-001-one", "TASK-002-two"]
    assert board.task("2").depends_on == ("TASK-001-one",)
    assert len(board.messages_of("TASK-001-one")) == len(board.messages) == 2


def test_a_hand_edit_that_nobody_committed_is_committed_and_undone(one: Scratch, undo: Undo) -> None:
    before = one.read(FIRST)
    one.write(FIRST, before.replace("title: One", "title: Typed"))
    done = undo()
    assert done.code == 0
    assert "(by hand)" in done.err.splitlines()[0]
    assert one.read(FIRST) == before
    assert "title: Typed" in one.git("show", f"HEAD~1:{FIRST}")


def test_of_a_commit_with_code_only_the_records_are_undone(one: Scratch, undo: Undo) -> None:
    one.write(FIRST, one.read(FIRST).replace("title: One", "title: By git"))
    one.write("src/code.py", "print()\n")
    one.write("docs/plain.md", "No record.\n")
    one.git("add", ".")
    one.git("commit", "-qm", "Both")
    done = undo()
    assert done.code == 0
    assert (
        "! docs/plain.md and 1 more: no record, left as it is; git revert is for code"
        in done.err.splitlines()
    )
    assert (task(one).title, one.read("src/code.py")) == ("One", "print()\n")
    assert one.git("status", "--porcelain") == ""


# What it refuses ----------------------------------------------------------------------------------------


def failed(done: Outcome, code: int) -> str:
    assert done.code == code, done
    assert done.err.splitlines()[-1].startswith("error: ")
    return done.err.splitlines()[-1]


def test_what_is_not_there_to_undo(one: Scratch, undo: Undo) -> None:
    commit = edit(one, priority=1)
    assert undo().code == 0
    assert f"{head(one)[:9]} undid it" in failed(undo(commit), 5)
    one.write("code.py", "x\n")
    one.git("add", "code.py")
    one.git("commit", "-qm", "code")
    assert "changed no record" in failed(undo("HEAD"), 5)
    one.git("checkout", "-q", "-b", "side")
    one.git("commit", "-q", "--allow-empty", "-m", "elsewhere")
    assert "not in the history of main" in failed(undo("side"), 3)
    for name in ("nowhere", "--all", "HEAD:board"):
        failed(undo("--", name), 3)


def test_a_merge_is_refused_in_words(one: Scratch, undo: Undo) -> None:
    one.git("checkout", "-q", "-b", "side")
    one.write(FIRST, one.read(FIRST).replace("priority: 3", "priority: 5"))
    one.git("commit", "-qam", "side")
    one.git("checkout", "-q", "main")
    one.git("merge", "-q", "--no-ff", "-m", "merged", "side")
    assert "is a merge" in failed(undo("HEAD"), 6)
    assert undo().code == 0
    assert task(one).priority == 3


def test_work_of_an_agent_that_was_built_on_it_is_named_and_comes_first(one: Scratch, undo: Undo) -> None:
    asked = edit(one, title="Two")
    agents = edit(one, ROBOT, priority=1)
    later = edit(one, ROBOT, estimate="3h")
    assert failed(undo(asked), 6).startswith(
        f"error: {later[:9]} built on it (agent:technical:main: TASK-001-one"
    )
    assert f"undo {asked[:9]} --force" in failed(undo(asked), 6)
    assert undo(later).code == undo(agents).code == undo(asked).code == 0
    assert (task(one).title, task(one).priority, task(one).estimate) == ("One", 3, None)
    assert undo().code == 0, "an undoing can be undone"


def test_undoing_the_undoing_of_an_agents_work_puts_it_in_the_way_again(one: Scratch, undo: Undo) -> None:
    asked = edit(one, title="Two")
    edit(one, ROBOT, priority=1)
    assert undo().code == 0
    assert undo().code == 0
    failed(undo(asked), 6)
    assert undo(asked, "--force").code == 0
    assert (task(one).title, task(one).priority) == ("One", 1)


def test_other_tasks_work_is_not_in_the_way(one: Scratch, undo: Undo) -> None:
    asked = edit(one, title="Two")
    one.act(lambda d: tasks.add(d, "Other"), ROBOT)
    assert undo(asked).code == 0


def test_a_task_that_an_agent_works_on_now(one: Scratch, undo: Undo) -> None:
    edit(one, title="Two")
    assert claims.take(one.store, Claim("TASK-001-one", "technical", "r", "2999-01-01T00:00:00Z"))
    assert "at work on TASK-001-one" in failed(undo(), 6)


def test_what_was_started_since_a_dependency_was_done(scratch: Scratch, undo: Undo) -> None:
    scratch.act(lambda d: [tasks.add(d, "One", needs=["x"]), tasks.add(d, "Two", depends_on=["1"])])
    completed = scratch.act(lambda d: tasks.move(d, "1", "done")).commit
    tick(scratch)
    assert task(scratch, "2").status == "review"
    assert "built on it" in failed(undo(completed), 6)


def test_a_heartbeat_is_undone_and_the_next_one_is_in_the_way_of_the_first(
    scratch: Scratch, undo: Undo
) -> None:
    scratch.act(lambda d: tasks.add(d, "One"))
    added = head(scratch)
    tick(scratch)
    assert task(scratch).status == "review"
    failed(undo(added), 6)
    assert undo().code == 0
    assert task(scratch).status == "in_progress"
    assert undo("HEAD~2").code == 0, "its dispatch, since what was built on it is undone"
    assert task(scratch).status == "assigned"


def test_what_others_speak_of_stays(one: Scratch, undo: Undo) -> None:
    added = one.act(lambda d: tasks.add(d, "Two")).commit
    one.act(lambda d: tasks.edit(d, "1", {}, add_to={"depends_on": ["2"]}))
    assert f"{FIRST} refers to what would be gone (since {head(one)[:9]})" in failed(undo(added), 6)
    question = one.act(lambda d: messages.add(d, "1", "Why?", type="question"))
    one.act(lambda d: messages.add(d, "1", "So.", type="answer", reply_to=question.value.id))
    failed(undo(question.commit), 6)
    assert undo(question.commit, "--force").code == 0


def test_a_file_that_waits_for_mending_is_left_alone(one: Scratch, undo: Undo) -> None:
    edit(one, priority=1)
    one.write(FIRST, "---\ntitle: [\n---\n")
    failed(undo(), 4)
    assert one.read(FIRST) == "---\ntitle: [\n---\n"


# The rule -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "now", "before", "changes", "kept"),
    [
        ({"a": 1}, {"a": 1}, {}, {"a": None}, {}),
        ({}, {}, {"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 0}, {}, {"a": 2}),
        ({"a": 1}, {}, {"a": 0}, {}, {"a": None}),
        ({"a": 1}, {"a": 0}, {"a": 0}, {}, {}),
        ({"l": [1, 2]}, {"l": [1, 2, 3]}, {"l": [1]}, {"l": [1, 3]}, {}),
        ({"l": [1]}, {"l": [1]}, {}, {"l": None}, {}),
        ({"assignees": ["b"]}, {"assignees": ["c"]}, {"assignees": ["a"]}, {}, {"assignees": ["c"]}),
        ({"m": {"x": 1, "y": 1}}, {"m": {"x": 1, "y": 2}}, {"m": {"y": 0}}, {"m": {"y": 2}}, {"m.y": 2}),
        ({"status": "done"}, {"status": "in_progress"}, {"status": "review"}, {}, {"status": "in_progress"}),
    ],
)  # fmt: skip
def test_the_rule(after: dict, now: dict, before: dict, changes: dict, kept: dict) -> None:  # type: ignore[type-arg]
    assert undoing.fields(after, now, before) == (changes, kept)

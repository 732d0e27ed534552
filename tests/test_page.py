"""WORKING.md is writable: what a person writes on the page is what a command would have done."""

from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.model.activity import Actor

TECHNICAL = Actor("technical", is_agent=True)


def two_tasks(scratch: Scratch) -> str:
    scratch.act(lambda d: tasks.add(d, "One"), TECHNICAL)
    scratch.act(lambda d: tasks.add(d, "Two"), TECHNICAL)
    return scratch.read("WORKING.md")


def moved(page: str, line: str, section: str) -> str:
    return page.replace(line, "", 1).replace(f"### {section}\n", f"### {section}\n{line}", 1)


def test_a_line_moved_to_another_section_moves_the_task(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    scratch.write("WORKING.md", moved(page, "- [TASK-001] One\n", "DONE"))
    scratch.act(lambda d: None)
    task = scratch.store.board().task("1")
    assert (task.status, task.resolution) == ("done", "completed")
    assert scratch.git("log", "-1", "--format=%an: %s") == "Ada Lovelace: TASK-001-one: inbox → done\n"
    assert "- [TASK-001] One ✅\n" in scratch.read("WORKING.md")
    assert scratch.git("status", "--porcelain") == ""


def test_retitling_and_assigning_and_adding_on_the_page(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    page = page.replace("- [TASK-001] One", "- [TASK-001] @agent:technical:main - One and a half")
    page = page.replace("### ASSIGNED\n", "### ASSIGNED\n- @qa - Something new\n- And without anybody\n")
    scratch.write("WORKING.md", page)
    scratch.act(lambda d: None)
    board = scratch.store.board()
    one = board.task("1")
    assert (one.title, one.assignees, one.status) == ("One and a half", ("technical",), "assigned")
    new = board.task("3")
    assert (new.title, new.assignees, new.status, new.created_by) == (
        "Something new", ("qa",), "assigned", "ada-lovelace"
    )  # fmt: skip
    assert board.task("4").title == "And without anybody"
    assert scratch.git("status", "--porcelain") == ""


def test_an_old_buffer_is_merged_from_the_version_it_came_from(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    scratch.act(lambda d: tasks.edit(d, "2", {"title": "Two, by an agent"}), TECHNICAL)
    scratch.act(lambda d: tasks.add(d, "Three"), TECHNICAL)
    scratch.write("WORKING.md", page.replace("One", "One, by hand"))
    scratch.act(lambda d: None)
    titles = sorted(task.title for task in scratch.store.board().tasks.values())
    assert titles == ["One, by hand", "Three", "Two, by an agent"]


def test_a_buffer_saved_twice_adds_once(scratch: Scratch) -> None:
    page = two_tasks(scratch).replace("### INBOX\n", "### INBOX\n- Something new\n")
    for _ in range(3):
        scratch.write("WORKING.md", page)
        scratch.act(lambda d: None)
        scratch.clock.forward(minutes=5)
    assert len(scratch.store.board().tasks) == 3


def test_what_is_refused_is_put_back_and_said(scratch: Scratch, cli: Cli) -> None:
    page = two_tasks(scratch)
    wrong = page.replace("- [TASK-001] One", "- [TASK-001] @nobody - One").replace(
        "### REVIEW\n", "### REVIEW\n- [TASK-002] Two\n- [TASK-099] Ghost\n"
    )
    scratch.write("WORKING.md", wrong)
    said = cli("tick").err
    assert "nobody is called nobody" in said
    assert "TASK-002 stands on the page twice" in said
    assert "TASK-099 is no task of this board" in said
    assert scratch.read("WORKING.md").splitlines()[2:] != wrong.splitlines()[2:]
    assert {task.status for task in scratch.store.board().tasks.values()} <= {"inbox", "assigned"}
    assert scratch.git("status", "--porcelain") == ""


def test_a_line_in_no_section_is_put_back_and_said(scratch: Scratch) -> None:
    page = two_tasks(scratch).replace("- [TASK-001] One\n", "")
    scratch.write(
        "WORKING.md", page.replace("### DONE\n", "### SOMEDAY\n- [TASK-001] One\n- Lost\n\n### DONE\n")
    )
    assert scratch.act(lambda d: None).notes == (
        "WORKING.md: 'SOMEDAY' is no section, so TASK-001 stays as it is; put back.",
        "WORKING.md: 'SOMEDAY' is no section, so 'Lost' was not added; put back.",
    )


def test_a_page_is_read_as_people_type_it(scratch: Scratch) -> None:
    page = two_tasks(scratch).replace("- [TASK-001] One\n", "")
    scratch.write("WORKING.md", page.replace("### DONE\n", "### Done\n- [x] [TASK-001] One\n"))
    scratch.act(lambda d: None)
    assert scratch.store.board().task("1").status == "done"


def test_a_deleted_page_is_put_back(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    (scratch.root / "WORKING.md").unlink()
    scratch.act(lambda d: None)
    assert scratch.read("WORKING.md") == page
    (scratch.root / "WORKING.md").unlink()
    assert not scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1})).notes
    assert scratch.git("status", "--porcelain") == ""


def test_a_page_that_git_was_told_not_to_look_at_is_left_alone(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    scratch.git("update-index", "--skip-worktree", "WORKING.md")
    scratch.write("WORKING.md", page.replace("### INBOX\n", "### INBOX\n- Something new\n"))
    scratch.act(lambda d: None)
    assert len(scratch.store.board().tasks) == 2
    assert "Something new" in scratch.read("WORKING.md")


def test_a_removed_line_removes_nothing(scratch: Scratch) -> None:
    page = two_tasks(scratch)
    scratch.write("WORKING.md", page.replace("- [TASK-001] One\n", ""))
    scratch.act(lambda d: None)
    assert scratch.read("WORKING.md") == page
    assert len(scratch.store.board().tasks) == 2

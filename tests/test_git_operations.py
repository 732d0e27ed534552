"""Git's own operations over the driver: merge, rebase, cherry-pick and stash pop join records field by field."""

import pytest
from conftest import Cli, Scratch

from agentos.actions import tasks

PATH = "board/tasks/TASK-001-add-a-login.md"
RENAMED = "board/tasks/TASK-001-log-people-in.md"
OPERATIONS = {
    "merge": [["merge", "-q", "--no-edit", "side"]],
    "rebase": [["rebase", "-q", "side"]],
    "cherry-pick": [["cherry-pick", "main..side"]],
    "stash pop": [["stash", "-q"], ["merge", "-q", "side"], ["stash", "pop", "-q"]],
}


def apart(scratch: Scratch, operation: str, renamed_by: str = "") -> str:
    """Both sides edit one record and the page, one may rename it; then the operation. Gives the record's path."""
    scratch.act(lambda d: tasks.add(d, "Add a login", body="First\n\nSecond", criteria=["one", "two"]))
    scratch.act(lambda d: tasks.add(d, "Another"))
    base, page = scratch.read(PATH), scratch.read("WORKING.md")
    scratch.git("switch", "-qc", "side")
    side = base.replace("priority: 3", "priority: 1").replace("[ ] one", "[x] one").replace("First", "First!")
    save(scratch, side, page.replace("Another", "Another one"), RENAMED if renamed_by == "theirs" else PATH)
    scratch.git("commit", "-qam", "theirs")
    scratch.git("switch", "-q", "main")
    mine = base.replace("status: inbox", "status: review").replace("[ ] two", "[x] two")
    mine = mine.replace("Second", "Second!").replace("title: Add a", "title: Add the")
    save(scratch, mine, page.replace("Another", "Another two"), RENAMED if renamed_by == "ours" else PATH)
    if operation != "stash pop":
        scratch.git("commit", "-qam", "ours")
    for args in OPERATIONS[operation]:
        scratch.git(*args)
    return RENAMED if renamed_by else PATH


def save(scratch: Scratch, text: str, page: str, path: str) -> None:
    if path != PATH:
        scratch.git("mv", PATH, path)
    scratch.write(path, text)
    scratch.write("WORKING.md", page)
    scratch.git("add", path)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("renamed_by", ["", "ours", "theirs"])
def test_both_sides_edits_of_a_record_meet(
    scratch: Scratch, cli: Cli, operation: str, renamed_by: str
) -> None:
    path = apart(scratch, operation, renamed_by)
    text = scratch.read(path)
    for word in (
        "priority: 1",
        "status: review",
        "title: Add the login",
        "First!",
        "Second!",
        "[x] one",
        "[x] two",
    ):
        assert word in text, text
    assert "conflict" not in text and "<<<<" not in text + scratch.read("WORKING.md")
    assert scratch.git("ls-files", "--unmerged") == ""
    if operation == "stash pop":
        scratch.git("commit", "-qam", "mine")
    scratch.act(lambda d: None)
    page = scratch.read("WORKING.md")
    assert "- [TASK-001] Add the login" in page and "- [TASK-002] Another\n" in page
    assert scratch.git("status", "--porcelain") == ""
    assert cli("doctor").code == 0


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_true_conflict_stops_no_operation(scratch: Scratch, cli: Cli, operation: str) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login", body="First\n\nSecond"))
    base = scratch.read(PATH)
    scratch.git("switch", "-qc", "side")
    scratch.write(PATH, base.replace("priority: 3", "priority: 1").replace("First", "Theirs"))
    scratch.git("commit", "-qam", "theirs")
    scratch.git("switch", "-q", "main")
    scratch.write(PATH, base.replace("priority: 3", "priority: 2").replace("First", "Ours"))
    if operation != "stash pop":
        scratch.git("commit", "-qam", "ours")
    for args in OPERATIONS[operation]:
        scratch.git(*args)
    scratch.git("commit", "-qam", "mine", check=False)
    told = cli("doctor")
    assert told.code == 4 and len(told.out.splitlines()) == 2 and told.out.count("agentos settle") == 2
    for word in ("priority: 1", "priority: 2", "Theirs", "Ours"):
        assert word in scratch.read(PATH)
    assert cli("settle", "1", "--theirs").code == 0
    assert cli("doctor").code == 0


def test_while_git_is_in_the_middle_nothing_is_committed(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"))
    scratch.git("switch", "-qc", "side")
    scratch.git("rm", "-q", PATH)
    scratch.git("commit", "-qm", "theirs")
    scratch.git("switch", "-q", "main")
    scratch.write(PATH, scratch.read(PATH).replace("priority: 3", "priority: 1"))
    scratch.git("commit", "-qam", "ours")
    scratch.git("merge", "-q", "side", check=False)
    head = scratch.git("rev-parse", "HEAD")
    assert cli("task", "add", "Another").code == 5
    assert cli("doctor", "--mend").code == 5
    told = cli("doctor").err
    assert "git is in the middle of a merge" in told
    assert f"{PATH} was edited on one side and deleted on the other" in told and f"git add {PATH}" in told
    assert scratch.git("rev-parse", "HEAD") == head
    scratch.git("add", PATH)
    scratch.git("commit", "-qm", "Merged")
    assert cli("doctor").code == 0
    assert scratch.store.board().task("1").priority == 1

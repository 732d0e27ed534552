"""agentos doctor explains the state of a clone, and --mend mends what is safe to mend, saying each thing."""

from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.store import strays

PATH = "board/tasks/TASK-001-add-a-login.md"


def notes(cli: Cli) -> str:
    return cli("doctor").err


def test_a_clone_whose_git_does_not_know_the_driver(scratch: Scratch, cli: Cli) -> None:
    scratch.git("config", "--remove-section", "merge.agentos")
    assert "merges records by lines; agentos doctor --mend" in notes(cli)
    assert "merges records field by field from now on" in cli("doctor", "--mend").err
    assert "agentos.store.driver" in scratch.git("config", "merge.agentos.driver")
    assert "merge" not in notes(cli)


def test_attributes_that_lack_the_driver_get_it(scratch: Scratch, cli: Cli) -> None:
    scratch.write(".gitattributes", "*.png binary")
    scratch.git("commit", "-qam", "attributes")
    assert ".gitattributes does not name the merge driver" in notes(cli)
    assert ".gitattributes names the merge driver" in cli("doctor", "--mend").err
    assert scratch.read(".gitattributes").startswith("*.png binary\n# Records")
    assert "gitattributes" not in notes(cli)
    assert scratch.git("status", "--porcelain") == ""


def test_a_lock_is_explained_by_whether_a_git_process_lives(scratch: Scratch, cli: Cli) -> None:
    """Who is at work is found out by `strays`; tests/test_crash.py has more of it."""
    lock = scratch.root / ".git" / "index.lock"
    lock.touch()
    told = notes(cli)
    assert "Nothing is committed: " in told and str(lock) in told and lock.exists()
    if strays.PROCESSES.is_dir():
        assert "was left by a git that died" in told


def test_paths_that_git_must_not_look_at_and_staged_ones_are_named(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"))
    scratch.git("update-index", "--skip-worktree", "agents/technical.md")
    scratch.write(PATH, scratch.read(PATH).replace("Add a", "Add the"))
    scratch.git("add", PATH)
    told = notes(cli)
    assert "git was told not to look at agents/technical.md" in told
    assert f"Staged and waiting for your commit: {PATH}." in told


def test_an_edit_that_can_not_be_read_is_listed_and_so_is_the_board_below_it(
    scratch: Scratch, cli: Cli
) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"))
    scratch.act(lambda d: tasks.add(d, "Child", parent="1"))
    scratch.write(PATH, scratch.read(PATH).replace("priority: 3", "priority: [2"))
    scratch.act(lambda d: tasks.move(d, "2", "done"))
    told = cli("doctor", "--mend")
    assert told.code == 4 and f"{PATH}:" in told.out
    assert f"The board moved on below your edits of {PATH}" in told.err


def test_mending_twice_says_nothing_the_second_time(scratch: Scratch, cli: Cli) -> None:
    assert cli("doctor", "--mend").err == "Every file is sound.\n"
    head = scratch.git("rev-parse", "HEAD")
    assert cli("doctor", "--mend").err == "Every file is sound.\n"
    assert scratch.git("rev-parse", "HEAD") == head

"""Merges made without the driver: conflict markers and twins that were committed are shown and mended."""

import re

import pytest
from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.store import markers

PATH = "board/tasks/TASK-001-add-a-login.md"
BASE = "First\n\nSecond\n\nThird"


def forge(
    scratch: Scratch, path: str, ours: dict[str, str], theirs: dict[str, str], style: str = "merge"
) -> None:
    """Two branches change a record, and a merge without the driver is committed as git left it."""
    base = scratch.read(path)
    scratch.git("config", "--remove-section", "merge.agentos")
    scratch.git("config", "merge.conflictStyle", style)
    scratch.git("switch", "-qc", "side")
    for branch, changes in (("side", theirs), ("main", ours)):
        scratch.git("switch", "-q", branch)
        text = base
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        scratch.write(path, text)
        scratch.git("commit", "-qam", branch)
    scratch.git("merge", "-q", "side", check=False)
    assert "<<<<<<< HEAD" in scratch.read(path)
    scratch.git("commit", "-qam", "Merged on a forge")


def a_task(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login", body=BASE, criteria=["one", "two"]))


OURS = {
    "status: inbox": "status: review",
    "priority: 3": "priority: 1",
    "Second": "Second, mine",
    "[ ] one": "[x] one",
}
THEIRS = {
    "priority: 3": "priority: 2",
    "title: Add a": "title: Add the",
    "Second": "Second, theirs",
    "[ ] two": "[x] two",
}


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_the_next_transaction_merges_what_a_merge_commit_left(scratch: Scratch, cli: Cli, style: str) -> None:
    a_task(scratch)
    forge(scratch, PATH, OURS, THEIRS, style)
    told = cli("doctor")
    assert told.code == 4
    assert re.search(rf"^{PATH}:\d+: an unresolved merge conflict; agentos doctor --mend", told.out, re.M)
    said = cli("task", "add", "Another").err
    assert f"{PATH}: both sides of the conflict are merged; 2 left to settle: agentos settle {PATH}" in said
    text = scratch.read(PATH)
    assert "<<<<" not in text and "title: Add the login\n" in text and "status: review\n" in text
    assert "- [x] one\n- [x] two\n" in text
    assert "priority: 1\n" in text and "conflicts:\n  priority: 2\n" in text
    assert "Second, mine\n```conflict instead of the line above\nSecond, theirs\n```\n" in text
    assert (
        scratch.git("log", "-1", "--skip=1", "--format=%an: %s")
        == "Ada Lovelace: TASK-001-add-a-login: task mended\n"
    )
    assert scratch.git("status", "--porcelain") == ""


def test_without_a_merge_commit_only_a_person_has_it_mended(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    forge(scratch, PATH, OURS, THEIRS)
    scratch.git("reset", "-q", "--soft", "HEAD~2")
    scratch.git("commit", "-qm", "Squashed")
    cli("task", "add", "Another")
    assert "<<<<<<< HEAD" in scratch.read(PATH)
    told = cli("doctor", "--mend")
    assert f"{PATH}: both sides of the conflict are merged" in told.err and told.code == 4
    text = scratch.read(PATH)
    for word in ("priority: 1", "priority: 2", "mine", "theirs", "[x] one", "[x] two", "status: review"):
        assert word in text
    assert "<<<<" not in text
    assert cli("settle", "1", "--theirs").code == 0
    assert cli("doctor").code == 0


@pytest.mark.parametrize("path", ["agents/technical.md", "docs/team.md", "board/config.yml"])
def test_other_records_are_mended_the_same_way(scratch: Scratch, cli: Cli, path: str) -> None:
    words = {
        "agents/technical.md": ("role: ", "role: A ", "role: B "),
        "docs/team.md": ("title: How this team works", "title: A team", "title: B team"),
        "board/config.yml": ("name: Ada Lovelace", "name: Ada A", "name: Ada B"),
    }
    old, mine, other = words[path]
    forge(scratch, path, {old: mine}, {old: other})
    assert cli("doctor").code == 4
    assert cli("doctor", "--mend").code == 4
    text = scratch.read(path)
    assert mine in text and other.partition(": ")[2].strip() in text.partition("conflicts:")[2]
    assert cli("settle", path, "--theirs").code == 0
    assert other in scratch.read(path) and "conflicts" not in scratch.read(path)
    assert cli("doctor").code == 0


def test_a_messages_text_is_mended(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    cli("message", "add", "1", "First words\nSecond words")
    [path] = scratch.git("ls-files", "board/messages").split()
    forge(scratch, path, {"First words": "My words"}, {"First words": "Their words"})
    scratch.act(lambda d: None)
    assert "My words\n```conflict instead of the line above\nTheir words\n```\nSecond" in scratch.read(path)


def test_working_md_with_markers_is_rendered_anew(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    forge(scratch, "WORKING.md", {"## Recent": "## My"}, {"## Recent": "## Their"})
    scratch.act(lambda d: None)
    page = scratch.read("WORKING.md")
    assert "<<<<" not in page and "## Recent Activity" in page and "## My" not in page
    assert scratch.git("status", "--porcelain") == ""


def test_markers_in_the_working_tree_wait_untouched(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    text = scratch.read(PATH).replace("Second", "<<<<<<< a\nMine\n=======\nTheirs\n>>>>>>> b")
    scratch.write(PATH, text)
    cli("task", "add", "Another")
    assert scratch.read(PATH) == text
    assert scratch.git("status", "--porcelain") == f" M {PATH}\n"
    assert cli("task", "edit", "1", "--priority", "1").code == 4


def test_markers_that_somebody_has_edited_stay(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    head = scratch.read(PATH)
    broken = "<<<<<<< a\nMine\n=======\nOr\n=======\nTheirs\n>>>>>>> b\n"
    scratch.write(PATH, head.replace("Second", broken))
    scratch.git("commit", "-qam", "broken")
    told = cli("doctor", "--mend")
    assert f"{PATH} keeps its conflict markers" in told.err and told.code == 4
    assert broken in scratch.read(PATH)


def test_both_sides_are_told_from_the_markers() -> None:
    text = "a\n<<<<<<< x\n1\n||||||| y\n0\n=======\n2\n>>>>>>> z\nb\n<<<<<<< x\n=======\n3\n>>>>>>> z\n"
    found = markers.sides(text)
    assert found is not None
    assert ("".join(found.ours), "".join(found.theirs)) == ("a\n1\nb\n", "a\n2\nb\n3\n")
    assert "".join(found.base) == "a\n0\nb\n" and not found.is_whole
    for odd in ("", "a\n=======\nb\n", "<<<<<<< x\na\n", "<<<<<<< x\na\n>>>>>>> y\n"):
        assert markers.sides(odd) is None


# Twins --------------------------------------------------------------------------------------------------


def test_a_task_that_one_side_archived_and_the_other_edited_is_one_again(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    cli("task", "move", "1", "done")
    old = scratch.read(PATH)
    scratch.write(PATH, old.replace("Second", "Second, later"))
    scratch.act(lambda d: None)
    archived = "board/archive/00xx/TASK-001-add-a-login.md"
    scratch.write(archived, old)
    scratch.git("add", archived)
    scratch.git("commit", "-qm", "Merged on a forge: both kept")
    assert cli("doctor").out.count("one of the two must go") == 2
    told = cli("doctor", "--mend")
    assert told.code == 0 and f"{PATH} is gone: {archived} is the same record" in told.err
    assert "Second, later" in scratch.read(archived)
    assert scratch.git("ls-files", "board/tasks") == "board/tasks/.gitkeep\n"
    assert scratch.git("status", "--porcelain") == ""


def test_three_files_of_one_record_become_one(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    for twin in ("TASK-001-Add-a-login", "TASK-001-ADD-a-login"):
        scratch.write(f"board/tasks/{twin}.md", scratch.read(PATH))
    scratch.git("add", "board")
    scratch.git("commit", "-qm", "twins")
    assert cli("doctor", "--mend").code == 0
    assert scratch.git("ls-files", "board/tasks").split() == ["board/tasks/.gitkeep", PATH]


def test_another_task_under_the_name_of_an_archived_one_is_not_the_same_record(
    scratch: Scratch, cli: Cli
) -> None:
    a_task(scratch)
    cli("task", "move", "1", "done")
    cli("task", "archive", "1")
    scratch.clock.forward(minutes=1)
    scratch.write(PATH, "---\ntitle: Another\ncreated: 2026-02-02T10:31:00Z\n---\n")
    scratch.git("add", PATH)
    scratch.git("commit", "-qm", "another")
    told = cli("doctor", "--mend")
    assert told.code == 4 and "are one record and differ" in told.err


def test_twins_that_differ_are_left_to_a_person(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    twin = "board/tasks/TASK-001-Add-a-login.md"
    scratch.write(twin, scratch.read(PATH).replace("Second", "Other"))
    scratch.git("add", twin)
    scratch.git("commit", "-qm", "twin")
    told = cli("doctor", "--mend")
    assert told.code == 4 and "are one record and differ" in told.err
    assert "Other" in scratch.read(twin) and "Second" in scratch.read(PATH)
    scratch.write(twin, scratch.read(PATH))
    scratch.git("commit", "-qam", "the same")
    assert cli("doctor", "--mend").code == 0
    assert scratch.git("ls-files", "board/tasks").split() == ["board/tasks/.gitkeep", PATH]

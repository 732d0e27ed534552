"""The semantic merge, and where a transaction uses it."""

from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.model import merge
from agentos.model.activity import Actor
from agentos.store import merging

TECHNICAL = Actor("technical", is_agent=True)
PATH = "board/tasks/TASK-001-a.md"
BASE = """---
title: A  # mine
status: review
labels: [x, y]
priority: 3
---

Body

- [ ] one
- [ ] two
end
"""


def merged(ours: str, theirs: str) -> str:
    return merging.files(PATH, BASE.encode(), ours.encode(), theirs.encode()).decode()


def test_changes_of_different_fields_meet() -> None:
    ours = BASE.replace("priority: 3", "priority: 1").replace("[x, y]", "[x, y, z]")
    theirs = BASE.replace("title: A", "title: B").replace("[x, y]", "[y, w]")
    assert merged(ours, theirs) == (
        BASE.replace("priority: 3", "priority: 1")
        .replace("title: A", "title: B")
        .replace("[x, y]", "[y, z, w]")
    )


def test_a_send_back_out_of_review_wins_over_done() -> None:
    done = BASE.replace("status: review", "status: done\nresolution: completed")
    back = BASE.replace("status: review", "status: in_progress")
    assert "status: in_progress" in merged(done, back)
    assert "resolution" not in merged(done, back)
    assert merged(back, done) == back


def test_boxes_merge_one_by_one_and_text_by_lines() -> None:
    ours = BASE.replace("[ ] one", "[x] one").replace("end", "the end")
    theirs = BASE.replace("[ ] two", "[x] two").replace("Body", "Their body")
    expected = BASE.replace("[ ]", "[x]").replace("end", "the end").replace("Body", "Their body")
    assert merged(ours, theirs) == expected


def test_a_true_conflict_keeps_both_and_parses() -> None:
    both = merged(BASE.replace("priority: 3", "priority: 1"), BASE.replace("priority: 3", "priority: 2"))
    assert "priority: 1" in both
    assert "conflicts:\n  priority: 2\n" in both
    text = merged(BASE.replace("Body", "Ours"), BASE.replace("Body", "Theirs"))
    assert "Ours\n```conflict instead of the line above\nTheirs\n```\n" in text


def test_two_insertions_at_one_place_are_both_kept() -> None:
    assert merge.text("a\nb\n", "a\none\nb\n", "a\ntwo\nb\n") == ("a\none\ntwo\nb\n", False)


def test_an_agents_change_is_merged_into_what_the_person_has_staged(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login", labels=["a"]), TECHNICAL)
    path = "board/tasks/TASK-001-add-a-login.md"
    scratch.write(path, scratch.read(path).replace("title: Add a login", "title: Add a better login"))
    scratch.git("add", path)
    scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    assert scratch.git("status", "--porcelain") == f"M  {path}\n"
    assert scratch.git("log", "-1", "--format=%an") == "technical\n"
    scratch.git("commit", "-qm", "mine")
    task = scratch.store.board().task("1")
    assert (task.title, task.priority) == ("Add a better login", 1)
    assert scratch.git("status", "--porcelain") == ""


def test_an_edit_that_could_not_be_read_is_merged_from_its_own_base(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"), TECHNICAL)
    scratch.act(lambda d: tasks.add(d, "Child", parent="1"), TECHNICAL)
    path = "board/tasks/TASK-001-add-a-login.md"
    good = scratch.read(path)
    scratch.write(path, good.replace("priority: 3", "priority: [2").replace("title: Add", "title: Make"))
    scratch.act(lambda d: tasks.move(d, "2", "done"))
    assert scratch.git("show", f"HEAD:{path}").count("status: review") == 1
    scratch.write(path, good.replace("priority: 3", "priority: 2").replace("title: Add", "title: Make"))
    scratch.act(lambda d: None)
    task = scratch.store.board().task("1")
    assert (task.title, task.priority, task.status) == ("Make a login", 2, "review")
    assert scratch.git("status", "--porcelain") == ""


def test_git_merge_joins_two_branches_field_by_field(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login", labels=["a"], criteria=["one", "two"]))
    scratch.git("switch", "-qc", "side")
    path = "board/tasks/TASK-001-add-a-login.md"
    base = scratch.read(path)
    scratch.write(path, base.replace("priority: 3", "priority: 1").replace("[ ] one", "[x] one"))
    scratch.git("commit", "-qam", "theirs")
    scratch.git("switch", "-q", "main")
    scratch.act(lambda d: tasks.edit(d, "1", {"title": "Add a better login"}, add_to={"labels": ["b"]}))
    scratch.act(lambda d: tasks.check(d, "1", 2))
    scratch.git("merge", "-q", "side")
    text = scratch.read(path)
    assert "title: Add a better login\n" in text
    assert "priority: 1\n" in text
    assert "labels: [a, b]\n" in text
    assert "- [x] one\n- [x] two\n" in text
    assert scratch.git("status", "--porcelain") == ""


def test_a_true_conflict_is_listed_until_it_is_settled(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"))
    path = "board/tasks/TASK-001-add-a-login.md"
    scratch.write(path, scratch.read(path).replace("created:", "conflicts:\n  priority: 2\ncreated:"))
    told = cli("doctor")
    assert told.code == 4
    assert told.out == (
        f"{path}:7: a merge left priority unsettled; the other side has 2; "
        "agentos settle TASK-001-add-a-login priority --ours (or --theirs)\n"
    )
    assert cli("task", "edit", "1", "--priority", "2", "--set", "conflicts=").code == 0
    assert cli("doctor").code == 0

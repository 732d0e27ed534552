"""History: the board at another time, and who changed which field when."""

import json
from datetime import UTC, datetime

import pytest
from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.errors import Usage
from agentos.model import times
from agentos.model.activity import Actor

ROBOT = Actor("technical", is_agent=True)
NOW = datetime(2026, 2, 4, 10, 30, tzinfo=UTC)


# At another time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("2026-02-02", "2026-02-02T23:59:59Z"),
        ("9999-12-31", "9999-12-31T23:59:59Z"),
        ("yesterday", "2026-02-03T23:59:59Z"),
        ("Today", "2026-02-04T23:59:59Z"),
        ("2 days ago", "2026-02-02T10:30:00Z"),
        ("1 hour ago", "2026-02-04T09:30:00Z"),
        ("2026-02-02T10:30Z", "2026-02-02T10:30:00Z"),
        ("2026-02-02 10:30:15+02:00", "2026-02-02T08:30:15Z"),
    ],
)
def test_a_time_means_one_moment(words: str, meant: str) -> None:
    found = times.when(words, NOW)
    assert found is not None and times.stamp(found) == meant


@pytest.mark.parametrize("words", ["HEAD~2", "main", "20260202", "deadbeef", "2026-02-02-release", "-2", ""])
def test_what_is_no_time_is_left_to_git(words: str) -> None:
    assert times.when(words, NOW) is None


@pytest.mark.parametrize(
    "words",
    [
        "2026-02-30",
        "2026-2-2",
        "2026-02-02T10:30",
        "2026-02-02T25:00Z",
        "some days ago",
        "999999999 weeks ago",
    ],
)
def test_a_time_that_cannot_be_is_refused_with_examples(words: str) -> None:
    with pytest.raises(Usage, match="2026-02-02T10:30Z, yesterday, or 2 days ago"):
        times.when(words, NOW)


def test_the_board_is_shown_as_it_was_at_a_time(cli: Cli, scratch: Scratch) -> None:
    def titles(at: str) -> list[str]:
        done = cli("task", "list", "--at", at)
        assert done.code == 0, done.err
        return [line.split("\t")[4] for line in done.out.splitlines()]

    cli("task", "add", "First")
    scratch.clock.forward(hours=1)
    cli("task", "add", "Second")
    scratch.clock.forward(days=2)
    cli("task", "add", "Third")
    assert titles("2026-02-02T10:30Z") == titles("2026-02-02T11:29:59Z") == ["First"]
    assert titles("2026-02-02T11:30Z") == titles("2026-02-02") == titles("2 days ago") == ["First", "Second"]
    assert titles("yesterday") == ["First", "Second"]
    assert titles("2999-01-01") == titles("HEAD") == ["First", "Second", "Third"]
    for command in (["board"], ["agent", "list"], ["log"], ["render"], ["task", "show", "1"], ["doctor"]):
        assert cli(*command, "--at", "yesterday").code == 0, command
    for at, code in (("2026-02-01", 3), ("0001-01-01", 3), ("2026-02-31", 2), ("nowhere", 3), ("-n1", 3)):
        failed = cli("board", f"--at={at}")
        assert failed.code == code, failed
        assert len(failed.err.splitlines()) == 1
    assert "2 days ago" in cli("board", "--at", "nowhere").err


def test_a_time_follows_the_branch_and_not_what_was_merged_into_it(
    cli: Cli, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("task", "add", "Ours")
    scratch.git("checkout", "-q", "-b", "side")
    scratch.write("board/tasks/TASK-002-side.md", "---\ntitle: Side\n---\n")
    scratch.git("add", "board")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-02-03T00:00:00Z")
    scratch.git("commit", "-qm", "side")
    scratch.git("checkout", "-q", "main")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-02-05T00:00:00Z")
    scratch.git("merge", "-q", "--no-ff", "-m", "merged", "side")
    for at, count in (("2026-02-04", 1), ("2026-02-05", 2)):
        assert len(cli("task", "list", "--at", at).out.splitlines()) == count


# Who changed what ---------------------------------------------------------------------------------------


def told(cli: Cli, *args: str) -> list[tuple[str, str]]:
    """Who and what, as `agentos log` prints it for a script."""
    done = cli("log", *args)
    assert done.code == 0, done.err
    return [(actor, text) for _, _, actor, text in (line.split("\t") for line in done.out.splitlines())]


ONE = "board/tasks/TASK-001-one.md"


def test_each_change_of_a_task_is_a_line(cli: Cli, scratch: Scratch) -> None:
    cli("task", "add", "One", "--check", "true", "--body", "Words.")
    cli("task", "edit", "1", "--priority", "1", "--add-label", "api", "--add-label", "ui")
    cli("message", "add", "1", "Which  page?\n\nMore.", "--type", "question")
    scratch.act(lambda d: tasks.edit(d, "1", {}, remove_from={"labels": ["api"]}), ROBOT)
    cli("task", "check", "1", "1")
    scratch.write(ONE, scratch.read(ONE).replace("Words.", "Other words.\nMore.").replace("[x]", "[ ]"))
    cli("task", "move", "1", "done")
    assert told(cli, "1") == [
        ("ada-lovelace", "status: inbox → done"),
        ("ada-lovelace", "resolution: none → completed"),
        ("ada-lovelace", "cleared: `true` passes"),
        ("ada-lovelace", "text: +2 −1"),
        ("ada-lovelace", "ticked: `true` passes"),
        ("agent:technical:main", "labels: −api"),
        ("ada-lovelace", "question: Which page?"),
        ("ada-lovelace", "priority: 3 → 1"),
        ("ada-lovelace", "labels: +api +ui"),
        ("ada-lovelace", "created: One"),
    ]
    assert told(cli, "1", "--limit", "2") == told(cli, "1")[:2]
    assert told(cli, "1", "--at", "HEAD~1")[0][1] == "cleared: `true` passes"
    line = json.loads(cli("log", "1", "--json", "--limit", "1").out)[0]
    assert line == {
        "commit": scratch.git("rev-parse", "HEAD").strip(),
        "time": "2026-02-02T10:30:00Z",
        "actor": "ada-lovelace",
        "path": ONE,
        "what": "field",
        "name": "status",
        "old": "inbox",
        "new": "done",
        "text": "status: inbox → done",
        "subject": "TASK-001-one: inbox → done",
    }


def test_a_task_is_followed_through_its_names_and_the_archive(cli: Cli, scratch: Scratch) -> None:
    cli("task", "add", "One")
    cli("message", "add", "1", "Early.")
    scratch.git("mv", ONE, "board/tasks/TASK-001-uno.md")
    scratch.git("mv", "board/messages/TASK-001-one", "board/messages/TASK-001-uno")
    scratch.write("board/tasks/TASK-001-uno.md", scratch.read("board/tasks/TASK-001-uno.md") + "More.\n")
    scratch.git("commit", "-qam", "Call it uno")
    cli("message", "add", "1", "Late.")
    cli("task", "move", "1", "done")
    cli("task", "archive", "1")
    assert [text for _, text in told(cli, "uno")] == [
        "moved: board/tasks/TASK-001-uno.md → board/archive/00xx/TASK-001-uno.md",
        "status: inbox → done",
        "resolution: none → completed",
        "comment: Late.",
        "moved: board/tasks/TASK-001-one.md → board/tasks/TASK-001-uno.md",
        "text: +1",
        "comment: Early.",
        "created: One",
    ]


def test_agents_and_documents_have_a_log_and_what_is_gone_as_well(cli: Cli, scratch: Scratch) -> None:
    cli("agent", "pause", "qa")
    assert told(cli, "qa")[0] == ("ada-lovelace", "agentos.paused: none → true")
    assert told(cli, "qa")[-1][1] == "created: qa"
    page = "docs/plan.md"
    scratch.write(page, "---\ntitle: Plan\ntype: research\n---\n")
    cli("task", "add", "One")
    scratch.write(page, "---\ntitle: The plan\ntype: research\n---\n")
    cli("task", "add", "Two")
    assert [text for _, text in told(cli, page)] == ["title: Plan → The plan", "created: Plan"]
    cli("agent", "remove", "qa")
    assert told(cli, "agents/qa.md")[0][1] == "removed: qa"
    scratch.git("rm", "-q", "board/tasks/TASK-002-two.md")
    scratch.git("commit", "-qm", "gone")
    assert told(cli, "TASK-002-two")[0] == ("Ada Lovelace", "removed: Two")
    for name in ("TASK-009-none", "nobody", "docs/none.md", "../x", "docs/../../x.md", "--all"):
        assert cli("log", "--", name).code == 3, name


def test_plain_commits_broken_files_and_merges_have_their_lines(cli: Cli, scratch: Scratch) -> None:
    def commit(old: str, new: str) -> None:
        scratch.write(ONE, scratch.read(ONE).replace(old, new))
        scratch.git("commit", "-qam", "By git")

    cli("task", "add", "One")
    commit("priority: 3", "priority: [")
    commit("priority: [", "priority:  2  # soon")
    commit("  # soon", "")
    scratch.git("checkout", "-q", "-b", "side")
    commit("title: One", "title: Side")
    scratch.git("checkout", "-q", "main")
    commit("priority:  2", "priority:  4")
    scratch.git("merge", "-q", "--no-commit", "side")
    commit("title: Side", "title: Merged")
    assert [text for _, text in told(cli, "1")] == [
        "title: One → Merged",
        "priority: 2 → 4",
        "title: One → Side",
        "file: the same, written differently",
        "file: can be read again",
        "file: could not be read",
        "created: One",
    ]


def test_hostile_text_stays_on_its_line(cli: Cli, scratch: Scratch) -> None:
    cli("task", "add", "One")
    cli("message", "add", "1", "\x1b[31mred\tand\x01")
    done = cli("log", "1")
    assert "\x1b" not in done.out and len(done.out.splitlines()[0].split("\t")) == 4

"""History: the board at another time, and who changed which field when."""

from datetime import UTC, datetime

import pytest
from conftest import Cli, Scratch

from agentos.errors import Usage
from agentos.model import times

NOW = datetime(2026, 2, 4, 10, 30, tzinfo=UTC)


# At another time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("2026-02-02", "2026-02-02T23:59:59Z"),
        ("9999-12-31", "9999-12-31T23:59:59Z"),
        ("yesterday", "2026-02-03T23:59:59Z"),
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

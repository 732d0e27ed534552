"""The hard lines of agents at work, from end to end: whole ticks with real processes, servers and sandboxes."""

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Outcome, Scratch
from test_heartbeat import TASK, confinement, equip, history, newest, setting, team, tick, wait_for

from agentos.actions import messages, tasks
from agentos.model import explaining
from agentos.model.activity import Actor
from agentos.model.words import Status
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.tick import Options
from agentos.runtime import bubblewrap
from agentos.runtime.runners import checks
from agentos.store.transaction import transact

__all__ = ["setting", "team"]

# A branch that a person has checked out -----------------------------------------------------------------


def test_a_branch_that_a_person_has_checked_out_is_left_to_them(team: Scratch, cli: Cli) -> None:
    tick(team, agent="technical")
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    there = team.root.parent / "there"
    team.git("worktree", "add", "-q", str(there), f"agentos/{TASK}")
    head, runs = team.git("rev-parse", "main"), len(history(team))
    assert "would" not in cli("tick", "--dry-run", "--force").out
    wanted = f"! technical does not go on with TASK-001 while agentos/{TASK} is checked out in {there}; "
    for _ in range(2):
        done = cli("tick", "--force")
        assert (done.code, wanted in done.err) == (0, True), done
    assert team.git("rev-parse", "main") == head and len(history(team)) == runs
    assert not team.store.board().task("1").blocked and team.store.refs().claims == {}
    team.git("-C", str(there), "switch", "-q", "--detach")
    equip(team, "technical", command=["sh", "-c", "echo more > more.txt"])
    (beat,) = ticking.tick(team.store, Options()).beats
    assert beat.outcome == "settled", "it is woken without waiting for its schedule"
    team.git("-C", str(there), "switch", "-q", f"agentos/{TASK}")
    shutil.rmtree(there)
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    equip(team, "technical", command=["sh", "-c", "echo third > third.txt"])
    assert [beat.outcome for beat in tick(team).beats] == ["settled"], "a worktree that is gone holds nothing"


def test_a_person_looks_at_the_branch_in_their_own_checkout_and_approves(team: Scratch, cli: Cli) -> None:
    tick(team, agent="technical")
    team.git("switch", "-q", f"agentos/{TASK}")
    equip(team, "qa", paused=False, runner="checks")
    (beat,) = tick(team).beats
    assert beat.outcome == "settled" and newest(team).verdict == "approved"
    assert cli("review", "1").code == 0 and cli("approve", "1").code == 0
    assert team.store.board().task("1").status is Status.DONE
    assert team.git("status", "--porcelain") == "" and team.git("show", "main:made.txt") == "done\n"


def test_a_branch_checked_out_while_a_run_is_at_it_costs_no_try(team: Scratch) -> None:
    tick(team, agent="technical")
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    slow = "echo half > half.txt; for i in $(seq 400); do test -f go.txt && break; sleep 0.05; done"
    equip(team, "technical", command=["sh", "-c", slow])
    place = team.store.local / "workspaces" / TASK

    def check_out(news: Any) -> None:
        if not isinstance(news, str) and not hasattr(news, "outcome"):
            threading.Thread(target=switch).start()

    def switch() -> None:
        wait_for((place / "half.txt").exists)
        team.git("worktree", "add", "-q", "../there", f"agentos/{TASK}")
        (place / "go.txt").write_text("go")

    (beat,) = ticking.tick(team.store, Options(force=True), check_out).beats
    assert beat.outcome == "passed" and "is checked out in" in beat.text, beat
    assert team.store.refs().claims == {} and not team.store.board().task("1").blocked
    team.git("worktree", "remove", "../there")
    equip(team, "technical", command=["sh", "-c", "test -f half.txt && echo whole > whole.txt"])
    assert [beat.outcome for beat in tick(team).beats] == ["settled"]
    assert team.git("show", f"agentos/{TASK}:half.txt") == "half\n", "what it had done by then is kept"


# Where the kernel refuses -------------------------------------------------------------------------------

IN_A_SPACE = ["unshare", "--user", "--map-root-user", "--mount"]
"""A user namespace, in which the machine can be changed for what runs there alone."""


def ways_to_be_without() -> list[tuple[list[str], str]]:
    """Command lines under which there is no sandbox, each with what is then said.

    Where no user namespace can be made, this machine is such a one itself.
    """
    program = bubblewrap.program()
    if program is None:
        return [([], "bubblewrap is not installed")]
    if subprocess.run([*IN_A_SPACE, "true"], capture_output=True, check=False).returncode:
        return [([], "user namespaces may be off")]
    off = "echo 0 > /proc/sys/user/max_user_namespaces"
    found = {
        off: "user namespaces may be off",
        f"mount --bind /dev/null {program}": "bubblewrap is not installed",
    }
    return [([*IN_A_SPACE, "sh", "-ec", f'{first}; exec "$@"', "sh"], said) for first, said in found.items()]


def outside(board: Scratch, before: list[str], *args: str) -> Outcome:
    """A command of `agentos` as a process, behind another command line."""
    line = [*before, str(Path(sys.executable).with_name("agentos")), *args]
    done = subprocess.run(line, cwd=board.root, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_where_the_kernel_allows_no_sandbox_nothing_is_claimed_and_others_are_woken(team: Scratch) -> None:
    team.write("board/config.yml", team.read("board/config.yml").replace("sandbox: 'off'", "sandbox: auto"))
    team.act(lambda draft: tasks.add(draft, "The talk", assignees=["qa"]))
    equip(team, "qa", paused=False)
    for before, said in ways_to_be_without():
        done = outside(team, before, "tick")
        assert done.code == 6, done
        (error,) = [line for line in done.err.splitlines() if "Not woken" in line]
        assert "Not woken: technical. Agents may run no commands here: " in error
        assert said in error and "`sandbox: off` in board/config.yml" in error
        assert said in outside(team, before, "doctor").err
    board = team.store.board()
    assert [board.task(number).status for number in ("1", "2")] == [Status.ASSIGNED, Status.REVIEW]
    assert team.store.refs().claims == {} and not board.task("1").blocked
    assert not [run for run in history(team) if run.run] and not (team.store.local / "runs").exists()


# Checks -------------------------------------------------------------------------------------------------


def checked(board: Scratch, check: str) -> None:
    """The task with this check instead, handed in by technical; qa runs checks."""
    task = f"board/tasks/{TASK}.md"
    board.write(task, board.read(task).replace("test -f made.txt", check))
    tick(board, agent="technical")
    equip(board, "qa", paused=False, runner="checks")


def test_checks_that_fail_on_merged_work_become_a_bug_fix_task(team: Scratch, cli: Cli) -> None:
    checked(team, "grep -c whole made.txt")
    team.git("merge", "-q", f"agentos/{TASK}")
    (beat,) = tick(team, agent="qa").beats
    assert beat.outcome == "settled" and newest(team).failure == "checks", beat
    board = team.store.board()
    whole, bug = board.task("1"), board.task("2")
    assert bug.title == "Fix TASK-001: grep -c whole made.txt fails on main"
    assert (bug.parent, bug.labels, bug.assignees) == (TASK, ("bug",), ("technical",))
    text = team.store.body(bug)
    assert "`grep -c whole made.txt` leaves with 1:\n\n```\n0\n```" in text, "what it printed"
    assert "- [ ] `grep -c whole made.txt` passes" in text
    assert (whole.status, whole.blocked) == (Status.IN_PROGRESS, None)
    assert explaining.next_step(board, whole) == "waits for its children"
    equip(team, "technical", command=["sh", "-c", "echo whole > made.txt"])
    assert [beat.task for beat in tick(team, agent="technical").beats] == [bug.id]
    assert [beat.outcome for beat in tick(team, agent="qa").beats] == ["settled"]
    assert cli("review", "2").code == 0 and cli("approve", "2").code == 0
    assert team.store.board().task("1").status is Status.REVIEW
    (beat,) = tick(team, agent="qa").beats
    assert beat.outcome == "settled" and newest(team).verdict == "approved", "its checks are run again"
    assert "- [x] `grep -c whole made.txt` passes" in team.read(f"board/tasks/{TASK}.md")


def test_checks_that_fail_while_a_person_merges_reopen_the_task(team: Scratch, cli: Cli) -> None:
    waits = "touch begun.txt; for i in $(seq 400); do test -f go.txt && break; sleep 0.05; done"
    checked(team, f"sh -c '{waits}; echo broken; exit 3'")
    place = team.store.local / "workspaces" / TASK
    reviewer = threading.Thread(target=tick, args=(team,), kwargs={"agent": "qa"})
    reviewer.start()
    wait_for((place / "begun.txt").exists)
    assert cli("review", "1").code == 0 and cli("approve", "1").code == 0
    (place / "go.txt").write_text("go")
    reviewer.join()
    board = team.store.board()
    assert (board.task("1").status, board.task("1").resolution) == (Status.IN_PROGRESS, None)
    assert board.task("2").parent == TASK and "broken" in team.store.body(board.task("2"))
    assert team.read("made.txt") == "done\n" and team.git("status", "--porcelain") == ""


def test_a_check_that_outlasts_its_run_is_named(team: Scratch) -> None:
    team.write("board/config.yml", team.read("board/config.yml") + "run_limit: 4s\n")
    checked(team, "sleep 60")
    (beat,) = tick(team, agent="qa").beats
    assert beat.outcome == "settled" and newest(team).failure == "checks", beat
    assert any("`sleep 60` was stopped after " in text for text in spoken(team))


def test_a_check_that_never_ends_floods_or_stays_is_stopped_and_sent_back(
    team: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that forks and detaches is gone with the rest, where there is a sandbox."""
    monkeypatch.setattr(checks, "LONGEST", 1.5)
    never = "sh -c 'echo waiting; while :; do sleep 1; done'"
    flood = "sh -c 'yes flood | head -c 100000000; echo the last line; exit 1'"
    stays = "sh -c 'setsid sh -c \"while :; do sleep 1; done\" agentos-stays & exit 1'"
    checked(team, f"{never}` passes\n- [ ] `{flood}` passes\n- [ ] `{stays}")
    began = time.monotonic()
    (beat,) = tick(team, agent="qa").beats
    assert time.monotonic() - began < 15 and beat.outcome == "settled", beat
    assert team.store.board().task("1").status is Status.IN_PROGRESS
    said = next(text for text in spoken(team) if "checks fail" in text)
    assert "3 of 3 checks fail." in said
    assert "was stopped after 2 s:\n\n```\nwaiting\n```" in said
    assert "the last line\n```" in said and len(said) < 10_000
    assert size(team.store.local / "runs" / beat.run) < 1 << 20
    assert newest(team).failure == "checks" and team.store.refs().claims == {}
    if confinement() == "auto":
        assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"agentos-stays" in words(p)]


def spoken(board: Scratch) -> list[str]:
    """Everything that was said about the task."""
    return [board.store.body(message) for message in board.store.board().messages_of(TASK)]


def words(file: Path) -> bytes:
    with suppress(OSError):
        return file.read_bytes()
    return b""


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


# Budgets ------------------------------------------------------------------------------------------------


def spent(board: Scratch, task: str = TASK) -> None:
    """A run of technical's that has used up fifty cents."""
    trailers = [("Run", "r0"), ("Run-Task", task), ("Cost-USD", "0.50"), ("Tokens", "10")]
    by = Actor("technical", is_agent=True)
    transact(board.store, lambda draft: messages.note(draft, task, "Spent."), by, trailers=trailers)


def test_a_cap_of_the_task_counts_every_run_however_long_ago(team: Scratch) -> None:
    """Fifty comments do not hide what was spent before them."""
    equip(team, "technical", budget={"usd_per_task": 0.5})
    before = team.git("rev-parse", "HEAD^{tree}").strip()
    spent(team)
    after, tip = team.git("rev-parse", "HEAD^{tree}").strip(), "HEAD"
    for i in range(60):
        tip = team.git("commit-tree", (before, after)[i % 2], "-p", tip, "-m", "A word").strip()
    team.git("update-ref", "refs/heads/main", tip)
    (beat,) = tick(team).beats
    assert (
        beat.outcome == "failed" and "usd_per_task of technical ($0.50) is reached: $0.50 spent" in beat.text
    )
    assert "the budget is used up" in (team.store.board().task("1").blocked or "")
    assert not (team.store.local / "workspaces").exists(), "nothing was begun"


def test_a_commit_that_a_wrong_clock_dated_hides_nothing_from_a_cap_of_the_day(team: Scratch) -> None:
    equip(team, "technical", budget={"usd_per_day": 0.5})
    spent(team, team.act(lambda draft: tasks.add(draft, "Done before", status="done")).value.id)
    (team.root / "code.py").write_text("x = 1\n")
    team.git("add", "code.py")
    before = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    subprocess.run(["git", "commit", "-qm", "Old"], cwd=team.root, env=os.environ | before, check=True)
    (beat,) = tick(team).beats
    assert beat.outcome == "passed" and "usd_per_day of technical ($0.50) is reached" in beat.text


# A clone that is gone, and a base that moved ------------------------------------------------------------


def test_a_clone_that_was_deleted_between_runs_is_made_anew(team: Scratch) -> None:
    tick(team, agent="technical")
    shutil.rmtree(team.store.local / "workspaces")
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    equip(team, "technical", command=["sh", "-c", "test -f made.txt && echo more > more.txt"])
    assert [beat.outcome for beat in tick(team).beats] == ["settled"]
    assert team.git("ls-tree", "--name-only", f"agentos/{TASK}").count("m") >= 2
    shutil.rmtree(team.store.local)
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    equip(team, "technical", command=["sh", "-c", "test -f more.txt && echo third > third.txt"])
    assert [beat.outcome for beat in tick(team).beats] == ["settled"]
    assert team.git("status", "--porcelain") == "" and not team.store.board().problems


def test_a_clone_that_is_deleted_in_the_middle_of_a_run_costs_one_try(team: Scratch) -> None:
    place = team.store.local / "workspaces" / TASK
    slow = (
        "echo half > half.txt; for i in $(seq 400); do test -f half.txt || break; sleep 0.05; done; echo over"
    )
    equip(team, "technical", command=["sh", "-c", slow])
    remover = threading.Thread(
        target=lambda: (wait_for((place / "half.txt").exists), shutil.rmtree(place, ignore_errors=True))
    )
    remover.start()
    (beat,) = tick(team).beats
    remover.join()
    assert beat.outcome == "failed" and beat.commit and beat.again, beat
    assert str(place) in beat.text or "is gone" in beat.text, beat.text
    assert newest(team).failure in ("failed", "time"), "the watch may see it first"
    assert team.store.refs().claims == {}
    assert not team.git("branch", "--list", "agentos/*") and team.git("status", "--porcelain") == ""
    team.clock.forward(minutes=2)
    equip(team, "technical", command=["sh", "-c", "echo whole > whole.txt"])
    assert [beat.outcome for beat in tick(team).beats] == ["settled"]


def test_a_base_that_moved_is_merged_or_becomes_a_task_and_no_tree_is_dirty(team: Scratch, cli: Cli) -> None:
    tick(team, agent="technical")
    team.write("made.txt", "otherwise\n")
    team.git("add", "made.txt")
    team.git("commit", "-qm", "The same file, otherwise")
    assert cli("review", "1").code == 0
    refused = cli("approve", "1")
    assert (
        refused.code == 5 and "changed the same lines: made.txt" in refused.err and "TASK-002" in refused.err
    )
    assert team.git("status", "--porcelain") == "" and team.read("made.txt") == "otherwise\n"
    assert team.store.board().task("2").assignees == ("technical",)
    equip(team, "technical", command=["sh", "-c", "echo both >> made.txt"])
    assert [(beat.task[:8], beat.outcome) for beat in tick(team, agent="technical").beats] == [
        ("TASK-002", "settled")
    ]
    team.write("code.py", "x = 1\n")
    team.git("add", "code.py")
    team.git("commit", "-qm", "Something else")
    assert cli("review", "2").code == 0 and cli("approve", "2").code == 0
    assert team.read("made.txt") == "otherwise\nboth\n" and team.read("code.py") == "x = 1\n"
    assert team.git("status", "--porcelain") == "" and team.store.board().task("1").status is Status.REVIEW


def test_a_review_is_of_the_branch_as_it_would_be_merged_now(team: Scratch) -> None:
    """Checks that pass on the branch alone fail with what has come to the board's branch since."""
    checked(team, "sh -c 'test -f made.txt && ! test -f rule.txt'")
    team.write("rule.txt", "no made.txt\n")
    team.git("add", "rule.txt")
    team.git("commit", "-qm", "A rule")
    tip = team.git("rev-parse", f"agentos/{TASK}").strip()
    (beat,) = tick(team, agent="qa").beats
    assert beat.outcome == "settled" and newest(team).failure == "checks", beat
    assert newest(team).commit == tip == team.git("rev-parse", f"agentos/{TASK}").strip()
    assert team.git("status", "--porcelain") == ""


def test_a_review_sees_nothing_that_a_failed_run_left(team: Scratch) -> None:
    checked(team, "test ! -f half.txt")
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    equip(team, "technical", command=["sh", "-c", "echo half > half.txt; exit 3"])
    (beat,) = tick(team, agent="technical").beats
    assert beat.outcome == "failed" and team.git("for-each-ref", "refs/agentos/salvage")
    team.act(lambda draft: tasks.move(draft, "1", "review"))
    team.clock.forward(minutes=5)
    (beat,) = tick(team, agent="qa").beats
    assert newest(team).verdict == "approved", beat

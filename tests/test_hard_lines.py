"""The hard lines of agents at work, from end to end: whole ticks with real processes, servers and sandboxes."""

import shutil
import threading
from typing import Any

from conftest import Cli, Scratch
from test_heartbeat import TASK, equip, history, newest, setting, team, tick, wait_for

from agentos.actions import tasks
from agentos.model.words import Status
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.tick import Options

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
    slow = "echo half > half.txt; while ! test -f go.txt; do sleep 0.05; done"
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

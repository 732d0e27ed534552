"""Heartbeats of real runners, in real sandboxes: work, reviews, failures, and runs that are killed."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Scratch, running

from agentos.actions import tasks
from agentos.cli import keys
from agentos.cli.beat import ALONE, nursery
from agentos.errors import Invalid, Refused
from agentos.model.words import Status
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.tick import Options, Report
from agentos.runtime import bubblewrap, budget, liveness, runlog, sandbox
from agentos.runtime.ledger import Entry, Ledger
from agentos.runtime.nursery import Nursery
from agentos.runtime.runlog import RunLog
from agentos.store import claims, runs
from agentos.store.refs import Claim
from agentos.store.runs import Run

TASK = "TASK-001-the-work"
WORK = ["sh", "-c", "cat > told.txt; echo done > made.txt; echo made it"]


def confinement() -> str:
    """`auto` where bubblewrap runs here, else `off`."""
    try:
        return "auto" if sandbox.find("auto") else "off"
    except Refused:
        return "off"


@pytest.fixture(scope="module")
def setting() -> str:
    return confinement()


@pytest.fixture
def team(scratch: Scratch, setting: str) -> Scratch:
    """A board with one task for technical, which runs commands; qa is paused."""
    scratch.write("board/config.yml", scratch.read("board/config.yml") + f"sandbox: '{setting}'\n")

    def fill(draft: Any) -> None:
        tasks.add(draft, "The work", body="Make it.", checks=["test -f made.txt"], assignees=["technical"])

    scratch.act(fill)
    equip(scratch, "technical", runner="command", command=WORK)
    equip(scratch, "qa", paused=True)
    return scratch


def equip(board: Scratch, name: str, **settings: Any) -> None:
    """Set these under `agentos:` in an agent's file."""

    def decide(draft: Any) -> None:
        agent = draft.board.agents[name]
        plain = agent.agentos.model_dump(mode="json", exclude_unset=True)
        draft.put(agent.replace(agentos=plain | settings))

    board.act(decide)


def tick(board: Scratch, **options: Any) -> Report:
    return ticking.tick(board.store, Options(force=True, **options))


def newest(board: Scratch) -> Run:
    return history(board)[0]


def history(board: Scratch) -> list[Run]:
    return runs.of_task(board.store, board.store.board().task("1"))


def test_a_run_hands_in_a_commit_and_settles_in_one_of_the_board(team: Scratch, setting: str) -> None:
    count = int(team.git("rev-list", "--count", "main"))
    (beat,) = tick(team).beats
    assert (beat.outcome, beat.text) == ("settled", "submitted TASK-001, reported on TASK-001"), beat
    assert int(team.git("rev-list", "--count", "main")) == count + 2
    assert team.git("show", f"agentos/{TASK}:made.txt") == "done\n"
    assert not (team.root / "made.txt").exists()
    told = team.git("show", f"agentos/{TASK}:told.txt")
    assert "Make it." in told and "Read the task and its acceptance criteria" in told
    run = newest(team)
    assert (run.run, run.agent, run.task, run.runner) == (beat.run, "technical", TASK, "command")
    assert run.commit == team.git("rev-parse", f"agentos/{TASK}").strip() and run.diff
    body = team.git("log", "-1", "--format=%B", "main")
    assert ("Sandbox: off" in body) is (setting == "off")
    assert team.store.board().task("1").status is Status.REVIEW
    assert team.store.refs().claims == {}
    facts = json.loads((team.store.local / "runs" / beat.run / "run.json").read_text())
    assert (facts["outcome"], facts["agent"], facts["task"]) == ("settled", "technical", TASK)
    assert {"rules", "instructions", "task"} <= facts["prompt"].keys()


@pytest.mark.parametrize("words", [("tick", "--quiet"), ("run", "--once")])
def test_a_tick_leaves_with_1_where_a_run_came_to_nothing(
    team: Scratch, cli: Cli, words: tuple[str, ...]
) -> None:
    """Though another one settled; the next tick has nothing to do yet, which is no failure."""
    team.act(lambda draft: tasks.add(draft, "More", assignees=["qa"]))
    equip(team, "qa", paused=False, runner="simulated")
    equip(team, "technical", capabilities=["technical"], command=["sh", "-c", "echo no >&2; exit 3"])
    done = cli(*words)
    assert done.code == 1 and "error" not in done.err and "Traceback" not in done.err
    assert ("TASK-001: sh left with 3: no" in done.err) is (words[0] == "run")
    assert team.store.board().task("2").status is Status.REVIEW
    assert cli(*words).code == 0


def test_runs_of_one_second_are_in_order(team: Scratch, cli: Cli) -> None:
    """The last run of ten is the last, though all but one part of their names' moment is the same."""
    team.clock.forward(milliseconds=7)
    for count in range(10):
        name = claims.run_id("technical", team.clock())
        RunLog(runlog.folder(team.store.local) / name).say(agent="technical", text=f"number {count}")
        team.clock.forward(milliseconds=1)
    RunLog(runlog.folder(team.store.local) / "20260202T102959Z-technical-ffff").say(
        agent="technical", text="old"
    )
    found = json.loads(cli("runs", "list", "--json").out)
    assert [run["text"] for run in found] == [*(f"number {count}" for count in range(9, -1, -1)), "old"]
    assert json.loads(cli("runs", "show", "technical", "--json").out)["text"] == "number 9"
    assert found[0]["run"].startswith("20260202T103000.016Z-technical-")
    early = json.loads(cli("runs", "list", "--at", "2026-02-02T10:29:59Z", "--json").out)
    assert [run["text"] for run in early] == ["old"]
    assert len(json.loads(cli("runs", "list", "--at", "today", "--json").out)) == 11
    assert len(json.loads(cli("runs", "list", "--at", "HEAD", "--json").out)) == 11
    later = {"outcome": "settled", "text": "It is done.", "end": "2026-02-02T10:40:00Z"}
    RunLog(runlog.folder(team.store.local) / found[0]["run"]).say(**later)
    shown = cli("runs", "list", "--at", "2026-02-02T10:35Z", "--limit", "1").out
    assert "\trunning\t" in shown and "\tsettled\t" in cli("runs", "list", "--limit", "1").out
    assert cli("runs", "list", "--at", "nonesuch").code == 3


def test_the_checks_pass_what_passes_and_only_once(team: Scratch) -> None:
    tick(team)
    equip(team, "qa", paused=False, runner="checks")
    (beat,) = tick(team).beats
    assert (beat.outcome, beat.text) == ("settled", "checked 1 of 1 of TASK-001, reported on TASK-001"), beat
    assert f"agent:qa:main {beat.text}\n" in team.read("WORKING.md")
    run = newest(team)
    assert (run.verdict, run.commit) == ("approved", team.git("rev-parse", f"agentos/{TASK}").strip())
    assert "- [x] `test -f made.txt` passes" in team.read(f"board/tasks/{TASK}.md")
    assert team.store.board().task("1").status is Status.REVIEW, "a person merges"
    (beat,) = tick(team).beats
    assert (beat.outcome, beat.text) == ("passed", "it has been reviewed as it is")


def test_what_waited_for_review_earlier_is_shown_and_is_no_look(team: Scratch, cli: Cli) -> None:
    tick(team, agent="technical")
    then, tip = team.git("rev-parse", "main").strip(), team.git("rev-parse", f"agentos/{TASK}")[:9]
    assert cli("review", "1", "--at", then).code == 0
    assert cli("approve", "1").code == 6, "nobody has looked at it as it is"
    assert "+done" in cli("review", "1").out and cli("approve", "1").code == 0
    assert cli("review").out == "" and cli("review", "--at", f"{then}^").out == ""
    assert cli("review", "--at", then).out.split("\t")[:3] == [TASK, "technical", f"agentos/{TASK}"]
    shown = cli("review", "1", "--at", then).out
    assert f"branch       agentos/{TASK} at {tip}" in shown and "\n+done\n" in shown
    assert "status       review\n" in shown and "[ ] `test -f made.txt` passes" in shown


def test_what_passed_before_is_not_said_of_what_is_handed_in_anew(team: Scratch, cli: Cli) -> None:
    equip(team, "technical", command=["sh", "-c", f"{WORK[2]}; date +%N >> tries.txt"])
    tick(team)
    equip(team, "qa", paused=False, runner="checks")
    tick(team, agent="qa")
    assert "checks       1/1 passed" in cli("review", "1").out
    assert cli("reject", "1", "-m", "Again.").code == 0
    tick(team, agent="technical")
    assert "checks       0/1 passed" in cli("review", "1").out
    shown = cli("runs", "show", "technical")
    assert shown.code == 0 and "\nagent      technical\n" in shown.out, (
        "its name is enough, of several runs too"
    )
    tick(team, agent="qa")
    assert "checks       1/1 passed" in cli("review", "1").out


def test_only_what_checks_saw_pass_is_merged_and_only_where_a_person_lets_them(
    team: Scratch, cli: Cli
) -> None:
    """The author claims the rest: refs, an approval in a commit, and the config in its workspace."""
    claims = (
        "git update-ref refs/heads/main HEAD", "git update-ref refs/agentos/approved HEAD",
        "echo merge: checks >> board/config.yml", f"sed -i s/in_progress/done/ board/tasks/{TASK}.md",
        "git -c user.name=a -c user.email=a@b.c commit -qam 'Approved: it'",
    )  # fmt: skip
    equip(team, "technical", command=["sh", "-c", "; ".join((WORK[2], *claims, "true"))])
    tick(team)
    tip = team.git("rev-parse", f"agentos/{TASK}").strip()
    assert team.git("diff", "--name-only", f"main...{tip}").split() == ["made.txt", "told.txt"]
    equip(team, "qa", paused=False, runner="checks")
    tick(team)
    assert newest(team).verdict == "approved" and team.store.board().task("1").status is Status.REVIEW
    shown = cli("review", "1").out
    assert "verdict      approved by qa (checks)" in shown and "author       technical" in shown
    team.write("board/config.yml", team.read("board/config.yml") + "merge: checks\n")
    report = tick(team)
    assert "TASK-001: passed its checks and was merged." in report.notes
    assert team.store.board().task("1").status is Status.DONE and team.read("made.txt") == "done\n"
    said = team.git("log", "-1", "--format=%B")
    assert f"Approved: {tip}" in said and "Agent: qa" in said and team.git("status", "--porcelain") == ""


def test_failing_checks_send_back_with_the_output_and_end_with_a_person(team: Scratch) -> None:
    equip(team, "technical", command=["sh", "-c", "cat >> told.txt; date +%N >> tries.txt"])
    equip(team, "qa", paused=False, runner="checks")

    def check(draft: Any) -> None:
        tasks.edit(draft, "1", {"priority": 1})

    team.act(check)
    for number in range(3):
        tick(team, agent="technical")
        assert team.store.board().task("1").status is Status.REVIEW, number
        tick(team, agent="qa")
        task = team.store.board().task("1")
        assert task.status is Status.IN_PROGRESS
        assert bool(task.blocked) is (number == 2), number
    assert "it does not pass" in (task.blocked or "")
    assert [run.failure for run in history(team) if run.verdict] == ["checks"] * 3
    told = team.git("show", f"agentos/{TASK}:told.txt")
    assert "1 of 1 checks fail" in told and "Checks that failed in the last attempt" in told


def test_the_very_same_change_twice_stops(team: Scratch) -> None:
    equip(team, "technical", command=["sh", "-c", "echo same > made.txt"])
    equip(team, "qa", paused=False, runner="command", command=["echo", "SEND BACK: no"])
    tick(team, agent="technical")
    tick(team, agent="qa")
    assert team.store.board().task("1").status is Status.IN_PROGRESS
    (beat,) = tick(team, agent="technical").beats
    assert beat.outcome == "failed" and "very same change" in beat.text
    assert "handed in twice" in (team.store.board().task("1").blocked or "")


def test_what_a_person_sent_back_is_not_merged_on_what_was_said_before(team: Scratch, cli: Cli) -> None:
    equip(team, "technical", command=["sh", "-c", "echo done > made.txt"])
    equip(team, "qa", paused=False, runner="checks")
    tick(team, agent="technical")
    tick(team, agent="qa")
    assert "verdict      approved by qa (checks)" in cli("review", "1").out
    assert cli("reject", "1", "-m", "No, thank you").code == 0
    assert "verdict" not in cli("review", "1").out
    team.write("board/config.yml", team.read("board/config.yml") + "merge: checks\n")
    (beat,) = tick(team, agent="technical").beats
    assert beat.outcome == "failed" and "very same change" in beat.text
    assert cli("task", "unblock", "1").code == 0
    (beat,) = tick(team, agent="technical").beats
    assert beat.outcome == "settled", "a person's word lets it hand that in again"
    assert team.store.board().task("1").status is Status.REVIEW, "and it wants a look anew"
    report = tick(team, agent="qa")
    assert "TASK-001: passed its checks and was merged." in report.notes


def test_a_secret_gets_on_no_branch_and_no_board(team: Scratch) -> None:
    secret, kept = "correct-horse-battery", "echo $DB_PASSWORD > conf.py"
    again = f'echo "with $DB_PASSWORD"; test -f conf.py && rm conf.py && echo > made.txt || {kept}'
    equip(team, "technical", command=["sh", "-c", again], env=["DB_PASSWORD"])
    (beat,) = tick(team, variables={"DB_PASSWORD": secret}).beats
    assert beat.outcome == "failed" and "holds a secret (the value of a variable" in beat.text, beat
    assert not team.git("branch", "--list", "agentos/*")
    (beat,) = tick(team, variables={"DB_PASSWORD": secret}).beats
    assert beat.outcome == "settled", beat
    assert team.git("show", f"agentos/{TASK}:made.txt") == "\n"
    assert team.git("log", "--branches", "--format=%H", f"-S{secret}") == ""
    said = [team.store.body(message) for message in team.store.board().messages_of(TASK)]
    assert any("with [redacted]" in text for text in said)


def test_a_check_that_prints_a_secret_still_sends_back(team: Scratch) -> None:
    printing = "sh -c 'echo postgres://ada:open-sesame@db; exit 1'"
    task = f"board/tasks/{TASK}.md"
    team.write(task, team.read(task).replace("test -f made.txt", printing))
    equip(team, "technical", command=["touch", "made.txt"])
    tick(team)
    equip(team, "qa", paused=False, runner="checks")
    tick(team, agent="qa")
    assert team.store.board().task("1").status is Status.IN_PROGRESS
    assert "[redacted]" in team.git("log", "-1", "-p", "--", "board/messages")


def test_a_check_whose_program_is_missing_says_so(team: Scratch) -> None:
    task = f"board/tasks/{TASK}.md"
    team.write(task, team.read(task).replace("test -f made.txt", "no-such-program -v"))
    tick(team)
    equip(team, "qa", paused=False, runner="checks")
    tick(team, agent="qa")
    said = team.git("log", "-1", "-p", "--", "board/messages")
    assert "There is no program" in said or "there is no such program" in said, "in the sandbox, or without"
    assert "bwrap" not in said


def test_nothing_to_show_is_a_failed_try_and_three_of_them_ask_a_person(team: Scratch) -> None:
    equip(team, "technical", command=["true"])
    for number in range(3):
        (beat,) = tick(team).beats
        assert beat.outcome == "failed" and "nothing to review" in beat.text
        assert bool(team.store.board().task("1").blocked) is (number == 2)
    assert tick(team).beats == ()
    assert team.store.refs().claims == {}


def test_a_command_that_fails_rests_and_its_work_is_kept(team: Scratch) -> None:
    equip(team, "technical", command=["sh", "-c", "echo half > half.txt; echo no luck; exit 3"])
    (beat,) = tick(team).beats
    assert beat.outcome == "failed" and "left with 3: no luck" in beat.text and beat.again
    assert newest(team).failure == "failed"
    refs = team.git("for-each-ref", "--format=%(refname)", "refs/agentos/salvage").split()
    assert len(refs) == 1 and team.git("show", f"{refs[0]}:half.txt") == "half\n"
    assert tick(team).beats == (), "it rests"
    team.clock.forward(minutes=2)
    equip(team, "technical", command=["sh", "-c", "test -f half.txt && echo whole > whole.txt"])
    team.clock.forward(minutes=2)
    (beat,) = tick(team).beats
    assert beat.outcome == "settled", beat
    assert team.git("show", f"agentos/{TASK}:half.txt") == "half\n"


def test_a_missing_program_blocks_at_once(team: Scratch) -> None:
    for command, said in (["no-such-agent", "-p"], "no-such-agent"), ([], "no `command:`"):
        equip(team, "technical", command=command)
        tick(team)
        assert said in (team.store.board().task("1").blocked or "")
        assert newest(team).failure == "tool"
        team.act(lambda draft: tasks.unblock(draft, "1"))


def test_a_cap_of_the_day_that_is_used_up_wakes_nobody_until_tomorrow(team: Scratch) -> None:
    equip(team, "technical", budget={"usd_per_day": 0.5})
    trailers = [("Run", "r0"), ("Run-Task", TASK), ("Cost-USD", "0.50"), ("Tokens", "10")]
    from agentos.actions import messages
    from agentos.model.activity import Actor
    from agentos.store.transaction import transact

    store = team.store
    transact(store, lambda d: messages.note(d, TASK, "Spent."), Actor("technical", True), trailers=trailers)
    (beat,) = tick(team).beats
    assert beat.outcome == "passed" and "usd_per_day of technical" in beat.text
    head = team.git("rev-parse", "main")
    assert tick(team).beats == () and team.git("rev-parse", "main") == head
    team.clock.forward(hours=24)
    (beat,) = tick(team).beats
    assert beat.outcome == "settled", beat


# A process each ------------------------------------------------------------------------------------------


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return found


def test_a_run_in_a_process_of_its_own_sees_what_was_listed_and_no_key(team: Scratch) -> None:
    script = (
        "echo $GREETING $HIDDEN $SOME_API_KEY > made.txt; cat /proc/*/environ >> made.txt; echo sesame-sesame"
    )
    equip(team, "technical", command=["sh", "-c", script], env=["GREETING"])
    given = {"GREETING": "hello", "HIDDEN": "not-listed"}
    with nursery() as born:
        report = tick(team, nursery=born, variables=given, keys={"SOME_API_KEY": "sesame-sesame"})
    assert [beat.outcome for beat in report.beats] == ["settled"], report
    made = team.git("show", f"agentos/{TASK}:made.txt")
    assert made.startswith("hello\n") and "sesame" not in made and "not-listed" not in made
    kept = [file.read_text() for file in (team.store.local / "runs" / report.beats[0].run).iterdir()]
    assert "made.txt" in "".join(kept) and "sesame-sesame" not in "".join(kept)
    assert team.git("rev-parse", "main").strip() == report.beats[0].commit


def test_where_a_person_logged_a_tool_in_only_that_agent_finds_it(team: Scratch) -> None:
    home = team.store.local / "homes" / "technical"
    home.mkdir(parents=True)
    (home / ".login").write_text("ada\n")
    team.act(lambda draft: tasks.add(draft, "Another", assignees=["qa"]))
    for name in ("technical", "qa"):
        equip(
            team, name, command=["sh", "-c", "cat $HOME/.login ../../homes/*/.login > who.txt; date > when"]
        )
    equip(team, "qa", runner="command", paused=False, capabilities=[])
    tick(team)
    who = {name: team.git("show", f"agentos/{name}:who.txt") for name in (TASK, "TASK-002-another")}
    assert who == {TASK: "ada\n", "TASK-002-another": ""} or confinement() == "off"


def test_a_killed_run_is_saved_and_continued_once(team: Scratch, cli: Cli) -> None:
    slow = "test -f half.txt && exec sh -c 'echo whole > made.txt'; echo half > half.txt; sleep 60"
    equip(team, "technical", command=["sh", "-c", slow])
    work = {"agent": "technical", "task": TASK, "is_review": False}
    environ = team.store.git.plain_environment()
    asked = json.dumps({"work": work, "env": {}, "quiet": 0.0, "root": str(team.root), "environ": environ})
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    with running(ALONE, stdin=subprocess.PIPE, start_new_session=True) as run:
        assert run.stdin is not None
        run.stdin.write(asked.encode())
        run.stdin.close()
        wait_for((team.store.local / "workspaces" / TASK / "half.txt").exists)
        assert [claim.pid for claim in team.store.claims()] == [run.pid]
        assert tick(team).beats == (), "somebody is at work on it"
        os.kill(run.pid, signal.SIGKILL)
    assert "Its process is gone; the next agentos tick" in cli("runs", "tail").err, "it waits for nobody"
    with nursery() as born:
        report = tick(team, nursery=born)
    assert any("Its process is gone" in note for note in report.notes)
    assert [beat.outcome for beat in report.beats] == ["settled"], report
    assert team.git("show", f"agentos/{TASK}:half.txt") == "half\n"
    assert team.git("show", f"agentos/{TASK}:made.txt") == "whole\n"
    assert [run.failure for run in history(team) if run.run] == ["", "lost"]
    assert team.store.refs().claims == {} and not Ledger(team.store.local).is_open()


def test_a_run_whose_process_dies_under_the_tick_is_settled_by_it(team: Scratch, cli: Cli) -> None:
    """What it said last is kept, though it had not even claimed its task; a secret in it is not."""
    equip(team, "technical", command=["true"], env=["MY_TOKEN"])
    script = "import sys; print('before', 'sesame-sesame'); sys.exit('out of memory')"
    dies = Nursery((sys.executable, "-uc", script))
    (beat,) = tick(team, nursery=dies, variables={"MY_TOKEN": "sesame-sesame"}).beats
    assert (beat.outcome, beat.text) == ("lost", "its process died (out of memory)")
    assert team.store.refs().claims == {}
    shown = cli("runs", "show", beat.run).out
    assert "outcome    lost: its process died (out of memory)" in shown and f"task       {TASK}" in shown
    assert "  died\n          before [redacted]\n          out of memory\n" in shown
    silent = Nursery((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    (beat,) = tick(team, nursery=silent).beats
    assert (beat.text, beat.run) == ("its process died", "")


def test_a_claimed_run_whose_process_dies_keeps_what_it_said(team: Scratch, cli: Cli) -> None:
    equip(team, "technical", command=["true"])
    name = claims.run_id("technical", team.clock())
    claim = Claim(TASK, "technical", name, "2999-01-01T00:00:00Z", 1, socket.gethostname(), "no", "no")
    file = team.root.parent / "claim"
    file.write_bytes(claim.data)
    script = f"""if True:
        import subprocess, sys
        said = subprocess.run(["git", "hash-object", "-w", {str(file)!r}], cwd={str(team.root)!r},
                              capture_output=True, check=True).stdout.decode().strip()
        subprocess.run(["git", "update-ref", {claim.ref!r}, said], cwd={str(team.root)!r}, check=True)
        sys.exit("cannot import name")
    """
    (beat,) = tick(team, nursery=Nursery((sys.executable, "-c", script))).beats
    assert (beat.outcome, beat.run) == ("failed", name) and team.store.refs().claims == {}
    shown = cli("runs", "show", name).out
    assert "outcome    failed (lost): Its process is gone." in shown and "output=cannot import name" in shown


def test_an_answer_is_heard_though_something_outlives_its_process() -> None:
    script = (
        "import subprocess; from agentos.runtime.nursery import live; "
        "live(lambda asked: b'%d %s' % (subprocess.Popen(['sleep', '60']).pid, asked))"
    )
    with Nursery((sys.executable, "-c", script)).started(os.environ) as channel:
        channel.sendall(b"well?")
        channel.shutdown(socket.SHUT_WR)
        channel.settimeout(30)
        *_, said = b"".join(iter(lambda: channel.recv(4096), b"")).split(b"\n")[:-1]
    left, _, asked = said.partition(b" ")
    os.kill(int(left), signal.SIGKILL)
    assert asked == b"well?"


def test_ctrl_c_leaves_a_run_to_settle_by_itself(team: Scratch) -> None:
    script = "echo half > half.txt; while [ ! -e go ]; do sleep 0.02; done; rm go; echo whole > made.txt"
    equip(team, "technical", command=["sh", "-c", script])
    place = team.store.local / "workspaces" / TASK
    line = [str(Path(sys.executable).with_name("agentos")), "tick", "--force"]
    with running(line, cwd=team.root, stderr=subprocess.PIPE, start_new_session=True) as ticking:
        wait_for((place / "half.txt").exists)
        os.killpg(ticking.pid, signal.SIGINT)
        assert ticking.wait(30) == 130, "it waits for nobody"
        assert ticking.stderr and b"Left. What is at work settles by itself" in ticking.stderr.read()
    (place / "go").touch()
    wait_for(lambda: not team.store.claims())
    assert team.git("show", f"agentos/{TASK}:made.txt") == "whole\n"


def test_a_run_that_settled_and_left_its_claim_is_not_settled_again(team: Scratch) -> None:
    """As after `kill -9` within git: it deletes refs after it has moved the others."""
    (beat,) = tick(team).beats
    dead = subprocess.Popen(["true"])
    claim = Claim(
        TASK,
        "technical",
        beat.run,
        "2999-01-01T00:00:00Z",
        dead.pid,
        socket.gethostname(),
        "1",
        liveness.boot(),
    )
    assert claims.take(team.store, claim)
    dead.wait()
    report = tick(team)
    assert report.notes == ("technical on TASK-001: It had settled; its claim was released.",)
    assert [run.run for run in history(team) if run.run] == [beat.run] and not team.store.claims()


@pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux alone")
def test_a_run_is_a_fork_that_outlives_its_tick(team: Scratch) -> None:
    equip(team, "technical", command=["sh", "-c", "echo half > half.txt; sleep 1; echo whole > made.txt"])
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    line = [str(Path(sys.executable).with_name("agentos")), "tick", "--force"]
    with running(line, cwd=team.root, start_new_session=True) as ticking:
        wait_for((team.store.local / "workspaces" / TASK / "half.txt").exists)
        (claim,) = team.store.claims()
        assert claim.pid != ticking.pid and claim.is_alone
        assert b"tick" in Path(f"/proc/{claim.pid}/cmdline").read_bytes(), "it was not started anew"
        os.killpg(ticking.pid, signal.SIGKILL)
    wait_for(lambda: not team.store.claims())
    assert newest(team).run == claim.run and not newest(team).failure
    assert team.git("show", f"agentos/{TASK}:made.txt") == "whole\n"
    wait_for(lambda: not Path(f"/proc/{claim.pid}").exists())


def test_what_a_run_cost_that_never_settled_is_brought_into_history(team: Scratch) -> None:
    ledger = Ledger(team.store.local)
    with ledger.change() as entries:
        entries["r9"] = Entry(
            "r9", "technical", TASK, "2026-02-02T10:00:00Z", usd=0.25, tokens=500, model="m"
        )
    notes = tick(team).notes
    assert any("its cost is now in history" in note for note in notes)
    counted = next(run for run in history(team) if run.run == "r9")
    assert (counted.usd, counted.tokens, counted.model) == (0.25, 500, "m")
    assert not ledger.is_open()
    head = team.git("rev-list", "--count", "main")
    equip(team, "technical", paused=True)
    tick(team)
    assert int(team.git("rev-list", "--count", "main")) == int(head) + 1
    team.git("gc", "-q")
    assert budget.amount(runs.since(team.store, datetime(2026, 2, 1).astimezone())[-1].usd, "usd") == "$0.25"


def test_a_task_taken_away_while_a_run_is_at_it_stays_taken(team: Scratch) -> None:
    equip(team, "technical", command=["sh", "-c", "echo x > made.txt"])
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    from agentos.model.rules import Assignment
    from agentos.runtime import heartbeat
    from agentos.store import claims

    store = team.store
    original = store.clock
    moved = []

    def clock() -> datetime:
        if not moved and any((store.local / "workspaces").glob("*/made.txt")):
            moved.append(claims.drop_any(team.store, TASK))
        return original()

    object.__setattr__(store, "clock", clock)
    beat = heartbeat.beat(store, Assignment("technical", TASK), {})
    assert moved == [True] and beat.outcome in ("passed", "failed") and "is gone" in beat.text
    assert team.store.board().task("1").status is Status.IN_PROGRESS
    assert not any(run.commit for run in history(team))


# Keys ---------------------------------------------------------------------------------------------------


def test_keys_come_from_a_file_that_nobody_else_can_read(
    tmp_path: Path, team: Scratch, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path), "OPENAI_API_KEY": "shell", "PASSWORD": "x"}
    assert keys.read(env) == {"OPENAI_API_KEY": "shell"}
    file = keys.path(env)
    file.parent.mkdir()
    file.write_text("# mine\nexport OPENAI_API_KEY='file'\nOTHER=a=b # c\n\n")
    file.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        keys.read(env)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    refused = cli("tick")
    assert (refused.code, "chmod 600" in refused.err) == (6, True)
    file.chmod(0o600)
    assert keys.read(env) == {"OPENAI_API_KEY": "file", "OTHER": "a=b # c"}
    file.write_text("OPENAI_API_KEY file\n")
    with pytest.raises(Invalid, match=":1: a line is NAME=value") as wrong:
        keys.read(env)
    assert "file" not in str(wrong.value).replace(str(file), "")
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="must be a plain file"):
        keys.read(env)


def test_keys_that_somebody_else_put_there_are_refused(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = keys.path(env)
    file.parent.mkdir()
    file.write_text("OPENAI_API_KEY=theirs\n")
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
        with pytest.raises(Refused, match="others can read it"):
            keys.read(env)


def test_only_a_pair_of_quotes_is_taken_off_a_key() -> None:
    text = "A='a'\nB=\"b'\nC=cxc\nD='\nE=''\n"
    assert keys.parse(text, "env") == {"A": "a", "B": "\"b'", "C": "cxc", "D": "'", "E": ""}


# Logs ---------------------------------------------------------------------------------------------------


def test_without_a_sandbox_a_tick_refuses_and_wakes_who_runs_nothing(
    scratch: Scratch, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    equip(scratch, "technical", runner="command", command=WORK)
    for title, who in (("The work", "technical"), ("The talk", "qa")):
        scratch.act(lambda draft, title=title, who=who: tasks.add(draft, title, assignees=[who]))
    equip(scratch, "orchestrator", runner="command", command=WORK)
    monkeypatch.setattr(bubblewrap, "program", lambda: None)
    bubblewrap.hindrance.cache_clear()
    try:
        first, second, named = cli("tick"), cli("tick", "--force"), cli("tick", "--agent", "technical")
        assert "bubblewrap is not installed" in cli("doctor").err
    finally:
        monkeypatch.undo()
        bubblewrap.hindrance.cache_clear()
    for done in (first, second, named):
        assert done.code == 6, done
        assert "Not woken: technical." in done.err and "`sandbox: off` in board/config.yml" in done.err
    board = scratch.store.board()
    assert [board.task(number).status for number in ("1", "2")] == [Status.ASSIGNED, Status.REVIEW]
    assert not board.task("1").blocked


def test_an_agent_whose_file_can_not_be_read_is_not_woken(team: Scratch, cli: Cli) -> None:
    file = team.read("agents/technical.md")
    team.write("agents/technical.md", file.replace("runner: command", "runner: command\n  max_calls: -1"))
    assert tick(team).beats == () and team.store.refs().claims == {}
    assert team.git("show", f"HEAD:board/tasks/{TASK}.md").count("status: assigned") == 1
    named = cli("tick", "--agent", "technical")
    assert named.code == 4 and "agents/technical.md can't be read" in named.err
    team.write("agents/technical.md", file)
    assert [beat.outcome for beat in tick(team).beats] == ["settled"]


def test_runs_are_listed_shown_and_followed(team: Scratch, cli: Cli) -> None:
    nothing = cli("runs", "list")
    assert (nothing.code, nothing.out) == (0, "") and "No runs here yet" in nothing.err
    assert cli("runs", "show").code == 3 and "No runs here yet" in cli("runs", "tail").err
    (beat,) = tick(team).beats
    line = cli("runs", "list").out.rstrip("\n").split("\t")
    assert line[:4] == [beat.run, "technical", "TASK-001", "settled"]
    (as_json,) = json.loads(cli("runs", "list", "--task", "1", "--json").out)
    assert (as_json["run"], as_json["runner"], as_json["outcome"]) == (beat.run, "command", "settled")
    none = cli("runs", "list", "--agent", "qa")
    assert none.out == "" and "No such runs" in none.err
    shown = cli("runs", "show", beat.run[:20])
    assert shown.code == 0 and "  command  " in shown.out and "made it" in shown.out
    assert "\noutcome    settled: " in shown.out and "\nsandbox " in shown.out
    assert [line["kind"] for line in json.loads(cli("runs", "show", "--json").out)["log"]] == [
        "output", "command",
    ]  # fmt: skip
    followed = cli("runs", "tail")
    assert followed.out == cli("runs", "tail", "--no-follow", "-n", "5").out != ""
    assert f"{beat.run}: technical on {TASK}\n" in followed.err and "\nsettled: " in followed.err
    assert json.loads(cli("runs", "tail", "--json").out.splitlines()[-1])["code"] == 0
    assert cli("runs", "show", "nonesuch").code == 3


def test_the_output_of_a_command_is_followed_while_it_runs(team: Scratch, cli: Cli) -> None:
    script = "echo first; until test -f go; do sleep 0.02; done; echo sesame-$MY_TOKEN; rm go; printf end"
    equip(team, "technical", command=["sh", "-c", script], env=["MY_TOKEN"])
    running = threading.Thread(target=tick, args=(team,), kwargs={"variables": {"MY_TOKEN": "sesame"}})
    running.start()
    try:
        logs = runlog.folder(team.store.local)
        wait_for(lambda: any(runlog.lines(team.store.local, run)[0] for run in runlog.names_in(logs)))
        early = cli("runs", "tail", "--no-follow")
        assert "  output  first\n" in early.out and "command" not in early.out
    finally:
        (team.store.local / "workspaces" / TASK / "go").touch()
        running.join()
    said, _ = runlog.lines(team.store.local, cli("runs", "list").out.split("\t")[0])
    assert [(line["kind"], line.get("said")) for line in said] == [
        ("output", "first"), ("output", "[redacted]-[redacted]"), ("output", "end"), ("command", None),
    ]  # fmt: skip
    assert "output" not in said[-1]


def test_output_comes_in_whole_lines_and_no_more_than_so_much(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs" / "one")
    heard = runlog.Heard(log)
    pem = b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"
    for piece in (
        b"caf",
        b"\xc3",
        b"\xa9\nhalf",
        b" a line\nkey: ",
        *(pem[i : i + 9] for i in range(0, 60, 9)),
        b"end",
    ):
        heard.add(piece)
    heard.end()
    said = [line["said"] for line in runlog.lines(tmp_path, "one")[0]]
    assert heard.is_whole and said == ["caf\u00e9", "half a line", "key: [redacted]", "end"]
    for known in ((), ("two\nlines",)):
        heard = runlog.Heard(RunLog(tmp_path / "runs" / f"n{len(known)}", known=known))
        for _ in range(100):
            heard.add(b"x" * 1023 + b"\n")
        heard.end()
        lines = runlog.lines(tmp_path, f"n{len(known)}")[0]
        assert not heard.is_whole and len(lines) == (0 if known else 64)


@pytest.mark.parametrize("size", [1, 7, 76])
def test_a_secret_in_several_lines_is_redacted_though_they_come_one_by_one(tmp_path: Path, size: int) -> None:
    secret = "correct-horse-battery-staple-" * 4
    coded = base64.b64encode(secret.encode()).decode()
    heard = runlog.Heard(RunLog(tmp_path / "runs" / "one", known=(secret,)))
    for text in (secret, coded):
        for at in range(0, len(text), size):
            heard.add(f"{text[at : at + size]}\n".encode())
    heard.add(b"bye\n")
    heard.end()
    said = "".join(line["said"] for line in runlog.lines(tmp_path, "one")[0])
    assert heard.is_whole and said.count("[redacted]") == 2 and said.endswith("bye")
    assert len("".join(said.split())) < 40


def test_a_line_of_a_log_can_not_drive_a_terminal_and_long_texts_stand_below(
    scratch: Scratch, cli: Cli
) -> None:
    log = RunLog(scratch.store.local / "runs" / "20260202T103000Z-technical-evil", scratch.clock)
    log.say(
        agent="tech\x1bnical", task=TASK, start="2026-02-02T10:30:00Z", refused=["a\x1b[2J", "b"], usage=3
    )
    output = "\x1b]0;gone\x07\r+ fine\u202e\r\n" + "".join(f"row {i}\n" for i in range(100))
    log.write("command", argv=["sh", "-c", "a b\n\x1b[31m"], code=1, output=output)
    log.write("call\x1b", tool="read", arguments="{}", text="x" * 5000)
    log.say(outcome="failed", text="no\nluck", end="2026-02-02T10:31:00Z", kind="checks")
    assert log.folder
    file = log.folder / "log.jsonl"
    file.write_text(file.read_text() + "[]\n{\n")
    shown = cli("runs", "show").out
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "took       60 s\noutcome    failed (checks): no luck\nleft out   a [2J\nleft out   b\n" in shown
    assert "\n          ^[]0;gone^G^M+ fine<U+202E>\n          row 0\n" in shown
    assert "row 50" not in shown and "… 81 more lines (--json has them) …\n" in shown and "row 99\n" in shown
    assert max(map(len, shown.splitlines())) < 1100 and shown.count("unreadable") == 2
    assert "row 50" in cli("runs", "show", "--json").out
    assert "\x1b" not in cli("runs", "tail").out + cli("runs", "list").out + cli("runs", "tail", "--json").out

"""The command line: every command with its effect, its JSON, its exit code, and what goes to which stream."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Outcome, Scratch

from agentos.model.records import RECORDS

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
EVIL = "a\x1b]0;owned\x07b\x9b2Jc\x7fd"
EVIL_YAML = '"a\\e]0;owned\\ab\\x9b2Jc\\x7fd"'


def added(cli: Cli, title: str, *options: str) -> str:
    """A new task's name."""
    done = cli("task", "add", title, *options)
    assert done.code == 0, done.err
    return done.out.strip()


def data(cli: Cli, *args: str) -> Any:
    done = cli(*args, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def task(cli: Cli, ref: str) -> dict[str, Any]:
    shown: dict[str, Any] = data(cli, "task", "show", ref)
    return shown


def save(scratch: Scratch, path: str, text: str) -> None:
    """A person's save, a minute ago: a tick does not wait for it to settle."""
    file = scratch.write(path, text)
    os.utime(file, (time.time() - 60, time.time() - 60))


def head(scratch: Scratch) -> str:
    return scratch.git("rev-parse", "HEAD")


def state(scratch: Scratch) -> tuple[str, str, str]:
    """All refs, the index and the working tree."""
    status = scratch.git("status", "--porcelain", "-uall")
    return scratch.git("for-each-ref"), scratch.git("ls-files", "-s"), status


# Setting up ---------------------------------------------------------------------------------------------


def fresh(tmp_path: Path, *, commit: bool = False) -> Scratch:
    root = tmp_path / "fresh"
    root.mkdir()
    here = Scratch(root, None)  # type: ignore[arg-type]
    here.git("init", "-q", "-b", "main")
    if commit:
        here.write("README.md", "# A project\n")
        here.git("add", ".")
        here.git("commit", "-qm", "first")
    return here


def test_init_makes_a_repository_a_board_and_a_team(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", "new", "--runner", "simulated", cwd=tmp_path)
    assert done.code == 0
    here = Scratch(tmp_path / "new", None)  # type: ignore[arg-type]
    assert here.git("status", "--porcelain") == ""
    assert here.git("log", "--format=%an: %s") == "Ada Lovelace: agentos init: a board\n"
    names = [agent["name"] for agent in json.loads(cli("agent", "list", "--json", cwd=here.root).out)]
    assert names == ["orchestrator", "qa", "technical"]
    assert "format: 1\n" in here.read("board/config.yml")
    assert here.read("WORKING.md").startswith("# Mission Control - Working State\n")
    assert cli("doctor", cwd=here.root).code == 0


def test_init_in_an_existing_repository_leaves_its_files_alone(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path, commit=True)
    mine = "---\nname: technical\ndescription: Mine.\ntools: Read, Grep\n---\n\nBe brief.\n"
    here.write("agents/technical.md", mine)
    here.write("staged.txt", "x")
    here.git("add", "staged.txt")
    assert cli("init", "--team", "core", "--runner", "simulated", cwd=here.root).code == 0
    assert here.read("agents/technical.md") == mine
    assert here.read("README.md") == "# A project\n"
    assert here.git("diff", "--cached", "--name-only") == "staged.txt\n"
    team = {agent["name"]: agent for agent in json.loads(cli("agent", "list", "--json", cwd=here.root).out)}
    assert team["technical"]["description"] == "Mine."
    assert "agentos" not in team["technical"]


def test_init_with_the_full_team_covers_every_agent_type(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path)
    assert cli("init", "--team", "full", "--runner", "simulated", cwd=here.root).code == 0
    team = json.loads(cli("agent", "list", "--json", cwd=here.root).out)
    assert len(team) == 10
    able = {each for agent in team for each in agent["agentos"]["capabilities"]}
    assert able >= {
        "technical", "architect", "backend-developer", "frontend-developer", "ai-specialist", "qa-engineer",
        "performance-engineer", "security-engineer", "devops-engineer", "technical-writer", "review",
    }  # fmt: skip
    runners = {agent["name"]: agent["agentos"]["runner"] for agent in team}
    assert runners.pop("orchestrator") == "rules"
    assert set(runners.values()) == {"simulated"}


def test_init_below_the_top_makes_the_board_there(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path, commit=True)
    assert cli("init", "team", "--runner", "simulated", cwd=here.root).code == 0
    assert (here.root / "team/board/config.yml").is_file()
    assert not (here.root / "board").exists()
    assert cli("task", "add", "One", cwd=here.root / "team/agents").out == "TASK-001-one\n"
    assert cli("task", "add", "Two", cwd=here.root).out == "TASK-002-two\n"
    assert here.git("status", "--porcelain") == ""


def test_init_on_another_branch_leaves_this_one_alone(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path, commit=True)
    before = here.git("rev-parse", "main")
    assert cli("init", "--branch", "board", "--runner", "simulated", cwd=here.root).code == 0
    assert here.git("rev-parse", "main") == before
    assert here.git("status", "--porcelain") == ""
    assert not (here.root / "board").exists()
    assert cli("task", "add", "One", cwd=here.root).out == "TASK-001-one\n"
    assert "TASK-001-one" in cli("task", "list", cwd=here.root).out
    assert here.git("rev-parse", "main") == before
    assert "board/tasks/TASK-001-one.md" in here.git("ls-tree", "-r", "--name-only", "board")


def test_init_in_a_fresh_clone_sets_up_what_is_local_to_it(
    cli: Cli, scratch: Scratch, tmp_path: Path
) -> None:
    added(cli, "One")
    scratch.git("clone", "-q", str(scratch.root), str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone", scratch.clock)
    before = head(clone)
    assert cli("init", cwd=clone.root).code == 0
    assert head(clone) == before
    assert clone.git("status", "--porcelain") == ""
    assert (clone.root / ".git/agentos/clone.json").is_file()
    assert cli("task", "list", cwd=clone.root).out.startswith("TASK-001-one\t")
    assert cli("init", cwd=clone.root).code == 0


def test_init_finds_a_board_that_lives_on_a_branch_of_the_remote(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path, commit=True)
    assert cli("init", "--branch", "board", "--runner", "simulated", cwd=here.root).code == 0
    cli("task", "add", "One", cwd=here.root)
    here.git("clone", "-q", str(here.root), str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone", None)  # type: ignore[arg-type]
    assert cli("init", "--branch", "board", cwd=clone.root).code == 0
    assert clone.git("rev-parse", "board") == here.git("rev-parse", "board")
    assert "TASK-001-one" in cli("task", "list", cwd=clone.root).out


@pytest.mark.parametrize(
    "options", [["--team", "none"], ["--runner", "magic"], ["--branch", "a..b"], ["--branch", "-x"]]
)
def test_init_refuses_what_it_does_not_know(cli: Cli, tmp_path: Path, options: list[str]) -> None:
    here = fresh(tmp_path)
    assert fails(cli("init", *options, cwd=here.root), 2)
    assert not (here.root / "board").exists()


def test_init_gives_the_person_the_name_they_ask_for(cli: Cli, tmp_path: Path) -> None:
    here = fresh(tmp_path)
    assert cli("init", "--person", "ada", cwd=here.root).code == 0
    assert cli("task", "add", "One", "--assign", "ada", cwd=here.root).code == 0
    assert json.loads(cli("task", "show", "1", "--json", cwd=here.root).out)["created_by"] == "ada"


# Tasks --------------------------------------------------------------------------------------------------


def test_a_task_is_added_with_every_option(cli: Cli, scratch: Scratch) -> None:
    added(cli, "First")
    added(cli, "Goal")
    name = added(
        cli, "Add a login", "--body", "Words.", "--priority", "1", "--assign", "technical",
        "--need", "review", "--need", "a/b", "--depends", "1", "--parent", "goal",
        "--label", "auth", "--label", "ui", "--touches", "src/auth", "--due", "2026-12-24",
        "--estimate", "2h", "--check", "pytest -q",
    )  # fmt: skip
    assert name == "TASK-003-add-a-login"
    assert task(cli, "3") == {
        "id": name,
        "path": f"board/tasks/{name}.md",
        "title": "Add a login",
        "status": "assigned",
        "priority": 1,
        "assignees": ["technical"],
        "created_by": "ada-lovelace",
        "parent": "TASK-002-goal",
        "depends_on": ["TASK-001-first"],
        "needs": ["review", "a/b"],
        "touches": ["src/auth"],
        "labels": ["auth", "ui"],
        "estimate": "2h",
        "due": "2026-12-24",
        "created": "2026-02-02T10:30:00Z",
        "updated": "2026-02-02T10:30:00Z",
        "body": "Words.\n\n## Acceptance criteria\n\n- [ ] `pytest -q` passes\n",
    }
    assert scratch.git("status", "--porcelain") == ""


def test_a_body_may_come_from_standard_input(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("From a pipe.\n")
    with (tmp_path / "in").open() as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        added(cli, "Piped", "--body", "-")
    with (tmp_path / "in").open() as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        assert cli("message", "add", "1", "-").code == 0
    assert task(cli, "1")["body"] == "From a pipe.\n"
    assert data(cli, "message", "list", "1")[0]["body"] == "From a pipe.\n"


@pytest.fixture
def five(cli: Cli) -> Cli:
    """A board with a task of each kind."""
    added(cli, "Ready", "--label", "x", "--priority", "1")
    added(cli, "Given", "--assign", "qa")
    added(cli, "Waiting", "--depends", "1")
    added(cli, "Stopped")
    cli("task", "block", "4", "no", "key")
    added(cli, "Over", "--label", "x")
    cli("task", "move", "5", "done")
    return cli


def listed(cli: Cli, *options: str) -> list[int]:
    return [int(each["id"][5:8]) for each in data(cli, "task", "list", *options)]


def test_a_list_shows_what_is_asked_for(five: Cli) -> None:
    assert listed(five) == [1, 2, 3, 4]
    assert listed(five, "--all") == [1, 2, 3, 4, 5]
    assert listed(five, "--status", "done") == [5]
    assert listed(five, "--status", "inbox") == [1, 3, 4]
    assert listed(five, "--assignee", "qa") == [2]
    assert listed(five, "--label", "x") == [1]
    assert listed(five, "--label", "x", "--all") == [1, 5]
    assert listed(five, "--ready") == [1, 2]
    assert listed(five, "--blocked") == [3, 4]
    assert listed(five, "--limit", "2") == [1, 2]
    assert listed(five, "--limit", "0") == [1, 2, 3, 4]
    assert "2 of 4" in five("task", "list", "--limit", "2").err


def test_a_list_is_tab_separated_for_a_script(five: Cli) -> None:
    lines = five("task", "list").out.splitlines()
    assert lines[0] == "TASK-001-ready\tinbox\t1\t\tReady"
    assert lines[1] == "TASK-002-given\tassigned\t3\tqa\tGiven"


def test_a_task_is_shown_with_what_moves_it_next(five: Cli) -> None:
    shown = five("task", "show", "3").out
    assert shown.startswith("TASK-003-waiting: Waiting\n")
    assert re.search(r"^next +waits for TASK-001-ready$", shown, re.MULTILINE)
    assert re.search(r"^blocked +no key$", five("task", "show", "4").out, re.MULTILINE)
    assert re.search(r"^next +the next heartbeat of qa$", five("task", "show", "2").out, re.MULTILINE)


def test_an_edit_changes_the_fields_it_names(cli: Cli, scratch: Scratch) -> None:
    added(cli, "Other")
    added(cli, "One", "--label", "a", "--label", "b")
    done = cli(
        "task", "edit", "2", "--title", "Two", "--priority", "2", "--due", "2026-03-01", "--add-label", "c",
        "--remove-label", "a", "--add-depends", "1", "--add-need", "review", "--set", "estimate=3h",
        "--set", "touches=src, docs", "--set", "colour=[red, 1]", "--set", "fast=true",
    )  # fmt: skip
    assert done.code == 0
    shown = task(cli, "2")
    assert shown["title"] == "Two"
    assert (shown["priority"], shown["due"], shown["estimate"]) == (2, "2026-03-01", "3h")
    assert shown["labels"] == ["b", "c"]
    assert shown["depends_on"] == ["TASK-001-other"]
    assert shown["needs"] == ["review"]
    assert shown["touches"] == ["src", "docs"]
    assert (shown["colour"], shown["fast"]) == (["red", 1], True)
    assert shown["id"] == "TASK-002-one"
    cli("task", "edit", "2", "--due", "", "--remove-depends", "1", "--set", "colour=")
    shown = task(cli, "2")
    assert "due" not in shown and "colour" not in shown
    assert not shown.get("depends_on")


def test_an_edit_of_one_field_is_at_most_two_lines_of_a_diff(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One")
    odd = (
        "---\ntitle:  'One'   # mine\nzeta: {b: 1,  a: [x]}\npriority: 3\nstatus: \"inbox\"\n---\n\nBody  \n"
    )
    save(scratch, "board/tasks/TASK-001-one.md", odd)
    scratch.git("commit", "-qam", "odd")
    for options in (
        ["--priority", "1"],
        ["--title", "Two"],
        ["--set", "status=review"],
        ["--add-label", "x"],
    ):
        assert cli("task", "edit", "1", *options).code == 0
        changed = scratch.git("diff", "HEAD~1", "--numstat", "--", "board").split()
        assert int(changed[0]) <= 1 and int(changed[1]) <= 1, options


def test_references_may_be_set_in_any_form(cli: Cli) -> None:
    added(cli, "One")
    added(cli, "Two")
    assert cli("task", "edit", "2", "--set", "parent=1", "--set", "depends_on=1").code == 0
    assert task(cli, "2")["parent"] == "TASK-001-one"
    assert task(cli, "2")["depends_on"] == ["TASK-001-one"]
    assert cli("task", "edit", "2", "--parent", "").code == 0
    assert "parent" not in task(cli, "2")


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """$EDITOR as a small program, with an argument of its own."""
    file = tmp_path / "my editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{file}' --wait")


def test_an_edit_without_an_option_opens_the_editor(
    cli: Cli, scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(cli, "One")
    editor(tmp_path, monkeypatch, 'test "$1" = --wait && sed -i "s/priority: 3/priority: 1/" "$2"')
    done = cli("task", "edit", "1")
    assert done.code == 0
    assert "Nothing changed" not in done.err
    assert task(cli, "1")["priority"] == 1
    assert scratch.git("log", "-1", "--format=%an: %s") == "Ada Lovelace: TASK-001-one: priority 3 → 1\n"
    assert scratch.git("status", "--porcelain") == ""


def test_an_editor_that_changes_nothing_commits_nothing(
    cli: Cli, scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(cli, "One")
    before = head(scratch)
    editor(tmp_path, monkeypatch, "true")
    assert "Nothing changed" in cli("task", "edit", "1").err
    editor(tmp_path, monkeypatch, "exit 3")
    assert cli("task", "edit", "1").code == 1
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert fails(cli("task", "edit", "1"), 1)
    assert head(scratch) == before


def test_an_editor_that_breaks_the_file_is_told_where(
    cli: Cli, scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(cli, "One")
    before = head(scratch)
    editor(tmp_path, monkeypatch, 'sed -i "s/priority: 3/priority: soon/" "$2"')
    assert "board/tasks/TASK-001-one.md:4: priority" in fails(cli("task", "edit", "1"), 4)
    assert head(scratch) == before
    assert "priority: soon" in scratch.read("board/tasks/TASK-001-one.md")


def test_no_input_never_opens_an_editor(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added(cli, "One")
    editor(tmp_path, monkeypatch, f"touch '{tmp_path}/opened'")
    assert fails(cli("--no-input", "task", "edit", "1"), 6)
    assert not (tmp_path / "opened").exists()


def test_a_person_moves_a_task_anywhere(cli: Cli) -> None:
    added(cli, "One")
    for status in ("review", "in_progress", "done", "assigned", "inbox", "in-progress"):
        assert cli("task", "move", "1", status).code == 0
        assert task(cli, "1")["status"] == status.replace("-", "_")
    cli("task", "move", "1", "done", "--as", "cancelled")
    assert task(cli, "1")["resolution"] == "cancelled"
    cli("task", "move", "1", "done", "--as", "duplicate")
    assert task(cli, "1")["resolution"] == "duplicate"
    cli("task", "move", "1", "inbox")
    assert "resolution" not in task(cli, "1")


def test_a_resolution_is_for_done_tasks_only(cli: Cli) -> None:
    added(cli, "One")
    assert fails(cli("task", "move", "1", "review", "--as", "cancelled"), 2)


def test_assigning_says_who_works_and_nobody_gives_it_back(cli: Cli) -> None:
    added(cli, "One")
    cli("task", "assign", "1", "@qa", "agent:technical:main", "ada-lovelace")
    shown = task(cli, "1")
    assert (shown["status"], shown["assignees"]) == ("assigned", ["qa", "technical", "ada-lovelace"])
    cli("task", "assign", "1")
    assert task(cli, "1")["status"] == "inbox"
    assert not task(cli, "1").get("assignees")
    cli("task", "assign", "1", "qa")
    cli("task", "move", "1", "in_progress")
    cli("task", "assign", "1")
    assert task(cli, "1")["status"] == "inbox"


def test_a_task_is_blocked_with_a_reason_and_let_go(cli: Cli) -> None:
    added(cli, "One")
    assert cli("task", "block", "1", "waiting", "for", "the key").code == 0
    assert task(cli, "1")["blocked"] == "waiting for the key"
    assert ": unblocked  (" in cli("task", "unblock", "1").err
    assert "blocked" not in task(cli, "1")
    cli("task", "move", "1", "done")
    assert fails(cli("task", "block", "1", "x"), 6)


def test_what_was_edited_by_hand_is_said_though_the_command_fails(cli: Cli, scratch: Scratch) -> None:
    """It was committed before anything else was looked at."""
    added(cli, "One")
    for command, code in ((("task", "block", "9", "x"), 3), (("task", "move", "1", "nowhere"), 2)):
        save(
            scratch, "board/tasks/TASK-001-one.md", scratch.read("board/tasks/TASK-001-one.md") + "\nMore.\n"
        )
        done = cli(*command)
        assert done.code == code and done.err.startswith("TASK-001-one: text edited  (by hand)\nerror: "), (
            done
        )
        assert scratch.git("status", "--porcelain") == ""
        again = cli(*command)
        assert "by hand" not in again.err and again.code == code


def test_a_criterion_is_ticked_and_cleared(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--check", "pytest", "--check", "ruff check")
    done = cli("task", "check", "1", "2")
    assert (done.code, done.err.partition("  (")[0]) == (0, "TASK-001-one: checked 1 of 2")
    assert "ada-lovelace checked 1 of 2 of TASK-001\n" in scratch.read("WORKING.md")
    assert task(cli, "1")["body"].endswith("- [ ] `pytest` passes\n- [x] `ruff check` passes\n")
    assert ": unchecked 1 of 2  (" in cli("task", "check", "1", "2", "--clear").err
    assert cli("log", "--limit", "1").out.endswith("\tada-lovelace\tunchecked 1 of 2 of TASK-001\n")
    assert task(cli, "1")["body"].endswith("- [ ] `pytest` passes\n- [ ] `ruff check` passes\n")
    assert fails(cli("task", "check", "1", "3"), 3)
    assert fails(cli("task", "check", "1", "0"), 3)


def test_done_tasks_are_archived_and_stay_reachable(five: Cli, scratch: Scratch) -> None:
    five("message", "add", "5", "It was fine.")
    assert five("task", "archive", "5").code == 0
    assert (scratch.root / "board/archive/00xx/TASK-005-over.md").is_file()
    assert task(five, "5")["path"] == "board/archive/00xx/TASK-005-over.md"
    assert data(five, "message", "list", "5")[0]["body"] == "It was fine.\n"
    assert "TASK-005" not in scratch.read("WORKING.md").partition("## Recent")[0]
    assert added(five, "Next") == "TASK-006-next"
    five("task", "move", "1", "done")
    assert "1 archived" in five("task", "archive", "--done").err
    assert fails(five("task", "archive", "2"), 6)
    assert fails(five("task", "archive"), 2)
    assert scratch.git("status", "--porcelain") == ""


# Agents -------------------------------------------------------------------------------------------------


def test_an_agent_is_added_with_every_option_and_shown(cli: Cli, scratch: Scratch) -> None:
    done = cli(
        "agent", "add", "reviewer", "--role", "Reads every diff",
        "--capability", "review", "--capability", "css", "--runner", "simulated",
        "--model", "big-1", "--heartbeat", "*/5 * * * *",
    )  # fmt: skip
    assert done.out == "reviewer\n"
    shown = data(cli, "agent", "show", "reviewer")
    assert shown.pop("updated") == "2026-02-02T10:30:00Z"
    assert shown == {
        "id": "reviewer",
        "path": "agents/reviewer.md",
        "name": "reviewer",
        "description": "Reads every diff",
        "model": "big-1",
        "agentos": {
            "role": "Reads every diff",
            "capabilities": ["review", "css"],
            "runner": "simulated",
            "heartbeat": "*/5 * * * *",
        },
        "body": "You are reviewer, Reads every diff of this team.\n",
    }
    assert cli("agent", "show", "rev").out == scratch.read("agents/reviewer.md")


def test_an_agent_is_paused_resumed_and_removed(cli: Cli, scratch: Scratch) -> None:
    before = scratch.read("agents/technical.md")
    assert cli("agent", "pause", "technical").code == 0
    assert data(cli, "agent", "show", "technical")["agentos"]["paused"] is True
    added(cli, "One", "--assign", "technical")
    assert not data(cli, "tick")["beats"]
    assert cli("agent", "resume", "technical").code == 0
    assert data(cli, "agent", "show", "technical")["agentos"].get("paused", False) is False
    assert len(set(before.splitlines()) ^ set(scratch.read("agents/technical.md").splitlines())) <= 1
    assert fails(cli("agent", "remove", "technical"), 6)
    cli("task", "assign", "1", "qa")
    assert cli("agent", "remove", "technical").code == 0
    assert fails(cli("agent", "show", "technical"), 3)


def test_an_agent_without_a_runner_is_told_apart_from_an_idle_one(cli: Cli, scratch: Scratch) -> None:
    cli("agent", "add", "lost", "--capability", "ops")
    save(scratch, "agents/odd.md", "---\nname: odd\nagentos: {runner: magic}\n---\n")
    lines = {line.split("\t")[0]: line.split("\t")[2] for line in cli("agent", "list").out.splitlines()}
    assert lines["lost"] == "No runner; set `runner:` under `agentos:` in agents/lost.md"
    assert "magic" in lines["odd"] and "agents/odd.md" in lines["odd"]
    assert lines["qa"] == "Checks it"
    assert "- agent:lost:main [IDLE] - No runner; set `runner:`" in scratch.read("WORKING.md")
    added(cli, "Ops", "--need", "ops")
    assert "ops" in cli("tick").err
    assert "no runner" in cli("tick", "--agent", "lost").err.lower()


def test_an_agents_name_is_plain_and_its_own(cli: Cli, scratch: Scratch) -> None:
    before = state(scratch)
    for name in ("qa", "ada-lovelace", "Bad", "a b", "../x", "", "-x", "a/b"):
        assert fails(cli("agent", "add", "--", name), 2)
    assert state(scratch) == before


# Messages -----------------------------------------------------------------------------------------------


def test_messages_mention_reply_and_attach(cli: Cli, scratch: Scratch, tmp_path: Path) -> None:
    added(cli, "One")
    (tmp_path / "My Shot.PNG").write_bytes(b"\x89PNG\0")
    first = cli(
        "message", "add", "1", "Which page, @technical and @nobody?", "--type", "question"
    ).out.strip()
    scratch.clock.forward(minutes=1)
    second = cli(
        "message", "add", "1", "The front page.", "--as", "technical", "--type", "answer",
        "--reply-to", first[-4:], "--attach", str(tmp_path / "My Shot.PNG"),
    ).out.strip()  # fmt: skip
    one, two = data(cli, "message", "list", "1")
    assert (one["id"], one["author"], one["type"], one["mentions"]) == (
        first, "ada-lovelace", "question", ["technical"],
    )  # fmt: skip
    assert one["created"] == "2026-02-02T10:30:00Z"
    assert (two["id"], two["author"], two["type"], two["reply_to"]) == (second, "technical", "answer", first)
    (attached,) = two["attachments"]
    assert re.fullmatch(r"board/attachments/TASK-001-one/my-shot-\w{4}\.png", attached)
    assert (scratch.root / attached).read_bytes() == b"\x89PNG\0"
    assert re.fullmatch(r"20260202T103000Z-ada-lovelace-\w{4}", first)
    text = cli("message", "list", "1").out
    assert text.index("Which page") < text.index("The front page.")
    assert scratch.git("status", "--porcelain") == ""


def test_a_message_that_cannot_be_is_refused(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One")
    before = state(scratch)
    for args, code in (
        (["1", " "], 2),
        (["1", "x", "--type", "rant"], 2),
        (["1", "x", "--as", "Bad Name"], 2),
        (["1", "x", "--reply-to", "zzzz"], 3),
        (["1", "x", "--attach", "nowhere.png"], 3),
        (["9", "x"], 3),
    ):
        assert fails(cli("message", "add", *args), code), args
    assert state(scratch) == before


def test_nobody_speaks_in_the_name_of_somebody_unknown(cli: Cli) -> None:
    added(cli, "One")
    assert fails(cli("message", "add", "1", "x", "--as", "stranger"), 3)


# Reading ------------------------------------------------------------------------------------------------


def test_the_board_shows_five_columns(five: Cli) -> None:
    shown = five("board").out
    for word in ("INBOX", "ASSIGNED", "IN PROGRESS", "REVIEW", "DONE", "Given", "@qa", "blocked"):
        assert word in shown
    assert "… and 2 more" in five("board", "--limit", "1").out
    columns = data(five, "board")
    assert [each["title"] for each in columns["inbox"]] == ["Ready", "Waiting", "Stopped"]
    assert [each["title"] for each in columns["done"]] == ["Over"]
    assert columns["problems"] == []


def test_the_log_tells_who_did_what(five: Cli, scratch: Scratch) -> None:
    lines = [line.split("\t") for line in five("log", "--limit", "2").out.splitlines()]
    assert [(actor, text) for _, _, actor, text in lines] == [
        ("ada-lovelace", "completed TASK-005"), ("ada-lovelace", "created TASK-005"),
    ]  # fmt: skip
    assert lines[0][0] == head(scratch)[:9]
    texts = [each["text"] for each in data(five, "log", "4")]
    assert texts == ["blocked: none → no key", "created: Stopped"]
    latest = data(five, "log", "--limit", "1")[0]
    assert latest["commit"] == head(scratch).strip()
    assert latest["time"] == "2026-02-02T10:30:00Z"
    assert latest["events"] == ["task.completed TASK-005-over"]
    assert latest["subject"] == "TASK-005-over: inbox → done"


def test_the_log_of_a_task_goes_through_its_archive_and_its_messages(five: Cli) -> None:
    five("message", "add", "5", "Fine.")
    five("task", "archive", "5")
    texts = [each["text"] for each in data(five, "log", "5")]
    moved = "moved: board/tasks/TASK-005-over.md → board/archive/00xx/TASK-005-over.md"
    done = ["status: inbox → done", "resolution: none → completed"]
    assert texts == [moved, "comment: Fine.", *done, "created: Over"]


def test_many_at_once_are_counted_right_in_the_log(cli: Cli, scratch: Scratch) -> None:
    save(scratch, "many.md", "".join(f"- Item {number}\n" for number in range(60)))
    cli("import", "many.md")
    assert data(cli, "log", "--limit", "1")[0]["text"] == "created 60 tasks"
    assert "created 60 tasks" in scratch.read("WORKING.md")


def test_doctor_names_each_problem_with_its_place(cli: Cli, scratch: Scratch) -> None:
    assert cli("doctor").code == 0
    added(cli, "One")
    save(scratch, "board/tasks/TASK-002-b.md", "---\ntitle: b\ntitle: c\n---\n")
    save(scratch, "board/tasks/TASK-003-c.md", "---\ntitle: c\n\nparent: TASK-009-x\n---\n")
    done = cli("doctor")
    assert done.code == 4
    assert done.out.splitlines() == [
        "board/tasks/TASK-002-b.md:3: duplicate key 'title'",
        "board/tasks/TASK-003-c.md:4: has the parent 'TASK-009-x', which is no task",
    ]
    found = json.loads(cli("doctor", "--json").out)
    assert found["problems"][0] == {
        "path": "board/tasks/TASK-002-b.md", "line": 3, "reason": "duplicate key 'title'", "unreadable": True,
    }  # fmt: skip
    assert cli("doctor", "--at", "HEAD").code == 0
    assert "TASK-002-b.md:3" in cli("task", "list").err
    assert cli("task", "move", "2", "done").err.startswith("TASK-003-c: created  (by hand)\nerror: ")
    assert "TASK-002-b.md:3" in fails(cli("task", "move", "2", "done"), 4)
    assert cli("task", "move", "1", "done").code == 0
    assert scratch.read("board/tasks/TASK-002-b.md") == "---\ntitle: b\ntitle: c\n---\n"


def test_render_prints_the_page_and_puts_it_back(five: Cli, scratch: Scratch) -> None:
    page = scratch.read("WORKING.md")
    assert five("render").out == page
    assert five("render", "--at", "HEAD").out == page
    save(scratch, "WORKING.md", "oops\n")
    assert five("render", "--write").code == 0
    again = scratch.read("WORKING.md")
    assert again == scratch.git("show", "HEAD:WORKING.md") == five("render").out
    assert again.splitlines()[2:] == page.splitlines()[2:]
    assert "names no version of itself" in five("inbox").out
    assert scratch.git("status", "--porcelain") == ""


def test_render_at_each_commit_is_the_page_that_it_holds(five: Cli, scratch: Scratch) -> None:
    five("tick")
    scratch.clock.forward(minutes=1)
    five("tick")
    for commit in scratch.git("rev-list", "-8", "HEAD").split():
        assert five("render", "--at", commit).out == scratch.git("show", f"{commit}:WORKING.md")


@pytest.mark.parametrize("kind", sorted(RECORDS))
def test_a_schema_is_valid_json_schema(cli: Cli, kind: str) -> None:
    schema = json.loads(cli("schema", kind).out)
    assert schema["type"] == "object"
    assert schema.get("additionalProperties", True) is not False
    assert set(RECORDS[kind].model_fields) == set(schema["properties"])
    types = {"string", "integer", "number", "boolean", "array", "object", "null"}

    def look(part: Any) -> None:
        if isinstance(part, list):
            for each in part:
                look(each)
        if not isinstance(part, dict):
            return
        assert part.get("type", "object") in types
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if "pattern" in part:
            re.compile(part["pattern"])
        for key, each in part.items():
            if key in ("properties", "$defs", "patternProperties"):
                for inner in each.values():
                    look(inner)
            elif key in ("items", "anyOf", "allOf", "oneOf", "prefixItems", "additionalProperties"):
                look(each)

    look(schema)
    required = {"message": ["author"], "document": ["type"], "agent": ["name"]}
    assert schema.get("required", []) == required.get(kind, [])


def test_the_schema_of_a_task_says_what_each_field_may_be(cli: Cli) -> None:
    schema = json.loads(cli("schema", "task").out)
    assert schema["$defs"]["Status"]["enum"] == ["inbox", "assigned", "in_progress", "review", "done"]
    assert (schema["properties"]["priority"]["minimum"], schema["properties"]["priority"]["maximum"]) == (
        1,
        5,
    )
    assert fails(cli("schema", "dream"), 2)


# The past -----------------------------------------------------------------------------------------------


def test_everything_that_reads_can_read_the_past(cli: Cli, scratch: Scratch) -> None:
    added(cli, "Old title")
    cli("message", "add", "1", "First words")
    then = head(scratch).strip()
    scratch.clock.forward(hours=1)
    cli("task", "edit", "1", "--title", "New title", "--priority", "1")
    cli("message", "add", "1", "Second words")
    cli("agent", "remove", "qa")
    save(scratch, "board/tasks/TASK-001-old-title.md", "---\ntitle: By hand\n---\n")
    save(scratch, "board/tasks/TASK-007-x.md", "---\ntitle: [\n---\n")
    at = ("--at", then)
    assert [each["title"] for each in data(cli, "task", "list", *at)] == ["Old title"]
    assert [each["title"] for each in data(cli, "task", "list", "--at", "HEAD")] == ["New title"]
    assert [each["title"] for each in data(cli, "task", "list")] == ["By hand"]
    shown = data(cli, "task", "show", "1", *at)
    assert (shown["title"], shown["priority"], shown["updated"]) == ("Old title", 3, "2026-02-02T10:30:00Z")
    assert "Old title" in cli("task", "show", "1", *at).out
    assert [each["body"] for each in data(cli, "message", "list", "1", *at)] == ["First words\n"]
    assert "Second" not in cli("message", "list", "1", *at).out
    assert "qa" in [each["name"] for each in data(cli, "agent", "list", *at)]
    assert "qa" not in [each["name"] for each in data(cli, "agent", "list")]
    assert data(cli, "agent", "show", "qa", *at)["name"] == "qa"
    assert cli("agent", "show", "qa", *at).out == scratch.git("show", f"{then}:agents/qa.md")
    assert data(cli, "board", *at)["inbox"][0]["title"] == "Old title"
    assert "Old title" in cli("board", *at).out
    assert data(cli, "log", "--limit", "1", *at)[0]["commit"] == then
    assert cli("doctor", *at).code == 0
    assert "[TASK-001] Old title" in cli("render", *at).out
    for args in (["task", "list"], ["task", "show", "1"], ["board"], ["log"], ["doctor"], ["render"],
                 ["agent", "list"], ["agent", "show", "qa"], ["message", "list", "1"]):  # fmt: skip
        assert fails(cli(*args, "--at", "nowhere"), 3), args
        assert fails(cli(*args, "--at=--all"), 3), args


# JSON ---------------------------------------------------------------------------------------------------


def test_json_is_the_record_as_its_file_has_it(cli: Cli, scratch: Scratch) -> None:
    text = (
        "---\ntitle: Fix #12\nstatus: assigned\nassignees: qa\nweird: {no: 010, list: [1.10, 12:30]}\n"
        "id: mine\npriority: 2\n---\n\nBody.\n"
    )
    save(scratch, "board/tasks/TASK-004-x.md", text)
    cli("task", "list")
    scratch.act(lambda draft: None)
    shown = task(cli, "4")
    assert shown["title"] == "Fix #12"
    assert shown["weird"] == {"no": "010", "list": ["1.10", "12:30"]}
    assert shown["body"] == "Body.\n"
    assert shown["id"] == "TASK-004-x"
    assert shown["path"] == "board/tasks/TASK-004-x.md"
    assert "labels" not in shown and "created" not in shown


def test_json_has_identity_path_and_time_everywhere_and_a_body_where_one_is_shown(cli: Cli) -> None:
    added(cli, "One", "--body", "Words.")
    cli("message", "add", "1", "hello")
    when = "2026-02-02T10:30:00Z"
    for args in (["task", "list"], ["agent", "list"], ["message", "list", "1"]):
        for each in data(cli, *args):
            assert each["id"] and each["path"].endswith(f"{each['id']}.md"), args
            assert each["updated"] == when, args
    for args in (["task", "show", "1"], ["agent", "show", "qa"]):
        shown = data(cli, *args)
        assert shown["updated"] == when and shown["body"], args
    for each in data(cli, "board")["inbox"]:
        assert each["updated"] == when
    assert "body" not in data(cli, "task", "list")[0]


def test_an_empty_list_is_an_empty_array(cli: Cli) -> None:
    assert cli("task", "list", "--json").out == "[]\n"
    added(cli, "One")
    assert cli("message", "list", "1", "--json").out == "[]\n"
    assert cli("task", "list", "--label", "none", "--json").out == "[]\n"


# Ticks --------------------------------------------------------------------------------------------------


def test_ticks_take_a_task_through_the_columns(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--need", "technical")
    seen = []
    for _ in range(6):
        done = cli("tick")
        assert (done.code, done.out) == (0, "")
        seen.append(task(cli, "1")["status"])
        scratch.clock.forward(minutes=20)
    assert seen[-1] == "done"
    assert seen == sorted(seen, key=["inbox", "assigned", "in_progress", "review", "done"].index)
    assert "simulated" in task(cli, "1")["labels"]
    assert "✅ (simulated)" in scratch.read("WORKING.md")
    before = head(scratch)
    assert "Nothing to do" in cli("tick").err
    assert head(scratch) == before
    assert scratch.git("for-each-ref", "refs/agentos") == ""


def test_a_tick_tells_what_it_did_as_json(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--assign", "technical")
    report = data(cli, "tick")
    assert report["commit"] == head(scratch).strip() or report["beats"]
    assert report["dispatched"] == "started TASK-001"
    (beat,) = report["beats"]
    assert (beat["agent"], beat["task"], beat["outcome"]) == ("technical", "TASK-001-one", "settled")
    assert beat["commit"] == head(scratch).strip()


def test_a_dry_tick_changes_nothing_and_says_what_would_happen(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--assign", "technical")
    added(cli, "Two", "--need", "review")
    save(scratch, "board/tasks/idea.md", "---\npriority: 5\n---\n# By hand\n")
    before = state(scratch)
    local = sorted(path.name for path in (scratch.root / ".git/agentos").iterdir())
    done = cli("tick", "--dry-run")
    assert done.code == 0
    assert "TASK-001-one: assigned → in_progress (technical)" in done.out.splitlines()
    assert any(line.startswith("TASK-002-two: inbox → assigned") for line in done.out.splitlines())
    plan = data(cli, "tick", "--dry-run")
    assert {"TASK-001-one: assigned → in_progress (technical)"} <= set(plan["steps"])
    assert state(scratch) == before
    assert sorted(path.name for path in (scratch.root / ".git/agentos").iterdir()) == local


def test_a_tick_for_one_agent_wakes_no_other(cli: Cli) -> None:
    added(cli, "One", "--assign", "technical")
    added(cli, "Two", "--assign", "qa")
    beats = data(cli, "tick", "--agent", "qa", "--jobs", "1")["beats"]
    assert [beat["agent"] for beat in beats] == ["qa"]
    assert task(cli, "1")["status"] == "assigned"
    assert fails(cli("tick", "--agent", "nobody"), 3)


def test_a_forced_tick_does_not_wait_for_the_schedule(cli: Cli) -> None:
    added(cli, "One", "--assign", "technical")
    cli("tick")
    cli("task", "move", "1", "in_progress")
    assert data(cli, "tick", "--force", "--agent", "technical")["beats"]


def test_a_paused_board_stops_everything(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--assign", "technical")
    added(cli, "Two")
    config = scratch.read("board/config.yml")
    save(scratch, "board/config.yml", config + "paused: true\n")
    assert cli("tick", "--force").code == 0
    assert [each["status"] for each in data(cli, "task", "list")] == ["assigned", "inbox"]
    save(scratch, "board/config.yml", config)
    assert data(cli, "tick")["beats"]


def test_one_agents_odd_file_does_not_stop_the_others(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One", "--assign", "technical")
    text = scratch.read("agents/qa.md").replace(
        "runner: simulated", 'runner: simulated\n  heartbeat: "99 * * * *"'
    )
    save(scratch, "agents/qa.md", text)
    save(
        scratch,
        "board/tasks/TASK-005-add login.md",
        "---\ntitle: x\nstatus: assigned\nassignees: [qa]\n---\n",
    )
    for _ in range(4):
        assert cli("tick").code == 0
        scratch.clock.forward(minutes=20)
    assert task(cli, "1")["status"] in ("review", "done")


def test_a_date_that_the_calendar_lacks_stops_nothing(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One")
    assert fails(cli("task", "add", "Two", "--due", "2026-02-30"), 2)
    save(scratch, "board/tasks/TASK-002-two.md", "---\ntitle: Two\ndue: 2026-02-30\n---\n")
    assert "TASK-002-two.md:3" in cli("doctor").out
    for args in (["task", "list"], ["board"], ["render"], ["tick"], ["task", "edit", "1", "--priority", "1"]):
        assert cli(*args).code == 0, args


# Streams and exit codes ---------------------------------------------------------------------------------


def fails(done: Outcome, code: int) -> str:
    """The one line of an error; nothing on stdout, no traceback."""
    assert done.code == code, (done.code, done.err)
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1, done.err
    assert "Traceback" not in done.err
    assert not CONTROL.search(done.err.rstrip("\n"))
    return done.err


USAGE = (
    (["task", "list", "--nope"], 2),
    (["task", "nope"], 2),
    (["nope"], 2),
    (["task", "show"], 2),
    (["task", "add", "x", "--priority", "9"], 2),
)
"""What the parser of the command line itself refuses."""

WRONG = (
    (["task", "add", " "], 2),
    (["task", "add", "x" * 501], 2),
    (["task", "add", "x", "--due", "tomorrow"], 2),
    (["task", "edit", "1", "--due", "tomorrow"], 2),
    (["task", "edit", "1", "--set", "priority"], 2),
    (["task", "edit", "1", "--set", "priority=9"], 2),
    (["task", "edit", "1", "--set", "status=almost"], 2),
    (["task", "edit", "1", "--set", "labels=[a"], 2),
    (["task", "edit", "1", "--set", "assignees=stranger"], 3),
    (["task", "move", "1", "almost"], 2),
    (["task", "show", "TASK"], 2),
    (["task", "show", "9"], 3),
    (["task", "assign", "1", "stranger"], 3),
    (["task", "add", "x", "--assign", "stranger"], 3),
    (["task", "add", "x", "--depends", "9"], 3),
    (["task", "edit", "1", "--parent", "9"], 3),
    (["task", "edit", "1", "--add-depends", "1"], 4),
    (["task", "edit", "2", "--parent", "3"], 4),
    (["task", "archive", "1"], 6),
    (["agent", "show", "stranger"], 3),
    (["agent", "add", "x", "--heartbeat", "often"], 2),
    (["agent", "add", "x", "--heartbeat", "99 * * * *"], 2),
    (["log", "9"], 3),
    (["-C", "/no/such/folder", "task", "list"], 3),
)


@pytest.mark.parametrize("cases", [USAGE, WRONG], ids=["usage", "wrong"])
def test_an_error_is_one_line_with_its_exit_code_and_changes_nothing(
    cli: Cli, scratch: Scratch, cases: tuple[tuple[list[str], int], ...]
) -> None:
    added(cli, "One")
    added(cli, "Two")
    added(cli, "Three", "--parent", "2")
    before = state(scratch)
    bad = []
    for args, code in cases:
        done = cli(*args)
        lines = done.err.splitlines()
        is_right = done.code == code and not done.out and len(lines) == 1 and lines[0].startswith("error: ")
        bad += [] if is_right else [(" ".join(args), done.code, done.err)]
    assert bad == []
    assert state(scratch) == before


def test_where_there_is_no_board_it_says_what_to_do(cli: Cli, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    assert "agentos init" in fails(cli("task", "list", cwd=outside), 3)
    subprocess.run(["git", "init", "-q", "--bare", "b.git"], cwd=outside, check=True)
    assert "bare" in fails(cli("task", "list", cwd=outside / "b.git"), 4)
    subprocess.run(["git", "init", "-q", "plain"], cwd=outside, check=True)
    assert "agentos init" in fails(cli("task", "list", cwd=outside / "plain"), 3)


def test_a_newer_board_is_refused_clearly(cli: Cli, scratch: Scratch) -> None:
    config = scratch.read("board/config.yml")
    save(scratch, "board/config.yml", config.replace("format: 1", "format: 2"))
    for args in (["task", "list"], ["task", "add", "x"], ["tick"], ["board"]):
        assert "format 2 is newer" in fails(cli(*args), 4)


def test_during_a_merge_a_command_waits_and_a_tick_says_so(cli: Cli, scratch: Scratch) -> None:
    added(cli, "One")
    (scratch.root / ".git/MERGE_HEAD").write_text(head(scratch))
    assert "merge" in fails(cli("task", "move", "1", "done"), 5)
    done = cli("tick")
    assert (done.code, done.out) == (0, "")
    assert "merge" in done.err
    assert cli("task", "list").code == 0


def test_whoever_git_does_not_know_is_told_what_to_set(
    cli: Cli, scratch: Scratch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (scratch.root / ".git/agentos/clone.json").unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "git config user.name" in fails(cli("task", "add", "x"), 2)
    assert cli("task", "list").code == 0


def test_data_goes_to_stdout_and_messages_to_stderr(cli: Cli) -> None:
    done = cli("task", "add", "One")
    assert done.out == "TASK-001-one\n"
    assert done.err.startswith("TASK-001-one: created  (")
    done = cli("task", "edit", "1", "--priority", "1")
    assert done.out == ""
    assert done.err.startswith("TASK-001-one: priority 3 → 1")
    assert "Nothing changed" in cli("task", "edit", "1", "--priority", "1").err
    assert cli("doctor").out == ""


def test_quiet_says_nothing_but_errors(cli: Cli) -> None:
    done = cli("--quiet", "task", "add", "One")
    assert (done.out, done.err) == ("TASK-001-one\n", "")
    assert cli("-q", "task", "move", "1", "review").err == ""
    assert cli("--quiet", "tick").err == ""
    assert cli("tick", "--quiet").err == ""
    assert fails(cli("--quiet", "task", "show", "9"), 3)


def test_a_wrong_line_names_the_help_of_its_command(cli: Cli, tmp_path: Path) -> None:
    said = {
        ("approve",): "Missing argument 'ref'. (agentos approve --help)",
        ("task", "moev"): "No such command 'moev'. (agentos task --help)",
        ("runs",): "One of its commands is missing. (agentos runs --help)",
    }
    for args, error in said.items():
        told = cli(*args, cwd=tmp_path)
        assert (told.code, told.err) == (2, f"error: {error}\n"), args


def test_help_and_version_need_no_board(cli: Cli, tmp_path: Path) -> None:
    for args in (["--help"], ["-h"], ["task", "--help"], ["task", "add", "--help"], ["tick", "--help"]):
        done = cli(*args, cwd=tmp_path)
        assert done.code == 0 and "Usage" in done.out
    assert re.fullmatch(r"agentos \d+\.\d+\.\d+\n", cli("--version", cwd=tmp_path).out)
    everything = cli("--help", cwd=tmp_path).out
    assert "--show-completion" in everything
    assert "completion" not in cli("tick", "--help", cwd=tmp_path).out
    for command in (
        "init",
        "import",
        "tick",
        "board",
        "log",
        "task",
        "agent",
        "message",
        "doctor",
        "render",
        "schema",
    ):
        assert command in everything


def test_another_folder_can_be_named(cli: Cli, scratch: Scratch, tmp_path: Path) -> None:
    done = cli("-C", str(scratch.root), "task", "add", "One", cwd=tmp_path)
    assert done.out == "TASK-001-one\n"


# Hostile text -------------------------------------------------------------------------------------------


@pytest.fixture
def evil(cli: Cli, scratch: Scratch) -> Cli:
    """Files with text that would drive a terminal, wherever text can stand."""
    added(cli, "One")
    scratch.git("config", "user.name", f"Ada {EVIL}")
    front = f"---\ntitle: {EVIL_YAML}\nstatus: assigned\nassignees: [qa]\nblocked: {EVIL_YAML}\n"
    front += f"labels: [{EVIL_YAML}]\nestimate: {EVIL_YAML}\nneeds: [{EVIL_YAML}]\nodd: {EVIL_YAML}\n"
    body = EVIL.replace("\x7f", "") + "\n\n- [ ] " + EVIL.replace("\x1b", "") + "\n"
    save(scratch, "board/tasks/TASK-001-one.md", f"{front}---\n\n{body}")
    save(scratch, f"board/tasks/TASK-002-{EVIL}.md", "---\ntitle: two\n---\n")
    save(scratch, f"board/tasks/TASK-003-{EVIL}.md", "---\ntitle: [\n---\n")
    save(scratch, "board/tasks/TASK-004-x.md", f"---\ntitle: x\nstatus: {EVIL_YAML}\n{EVIL_YAML}: 1\n---\n")
    note = f"---\nauthor: qa\nreply_to: {EVIL_YAML}\n---\n\n{body}"
    save(scratch, f"board/messages/TASK-001-one/20260101T000000Z-qa-{EVIL}.md", note)
    role = f"---\nname: qa\ndescription: {EVIL_YAML}\nagentos:\n  role: {EVIL_YAML}\n  runner: {EVIL_YAML}\n"
    save(scratch, "agents/qa.md", f"{role}  capabilities: [{EVIL_YAML}]\n---\n\n{body}")
    doc = (
        f"---\ntype: research\ntitle: {EVIL_YAML}\ncreated_by: {EVIL_YAML}\nshared_with: [ada]\n---\n\n{body}"
    )
    save(scratch, "docs/odd.md", doc)
    cli("task", "add", "Adopted", "--due", "2026-03-01")
    return cli


READERS: list[list[str]] = [
    line.split()
    for line in """\
task list
task list --blocked
task list --json
task show 1
task show 1 --json
task show 2
task show 3
task show 4
task show TASK
task edit 3 --priority 1
task edit 1 --priority 1
task move 2 done
agent list
agent list --json
agent show qa
agent show qa --json
message list 1
message list 1 --json
message add 1 x --reply-to 0Z
message react 1 qa x
task explain 1
task explain 1 --json
task explain 5
doc list
doc list --json
doc show odd
doc show odd --json
doc history odd
doc diff odd
doc diff odd --json
doc share odd nobody
inbox
inbox --json
inbox qa
cron show
board
board --json
log
log 1
log --json
doctor
doctor --json
render
tick --dry-run
tick
tick --json""".splitlines()
]


def test_no_control_character_from_a_file_reaches_the_terminal(evil: Cli) -> None:
    bad = []
    for args in READERS:
        done = evil(*args)
        assert "Traceback" not in done.err, args
        for stream, text in (("stdout", done.out), ("stderr", done.err)):
            found = CONTROL.search(text)
            if found:
                bad.append((" ".join(args), stream, text[max(0, found.start() - 20) : found.end() + 10]))
    assert bad == []


def test_no_control_character_reaches_a_real_terminal_either(evil: Cli, scratch: Scratch) -> None:
    """On a terminal rich draws; what it writes of its own are colours and nothing else."""
    own = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r\n|\r")
    bad = []
    for args in (["task", "list"], ["task", "show", "1"], ["agent", "list"], ["board"], ["log"]):
        text = own.sub("", on_a_terminal(args, scratch.root))
        found = CONTROL.search(text.replace("\n", ""))
        if found:
            bad.append((" ".join(args), text[max(0, found.start() - 40) : found.end() + 20]))
    assert bad == []


def on_a_terminal(args: list[str], cwd: Path) -> str:
    """What the command line writes to a pseudo-terminal."""
    import pty

    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {
        "TERM": "xterm-256color"
    }
    program = [sys.executable, "-c", "from agentos.cli.main import run; run()", *args]
    with subprocess.Popen(program, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as running:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            said += part
        running.wait()
    os.close(ours)
    return said.decode(errors="replace")


def test_titles_that_look_like_options_or_markup_are_just_text(cli: Cli) -> None:
    titles = ["--help", "[red]bold[/]", "$(touch x)", "`id`", "@qa - x", "a\tb", "- [ ] x", "---"]
    for number, title in enumerate(titles, 1):
        done = cli("task", "add", "--", title)
        assert done.code == 0, done.err
        assert task(cli, str(number))["title"] == " ".join(title.split())
    assert "[red]bold[/]" in cli("board").out
    assert cli("doctor").code == 0


@pytest.mark.parametrize("width", [80, 120])
def test_a_list_of_runs_is_cut_where_it_matters_least(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    facts = {"agent": "technical", "task": "TASK-001-one", "outcome": "settled", "text": "submitted " * 20}
    name = "20260202T103000Z-technical-k3f9"
    place = scratch.store.local / "runs" / name
    place.mkdir(parents=True)
    (place / "run.json").write_text(json.dumps(facts | {"usage": {"input_tokens": 1200, "usd": 0.031}}))
    monkeypatch.setenv("COLUMNS", str(width))
    own = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
    head, line = own.sub("", on_a_terminal(["runs", "list"], scratch.root)).splitlines()
    names = ["RUN", "AGENT", "TASK", "OUTCOME", "TOKENS", "COST"]
    assert head.split() == names + (["WHAT"] if width == 120 else [])
    assert line.split()[:6] == [name, "technical", "TASK-001", "settled", "1,200", "$0.0310"]
    assert max(len(head), len(line)) <= width

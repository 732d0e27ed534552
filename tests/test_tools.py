"""The tools of a model: files that no path leads out of, commands, proposals; errors are answers."""

import json
import os
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agentos.errors import Refused
from agentos.model.board import Board
from agentos.model.records import Agent, Task
from agentos.model.tables import Table
from agentos.runtime import files, outbox, tools
from agentos.runtime.provider import Call
from agentos.runtime.runners import Work
from agentos.runtime.sandbox import Off
from agentos.runtime.tools import MOST_OUTPUT, TOOLS, Desk
from agentos.runtime.workspace import Workspace

SECRET = "do not touch\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A workspace in git, and beside it what nobody may reach."""
    root = tmp_path / "room"
    (root / "src").mkdir(parents=True)
    (root / "notes.txt").write_text("one\ntwo\n\ttwo\nthree\n")
    (root / "src" / "main.py").write_text("print('one')\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text(SECRET)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    agent = Agent.make("agents/ada.md", {"name": "ada", "agentos": {"env": ["LISTED"]}})
    task = Task.make("board/tasks/TASK-001-x.md", {"title": "X"})
    room = Workspace("TASK-001-x", root, tmp_path / "home", "agentos/TASK-001-x", "")
    room.home.mkdir()
    env = {"LISTED": "yes", "OPENAI_API_KEY": "sk-nobody-sees-this"}
    return Desk(Work(agent, task, Board(), False, workspace=room, sandbox=Off(), env=env))


def use(desk: Desk, tool: str, /, **arguments: Any) -> str:
    return tools.use(desk, tools.available(desk.work), Call("c", tool, json.dumps(arguments)))


def root(desk: Desk) -> Path:
    path: Path = desk.work.workspace.path
    return path


# Files --------------------------------------------------------------------------------------------------


def test_reading_gives_lines_as_they_are(desk: Desk) -> None:
    assert use(desk, "read", path="notes.txt") == "one\ntwo\n\ttwo\nthree\n"
    assert use(desk, "read", path="./src/../notes.txt").startswith("Error: ./src/../notes.txt leads out")
    assert use(desk, "read", path="notes.txt", first=2, last=3) == "(lines 2 to 3 of 4)\ntwo\n\ttwo\n"
    assert use(desk, "read", path="notes.txt", first="9") == "(lines 9 to 8 of 4)\n"
    assert use(desk, "read", path="gone") == "Error: There is no gone; `list` shows what there is."
    assert "is a folder" in use(desk, "read", path="src")
    assert "goes through a link or a file" in use(desk, "read", path="notes.txt/x")
    (root(desk) / "latin").write_bytes(b"caf\xe9\n")
    assert use(desk, "read", path="latin") == "caf\ufffd\n"
    (root(desk) / "data").write_bytes(b"\0\1")
    assert use(desk, "read", path="data") == "Error: data is binary (2 bytes)."
    os.mkfifo(root(desk) / "pipe")
    assert "only regular files" in use(desk, "read", path="pipe")
    with (root(desk) / "huge").open("wb") as file:
        file.truncate(files.MOST_BYTES + 1)
    assert "1,048,577 bytes; at most 1,048,576" in use(desk, "read", path="huge")
    (root(desk) / "long").write_text("x" * 50_000)
    assert len(use(desk, "read", path="long")) < MOST_OUTPUT + 100
    assert "20,000 characters left out" in use(desk, "read", path="long")


def test_writing_makes_folders_and_keeps_a_files_mode(desk: Desk) -> None:
    assert use(desk, "write", path="a/b/c.txt", content="x\ny") == "Wrote a/b/c.txt: 2 lines."
    assert (root(desk) / "a/b/c.txt").read_bytes() == b"x\ny"
    script = root(desk) / "run.sh"
    script.write_text("old")
    script.chmod(0o755)
    use(desk, "write", path="run.sh", content="new")
    assert script.read_text() == "new" and script.stat().st_mode & 0o777 == 0o755
    assert "at most 1,048,576" in use(desk, "write", path="x", content="x" * (files.MOST_BYTES + 1))
    assert "Refused" not in use(desk, "list") and "partial" not in use(desk, "list", deep=True)


def test_an_edit_wants_its_text_exactly_once(desk: Desk) -> None:
    assert use(desk, "edit", path="notes.txt", old="three", new="drei") == "Replaced it in notes.txt, line 4."
    assert use(desk, "edit", path="notes.txt", old="two", new="zwei") == (
        "Error: notes.txt has that text 2 times (lines 2, 3); give more of what is around it."
    )
    assert use(desk, "edit", path="notes.txt", old="  two\nthree", new="x") == (
        "Error: notes.txt has no such text. Line 2, 3 begins like it, with other space or other lines after."
        " Read it and copy the text exactly."
    )
    assert use(desk, "edit", path="notes.txt", old="nine", new="x") == (
        "Error: notes.txt has no such text. Read it and copy the text exactly."
    )
    assert (
        use(desk, "edit", path="notes.txt", old="two", new="zwei", everywhere=True)
        == "Replaced 2 in notes.txt."
    )
    assert (root(desk) / "notes.txt").read_text() == "one\nzwei\n\tzwei\ndrei\n"
    assert "at least 1 character" in use(desk, "edit", path="notes.txt", old="", new="x")


def test_an_edit_keeps_line_ends_and_refuses_other_encodings(desk: Desk) -> None:
    file = root(desk) / "dos.txt"
    file.write_bytes(b"\xef\xbb\xbfa\r\nb\r\nc\r\n")
    assert use(desk, "edit", path="dos.txt", old="a\nb", new="x\ny") == "Replaced it in dos.txt, line 1."
    assert file.read_bytes() == b"\xef\xbb\xbfx\r\ny\r\nc\r\n"
    file.write_bytes(b"caf\xe9")
    assert "no UTF-8 text" in use(desk, "edit", path="dos.txt", old="c", new="x")
    assert file.read_bytes() == b"caf\xe9"


def test_listing_shows_folders_links_and_no_git(desk: Desk) -> None:
    (root(desk) / "out").symlink_to("../outside")
    assert use(desk, "list") == "notes.txt\nout -> ../outside\nsrc/"
    assert use(desk, "list", deep=True) == "notes.txt\nout -> ../outside\nsrc/\nsrc/main.py"
    assert use(desk, "list", path="src") == "main.py"
    told = "Error: There is no gone. Here is: notes.txt, out -> ../outside, src/."
    assert use(desk, "list", path="gone") == told
    (root(desk) / "empty").mkdir()
    assert use(desk, "list", path="empty") == "(empty is empty)"
    for i in range(files.MOST_ENTRIES + 5):
        (root(desk) / "empty" / f"{i:04}").touch()
    shown = use(desk, "list", path="empty").splitlines()
    assert len(shown) == files.MOST_ENTRIES + 1 and shown[-1].startswith("… more than 1,000")
    deepest = root(desk)
    for _ in range(60):
        deepest /= "d"
        deepest.mkdir()
    assert use(desk, "list", deep=True).count("d/") > 20
    (root(desk) / os.fsdecode(b"caf\xe9")).touch()
    assert "caf?" in use(desk, "list")


WAYS_OUT = [
    "../outside/secret",
    "/etc/passwd",
    "src/../../outside/secret",
    "link/secret",
    "file-link",
    "src/deep/secret",
    ".",
    "",
    "a\0b",
    "x" * 5000,
]


@pytest.mark.parametrize("path", WAYS_OUT, ids=range(len(WAYS_OUT)))
def test_no_path_and_no_link_leads_out(desk: Desk, path: str) -> None:
    outside = root(desk).parent / "outside"
    (root(desk) / "link").symlink_to(outside)
    (root(desk) / "file-link").symlink_to(outside / "secret")
    (root(desk) / "src" / "deep").symlink_to("../../outside")
    assert use(desk, "read", path=path).startswith("Error: ")
    assert use(desk, "write", path=path, content="gone").startswith("Error: ")
    assert use(desk, "edit", path=path, old="do", new="gone").startswith("Error: ")
    assert (outside / "secret").read_text() == SECRET
    assert sorted(os.listdir(outside)) == ["secret"]
    assert (root(desk) / "file-link").is_symlink()


def test_a_listing_does_not_follow_links(desk: Desk) -> None:
    (root(desk) / "link").symlink_to("../outside")
    assert "goes through a link" in use(desk, "list", path="link")
    assert "leads out" in use(desk, "list", path="..")


@pytest.mark.parametrize("path", [".git/hooks/post-commit", ".git/config", ".GIT/config", "src/.git", ".git"])
def test_git_is_not_written(desk: Desk, path: str) -> None:
    before = sorted(str(file) for file in root(desk).rglob("*"))
    assert "git's own" in use(desk, "write", path=path, content="#!/bin/sh\ntouch /tmp/hooked\n")
    assert sorted(str(file) for file in root(desk).rglob("*")) == before


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(desk: Desk) -> None:
    """A process swaps a folder and a link for it as fast as it can, while files are written below it."""
    outside, place = root(desk).parent / "outside", root(desk) / "swap"
    is_over = threading.Event()

    def swap() -> None:
        for i in count():
            if is_over.is_set():
                return
            with suppress(OSError):
                place.mkdir()
            with suppress(OSError):
                place.rename(root(desk) / f"aside{i}")
            with suppress(OSError):
                place.symlink_to(outside)
                place.unlink()

    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    try:
        for _ in range(300):
            use(desk, "write", path="swap/secret", content="gone")
            assert SECRET not in use(desk, "read", path="swap/secret")
    finally:
        is_over.set()
        thread.join(5)
    assert (outside / "secret").read_text() == SECRET
    assert os.listdir(outside) == ["secret"]


# Searching and running ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_sandboxed", [True, False])
def test_searching_gives_paths_and_lines(desk: Desk, is_sandboxed: bool) -> None:
    if not is_sandboxed:
        desk.work = replace(desk.work, sandbox=None)
    assert use(desk, "search", pattern="^(one|print)") == "notes.txt:1:one\nsrc/main.py:1:print('one')\n"
    assert use(desk, "search", pattern="one", path="src") == "src/main.py:1:print('one')\n"
    assert use(desk, "search", pattern="nowhere") == "Nothing matches."
    assert use(desk, "search", pattern="--help") == "Nothing matches."
    assert "Error: " in use(desk, "search", pattern="(")
    assert "Error: " in use(desk, "search", pattern="x", path="../outside")
    assert "do not" not in use(desk, "search", pattern="do not", path=":(top)..")


def test_a_command_runs_and_its_end_is_told(desk: Desk) -> None:
    assert use(desk, "run", command="echo hi; exit 3") == "(exit code 3)\nhi\n"
    assert use(desk, "run", command="sleep 9", seconds=1).startswith("(stopped after 1 s)")
    assert use(desk, "run", command="pwd").endswith(f"{root(desk)}\n")
    shown = use(desk, "run", command="env; head -c 100000 /dev/zero | tr '\\0' x")
    assert "LISTED=yes" in shown and "sk-nobody" not in shown
    assert len(shown) < MOST_OUTPUT + 200 and "left out" in shown
    assert "less than or equal to 600" in use(desk, "run", command="true", seconds=601)


def test_without_a_sandbox_a_command_is_refused_in_words(desk: Desk) -> None:
    desk.work = replace(desk.work, sandbox=None)
    assert use(desk, "run", command="true").startswith(
        "Error: Commands are refused: there is no sandbox here"
    )
    with pytest.raises(Refused):
        tools.run_command(desk, "true")
    assert Refused.exit_code == 6


# Proposals ----------------------------------------------------------------------------------------------


def test_proposals_are_kept_in_order(desk: Desk) -> None:
    use(desk, "remember", name="tests", text="make test")
    assert use(desk, "create_task", title="Another").startswith("Noted")
    assert use(desk, "create_task", title="Another", status="done").startswith("Error: create_task: status: ")
    assert use(desk, "finish", summary="All of it.") == "The run is over."
    assert desk.actions == [
        outbox.Remember("make test", "tests"),
        outbox.CreateTask("Another"),
        outbox.Submit("All of it."),
    ]
    assert desk.is_over and desk.handoff == ""


def test_a_task_that_could_be_several_is_asked_about_at_once(desk: Desk) -> None:
    """One that isn't there may be made before the run ends."""
    two = [Task.make(f"board/tasks/TASK-00{n}-the-{what}.md", {}) for n, what in ((1, "goal"), (2, "work"))]
    desk.work = replace(desk.work, board=Board(tasks=Table.of(two, Task)))
    said = use(desk, "comment", text="See mine.", task="the")
    assert said.startswith("Error: 'the' means more than one task: TASK-001-the-goal, TASK-002-the-work.")
    assert use(desk, "comment", text="See mine.", task="work").startswith("Noted")
    assert use(desk, "comment", text="See mine.", task="TASK-003").startswith("Noted")
    assert len(desk.actions) == 2


def test_a_run_that_is_not_done_leaves_a_note(desk: Desk) -> None:
    use(desk, "finish", is_done=False, summary="Half of it.")
    assert (desk.actions, desk.handoff) == ([], "Half of it.")
    desk.actions.append(outbox.Block("no key"))
    use(desk, "finish", handoff="Go on at line 3.")
    assert (desk.actions, desk.handoff) == ([outbox.Block("no key")], "Go on at line 3.")


def test_a_run_proposes_only_so_much(desk: Desk) -> None:
    desk.actions = [outbox.Comment("x")] * tools.MOST_ACTIONS
    assert "200 actions at most" in use(desk, "comment", text="x")


def test_the_agents_file_chooses_its_tools(desk: Desk) -> None:
    def names(**changes: Any) -> set[str]:
        return set(tools.available(replace(desk.work, agent=desk.work.agent.replace(**changes))))

    board = {name for name in outbox.ACTIONS if name not in ("approve", "send_back", "submit")}
    assert names() == {"read", "write", "edit", "list", "search", "run", "finish"} | board
    assert names(tools=["Read", "Grep", "Bash(git *)"]) == {"read", "search", "run", "finish"} | board
    assert names(tools="Read, Edit", agentos={"actions": ["comment"]}) == {
        "read",
        "edit",
        "comment",
        "finish",
    }
    assert names(tools=[], agentos={"actions": []}) == {"finish"}
    assert set(tools.available(replace(desk.work, workspace=None))) == {"finish"} | board
    review = set(tools.available(replace(desk.work, is_review=True)))
    assert review >= {"read", "run", "approve", "send_back", "comment"} and not review & {
        "write",
        "edit",
        "block",
    }


def test_every_tool_has_a_schema_of_its_signature() -> None:
    for name, tool in TOOLS.items():
        schema = tool.schema()
        assert schema["type"] == "object" and schema["additionalProperties"] is False, name
        assert tool.description.endswith("."), name
        json.dumps(schema)
    assert TOOLS["read"].schema()["required"] == ["path"]
    assert TOOLS["read"].schema()["properties"]["path"]["description"] == "relative to the workspace"

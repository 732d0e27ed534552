"""The demo: what a recorded agent builds, a live model, and what it says where one or the other can't be."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Cli, Scratch, running
from openai_server import Reply, Server, call, fail, say, serve
from rich.console import Console
from test_heartbeat import equip, setting, team, wait_for  # noqa: F401  (fixtures)

sys.path.insert(0, str(Path(__file__).parent / "live"))
import recording as script

from agentos.cli import context, demo, steps, workshop
from agentos.runtime import bubblewrap, liveness, runlog

real = pytest.mark.skipif(bool(bubblewrap.hindrance()), reason=f"no sandbox: {bubblewrap.hindrance()}")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the work is shown; nothing of this machine's own settings is there."""
    for name in list(os.environ):
        if name == "AGENTOS_MODEL" or name.endswith(("_API_KEY", "_API_BASE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "workshop"


@pytest.fixture
def live(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A model on 127.0.0.1, whose runs are in this process: they import litellm only once."""
    monkeypatch.setattr(workshop, "nursery", nullcontext)
    with serve() as server:
        monkeypatch.setenv("AGENTOS_MODEL", script.SCRIPTED)
        monkeypatch.setenv("OPENAI_API_BASE", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server


def shown(place: Path, capsys: pytest.CaptureFixture[str], width: int = 100) -> tuple[bool, str]:
    """Whether the second part went well, and what it printed, as one line of words."""
    is_good = demo._show_work(Console(width=width), place)
    return is_good, " ".join(capsys.readouterr().out.split())


@real
def test_a_recorded_agent_builds_something_that_works(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_good, said = shown(place, capsys)
    assert is_good, said
    assert "(exit code 1) FAILED (failures=1)" in said and "(exit code 0) OK" in said
    assert f"check {workshop.CHECK}: passes" in said and "+def count(text):" in said
    assert f"a recording of {script.SCRIPTED}" in said and "Runner: replay" in said
    tested = [sys.executable, *workshop.CHECK.split()[1:]]
    assert subprocess.run(tested, cwd=place, capture_output=True, check=False).returncode == 0
    task = (place / "board/tasks/TASK-001-count-the-words-of-a-text.md").read_text()
    assert "status: done" in task and f"- [x] `{workshop.CHECK}` passes" in task
    assert (place / "agents/memory/technical/how-to-test.md").exists()


@real
def test_a_live_model_builds_it_and_its_run_is_the_recording_that_ships(
    live: Server, place: Path, capsys: pytest.CaptureFixture[str], cli: Cli
) -> None:
    """`make recording` makes it again, and here so does this test."""
    live.answers(*(replace(reply, usage=(100, 10)) for reply in script.SCRIPT))
    is_good, said = shown(place, capsys)
    assert is_good, said
    assert f"Model: {script.SCRIPTED}" in said and "Tokens: 1100" in said
    again = place.parent / "again.jsonl"
    assert cli("runs", "record", "technical", "-o", str(again), cwd=place).code == 0
    head, *answers = map(json.loads, again.read_text().splitlines())
    kept, *shipped = map(json.loads, script.FILE.read_text().splitlines())
    assert answers == shipped, "make recording"
    assert head["prompt"]["task"] == kept["prompt"]["task"]
    assert head["usage"] == {"input_tokens": 1000, "output_tokens": 100}


@real
@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([fail(503)], "Not done openai/a-script-in-place-of-a-model: scripted 503"),
        ([say("I can't.")] * 4, "called no tool, though it was reminded 3 times"),
        ([Reply(calls=(("read", "[1"),)), call("finish")], "Handed in without a diff"),
    ],
)
def test_a_live_model_that_does_not_get_there_is_told_of_in_words(
    live: Server, place: Path, capsys: pytest.CaptureFixture[str], answers: list[Reply], said: str
) -> None:
    live.answers(*answers)
    is_good, told = shown(place, capsys)
    assert not is_good and said in told and "unset AGENTOS_MODEL" in told, told


@real
def test_a_key_that_is_missing_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "nursery", nullcontext)
    monkeypatch.setenv("AGENTOS_MODEL", "openai/any")
    is_good, said = shown(place, capsys, width=60)
    assert not is_good and "No key for the model openai/any: set OPENAI_API_KEY" in said, said


def test_without_a_sandbox_the_demo_says_so_and_shows_the_rest(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "hindrance", lambda: "There are no user namespaces.")
    is_good, said = shown(place, capsys)
    assert is_good and "Not shown nothing an agent does may run without a sandbox." in said
    assert not place.exists()


@real
def test_stopping_it_ends_the_run_at_work(team: Scratch) -> None:  # noqa: F811
    """Its process is in a session of its own, and would go on and cost something."""
    equip(team, "technical", command=["sleep", "120"])
    code = "from agentos.cli import context, workshop; workshop.work(context.store(), lambda news: None)"
    with running([sys.executable, "-c", code], cwd=team.root, stderr=subprocess.PIPE) as process:
        (claim,) = wait_for(lambda: [each for each in team.store.claims() if each.is_alone])
        wait_for(lambda: runlog.facts(team.store.local, claim.run).get("prompt"))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert err.rstrip().endswith(b"KeyboardInterrupt"), err
    assert liveness.is_dead(claim, claim.host) and not team.store.claims()


@real
def test_all_of_the_demo_in_a_folder_that_is_named_from_where_one_is(cli: Cli, tmp_path: Path) -> None:
    done = cli("demo", "new", cwd=tmp_path)
    assert done.code == 0, done
    line = ["git", "-C", str(tmp_path / "new/workshop"), "log", "--format=%s"]
    assert b"review \xe2\x86\x92 done" in subprocess.run(line, capture_output=True, check=True).stdout


def test_the_demo_leaves_a_repository_around_it_and_a_full_folder_alone(cli: Cli, tmp_path: Path) -> None:
    around = tmp_path / "around"
    subprocess.run(["git", "init", "-q", str(around)], check=True)
    git = workshop.repository(around / "demo")
    assert git.text("rev-parse", "--show-toplevel") == str(around / "demo")
    assert "Demo" not in (around / ".git" / "config").read_text()
    done = cli("demo", str(around))
    assert done.code == 6 and "is not an empty folder; name a new one" in done.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"kind": "call", "tool": "write\x1b[2J", "arguments": '{"path": "a\\u001b]0;b"}'},
            "write [2J a ]0;b",
        ),
        ({"kind": "call", "tool": "read", "arguments": "[" * 100_000}, "read"),
        ({"kind": "call", "tool": "read"}, ""),
        ({"kind": "result", "tool": "run", "text": "(exit code 1)\nx\n\n"}, "(exit code 1) x"),
        ({"kind": "result", "tool": "read", "text": "fine"}, ""),
        ({"kind": "check", "command": "true", "code": None}, "check true: fails"),
    ],
)
def test_a_step_is_one_line_whatever_a_model_writes(line: dict[str, object], said: str) -> None:
    told = [text.plain for text in steps.step(line)]
    assert " ".join(" ".join(told).split()) == said and all(context.clean(text) == text for text in told)

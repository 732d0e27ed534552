"""What a model or its provider may do wrong, through whole ticks: how each run ends, and what people read of it."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Clock, Scratch
from openai_server import Reply, Server, call, fail, say, serve
from test_agents_at_work import model
from test_heartbeat import confinement, equip, tick

from agentos.actions import tasks
from agentos.cli.tick import came_to
from agentos.model import explaining
from agentos.model.words import Status
from agentos.runtime import attempts, provider
from agentos.store import runs

KEYS = {"OPENAI_API_KEY": "sk-scripted-0123456789"}
ODD = "\x1b]0;owned\x07\x00 \u202e \ud800 ```\n---\ntitle: x\n"

CALLS = int(os.environ.get("AGENTOS_CALLS", "100"))
"""Tool calls of one answer; from a thousand on, every case is tried."""

MOST_SECONDS, MOST_BYTES = 20.0, 3 << 20
"""What one run may take, its log and its answers included."""


@dataclass(frozen=True)
class Case:
    """What the server answers, and what must come of it."""

    answers: tuple[Reply, ...]
    kind: str = ""
    """The kind of failure in history; empty where the run settles."""
    said: str = ""
    """What the beat says, as a pattern."""
    blocked: str = ""
    """What the task waits for after this try, as a pattern."""
    seconds: tuple[float, float] = (0, 0)
    """How long the task rests."""
    asked: int | None = None
    """How often the model was asked, where that is not once an answer."""
    settings: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=lambda: KEYS)


def writes(count: int, at_once: int = 1) -> tuple[Reply, ...]:
    """Different calls, some in each answer."""
    each = [("write", json.dumps({"path": f"{i}.txt", "content": "x"})) for i in range(count)]
    return tuple(Reply(calls=tuple(each[i : i + at_once])) for i in range(0, count, at_once))


DONE = (call("write", path="made.txt", content="done\n"), call("finish", summary="Made."))
REST = (20.0, 40.0)

CASES = {
    "nothing": Case((say(""),) * 9, "failed", "called no tool, though it was reminded 3 times", "", REST, 4),
    "words alone": Case((say("I would rather talk."),) * 9, "failed", "called no tool", "", REST, 4),
    "half a JSON": Case((Reply(calls=(("write", '{"path": "ma'),)),) * 9, "failed", "the same call of write", "", REST, 6),
    "half a JSON, then whole": Case((Reply(calls=(("write", '{"path": "ma'),)), *DONE)),
    "an unknown tool": Case((call("sudo", command="x"),) * 9, "failed", "the same call of sudo", "", REST, 6),
    "a tool with a name of a megabyte": Case((Reply(calls=(("x" * (1 << 20), "{}"),)), *DONE)),
    "the same call": Case((call("list"),) * 9, "failed", "brought the same result 6 times", "", REST, 6),
    "many calls at once": Case((*writes(CALLS, CALLS), DONE[1])),
    "many calls one by one": Case(
        writes(1000), "time", "12 tool calls are the most of one run", "", asked=12, settings={"max_calls": 12}
    ),
    "a megabyte of words": Case((say("x" * (1 << 20)), *DONE)),
    "a megabyte as an argument": Case((call("write", path="made.txt", content="x" * (1 << 20)), *DONE)),
    "a megabyte said to the board": Case((call("comment", text="x" * 200_000), *DONE)),
    "a megabyte of output": Case((call("run", command="yes | head -c 1000000; printf '\\377\\033[2J'"), *DONE)),
    "odd characters": Case(
        (Reply(calls=(("comment", json.dumps({"text": ODD})),), text=ODD), call("write", path="odd.txt", content=ODD),
         call("finish", summary=ODD, handoff=ODD))
    ),
    "a line that is cut": Case((say("I begin" * 50, drops=True),), "provider", "openai/gpt-4o", "", REST),
    "401": Case((fail(401),), "key", r"The key was refused \(401\).* look at OPENAI_API_KEY", "a key is missing"),
    "429 with a hint": Case((fail(429, Retry_After="90"),), "rate-limit", r"wait \(429\): scripted 429", "", (90, 90)),
    "429 without one": Case((fail(429),), "rate-limit", "scripted 429", "", REST),
    "500": Case((fail(500),), "provider", "scripted 500", "", REST),
    "500 in many words": Case((fail(500, "x" * (1 << 17)),), "provider", "openai/gpt-4o", "", REST),
    "a hang": Case((Reply(hangs=True),), "time", "did not answer within 1 s", "", settings={"call_timeout": 1}),
    "crumbs": Case(
        (say("x" * 4000, pause=0.2),), "time", "still answering after 1 s", "", settings={"call_timeout": 1}
    ),
    "no key": Case((), "key", "set OPENAI_API_KEY in the environment", "a key is missing", keys={},
                   settings={"api_base": None}),
    "no such model": Case((fail(404, "no such model"),), "tool", "no such model. Look at `model`", "is missing"),
}  # fmt: skip

QUICK = (
    "nothing", "half a JSON", "the same call", "many calls one by one", "a megabyte said to the board",
    "odd characters", "a line that is cut", "401", "429 with a hint", "a hang", "no key",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    provider._litellm()  # imported here, so that no run's time counts it
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def ground(template: Path, tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """One task for technical, which thinks with the server's model."""
    root = tmp_path_factory.mktemp("ground") / "repo"
    shutil.copytree(template, root, symlinks=True)
    board = Scratch(root, Clock())
    board.write("board/config.yml", board.read("board/config.yml") + f"sandbox: '{confinement()}'\n")
    board.act(lambda draft: tasks.add(draft, "The work", body="Make it.", assignees=["technical"]))
    model(board, "technical", server.url)
    return root


@pytest.fixture
def scratch(ground: Path, tmp_path: Path) -> Scratch:
    shutil.copytree(ground, tmp_path / "repo", symlinks=True)
    return Scratch(tmp_path / "repo", Clock())


@pytest.mark.parametrize("name", CASES if CALLS >= 1000 else QUICK)
def test_a_bad_answer_ends_in_good_time_and_is_told_apart(
    name: str, scratch: Scratch, cli: Cli, server: Server
) -> None:
    case = CASES[name]
    if case.settings:
        equip(scratch, "technical", **case.settings)
    server.answers(*case.answers)
    began = time.monotonic()
    (beat,) = tick(scratch, agent="technical", keys=case.keys).beats
    assert time.monotonic() - began < MOST_SECONDS
    assert beat.outcome == ("failed" if case.kind else "settled"), beat
    follows = "agentos task unblock TASK-001$" if case.blocked else "The next t" if case.kind else ""
    assert re.search(follows, came_to(beat)), came_to(beat)
    assert re.search(case.said, beat.text) and len(beat.text) < 3000, beat.text
    asked = case.asked if case.asked is not None else len(case.answers)
    assert len(server.requests) == asked
    judge_board(case, scratch, beat.run)
    folder = scratch.store.local / "runs" / beat.run
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES
    shown = cli("runs", "show", beat.run)
    assert shown.code == 0 and ("failed" if case.kind else "settled") in shown.out
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f]", shown.out + cli("log").out + cli("task", "show", "1").out
    )
    assert KEYS["OPENAI_API_KEY"] not in "".join(file.read_text() for file in folder.iterdir())


def judge_board(case: Case, scratch: Scratch, run: str) -> None:
    """The board reads, history says how it went, the claim is back."""
    store = scratch.store
    board, head = store.board(), runs.of_task(scratch.store, scratch.store.board().task("1"))[0]
    task = board.task("1")
    assert not board.problems and store.refs().claims == {}
    assert (head.run, head.failure) == (run, case.kind)
    assert task.status is (Status.IN_PROGRESS if case.kind else Status.REVIEW)
    assert bool(task.blocked) is bool(case.blocked) and re.search(case.blocked, task.blocked or "")
    low, high = case.seconds
    rest = (head.retry_at - scratch.clock.now).total_seconds() if head.retry_at else 0.0
    assert low <= rest <= high
    if case.kind:
        said = [store.body(message) for message in board.messages_of(task.id)]
        assert any(re.search(case.said, text) for text in said), said
    assert scratch.git("status", "--porcelain") == ""


def test_a_task_that_is_tried_again_later_says_when(scratch: Scratch, server: Server) -> None:
    server.answers(fail(429, Retry_After="90"))
    (beat,) = tick(scratch, agent="technical", keys=KEYS).beats
    idle = tick(scratch, agent="technical", keys=KEYS)
    assert not idle.beats and idle.notes == (f"technical tries TASK-001 again at {beat.again} or after.",)
    board, now = scratch.store.board(), scratch.clock.now
    rests = attempts.resting(runs.of_task(scratch.store, board.task("1")), now)
    found = explaining.explain(board, board.task("1"), now, rests)
    assert found.next == f"the next heartbeat of technical, at {beat.again} or after"


def test_a_model_that_goes_round_in_circles_is_not_woken_for_ever(scratch: Scratch, server: Server) -> None:
    """What it proposed before is applied; the second time a person is asked."""
    for number in range(2):
        server.answers(call("comment", text=f"Try {number}."), *[call("list")] * 9)
        (beat,) = tick(scratch, agent="technical", keys=KEYS).beats
        assert beat.outcome == "failed", beat
        assert tick(scratch, agent="technical", keys=KEYS).beats == (), "it rests"
        scratch.clock.forward(minutes=1)
    store = scratch.store
    said = [store.body(message) for message in store.board().messages_of("TASK-001-the-work")]
    assert any("Try 0." in text for text in said) and any("Try 1." in text for text in said)
    assert "it failed twice: the same call of list" in (store.board().task("1").blocked or "")
    assert tick(scratch, agent="technical", keys=KEYS).beats == ()


def test_the_last_words_of_a_command_may_be_anything(scratch: Scratch) -> None:
    odd = r"printf 'made\000it \377\033[2J\n'"
    equip(scratch, "technical", runner="command", command=["sh", "-c", f"{odd}; exit 3"])
    (beat,) = tick(scratch).beats
    assert beat.outcome == "failed" and beat.commit and "left with 3: made" in beat.text
    scratch.clock.forward(minutes=2)
    equip(scratch, "technical", command=["sh", "-c", f"touch made.txt; {odd}"])
    (beat,) = tick(scratch).beats
    assert beat.outcome == "settled" and scratch.store.board().task("1").status is Status.REVIEW, beat
    assert not scratch.store.board().problems

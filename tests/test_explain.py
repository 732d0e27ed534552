"""What a person asks about one task: why it stands where it does, and what others make of a message."""

import json
from typing import Any

from conftest import Cli, Scratch

from agentos.actions import messages, tasks
from agentos.model import explaining, ranking
from agentos.model.activity import Actor
from agentos.model.words import Status

TECHNICAL = Actor("technical", is_agent=True)


def fill(draft: Any) -> None:
    tasks.add(draft, "First", needs=["backend-developer"], labels=["x"], priority=2, due="2026-02-09")
    tasks.add(draft, "Second", needs=["a singer"], depends_on=["1"])
    tasks.add(draft, "Third", priority=1, assignees=["qa"])


def test_a_task_says_what_moves_it_how_it_ranks_and_who_could_do_it(scratch: Scratch, cli: Cli) -> None:
    scratch.act(fill)
    said = cli("task", "explain", "1").out.splitlines()
    assert said[0] == "next       the orchestrator, on the next tick"
    assert said[1] == "rank       2 of 3 open: 300 priority + 53 due + 10 waited for"
    assert said[2] == "goes to    technical"
    assert said[3:] == [
        "  orchestrator no: the orchestrator does no tasks",
        "  qa        no: it has none of backend-developer",
        "  technical yes: it does backend-developer, it has 0 of 1 tasks",
    ]
    assert "waits for TASK-001-first" in cli("task", "explain", "2").out
    found = json.loads(cli("task", "explain", "3", "--json").out)
    assert (found["place"], found["chosen"], found["run"], found["failed"]) == (1, [], None, [])
    cli("agent", "pause", "technical")
    assert "technical no: paused (agentos agent resume technical)" in cli("task", "explain", "1").out
    cli("task", "move", "3", "done")
    assert cli("task", "explain", "3").out == "next       nothing: it is done (completed)\n"
    assert cli("task", "explain", "9").code == 3


def test_a_task_whose_agents_are_full_says_who_holds_what(scratch: Scratch, cli: Cli) -> None:
    scratch.act(fill)
    scratch.act(lambda draft: tasks.add(draft, "Fourth", assignees=["technical"]))
    said = cli("task", "explain", "1").out.splitlines()
    assert said[0] == "next       waits for room: technical holds TASK-004-fourth (assigned)"
    cli("task", "block", "4", "No", "key.")
    said = cli("task", "explain", "1").out.splitlines()
    assert said[0] == (
        "next       waits for room: technical holds TASK-004-fourth, "
        "which has to be unblocked or given to somebody else (No key.)"
    )
    cli("task", "edit", "1", "--set", "needs=")
    assert cli("task", "explain", "1").out.startswith(
        "next       waits for room: qa holds TASK-003-third (assigned); tech"
    )
    cli("task", "assign", "4", "ada-lovelace")
    assert cli("task", "explain", "1").out.startswith("next       the orchestrator, on the next tick\n")


def test_a_task_that_waits_for_its_parts_takes_up_nobody(scratch: Scratch, cli: Cli) -> None:
    def goal(draft: Any) -> None:
        tasks.add(draft, "Goal", assignees=["technical"])
        tasks.move(draft, "1", Status.IN_PROGRESS)
        tasks.add(draft, "Part", parent="1", needs=["backend-developer"])

    scratch.act(goal)
    said = cli("task", "explain", "2").out
    assert (
        "goes to    technical" in said and "technical yes: it does backend-developer, it has 0 of 1" in said
    )


def test_a_runner_that_there_is_not_is_refused(scratch: Scratch, cli: Cli) -> None:
    done = cli("agent", "add", "bob", "--runner", "nope")
    assert done.code == 2 and "There is no runner 'nope'; there are rules, checks" in done.err
    assert "bob" not in scratch.store.board().agents


def test_the_points_that_are_shown_are_the_score(scratch: Scratch) -> None:
    scratch.act(fill)
    scratch.clock.forward(days=5)
    board, now = scratch.store.board(), scratch.clock.now
    for task in board.open_tasks:
        found = explaining.explain(board, task, now)
        assert found.points is not None and sum(found.points.values()) == ranking.score(board, task, now)
        assert ranking.ranked(board, board.open_tasks, now)[found.place - 1] is task


def test_people_and_agents_react_to_a_message_and_take_it_back(scratch: Scratch, cli: Cli) -> None:
    scratch.act(fill)
    said = scratch.act(lambda draft: messages.add(draft, "1", "Done?"), TECHNICAL).value
    for _ in range(2):
        assert cli("message", "react", "1", said.id[-4:], "👍").code == 0
    scratch.act(lambda draft: messages.react(draft, "1", said.id, "👍"), TECHNICAL)
    assert "  👍 ada-lovelace, technical\n" in cli("message", "list", "1").out
    assert json.loads(cli("message", "list", "1", "--json").out)[0]["reactions"] == {
        "👍": ["ada-lovelace", "technical"]
    }
    assert "ada-lovelace edited a message of TASK-001" in scratch.read("WORKING.md")
    assert cli("message", "react", "1", said.id, "👍", "--remove").code == 0
    scratch.act(lambda draft: messages.react(draft, "1", said.id, "👍", gone=True), TECHNICAL)
    assert scratch.store.board().messages_of("TASK-001-first")[0].reactions == {}
    assert "reactions" not in scratch.read(said.path)
    assert cli("message", "react", "1", said.id, "a b").code == 2
    assert cli("message", "react", "1", "nope", "x").code == 3

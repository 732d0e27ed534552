"""What wakes an agent before its heartbeat: work, reviews, questions and answers, each once; and how far that goes."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Scratch
from openai_server import Server, call, serve
from test_agents_at_work import model
from test_heartbeat import confinement, equip

from agentos.actions import messages, tasks
from agentos.model import rules
from agentos.model.activity import Actor
from agentos.orchestrator import schedule
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.schedule import MOST_HOPS, Wake
from agentos.orchestrator.tick import Options, Report

TASK = "TASK-001-the-work"
PERSON, TECHNICAL, QA = "ada-lovelace", Actor("technical", is_agent=True), Actor("qa", is_agent=True)


@pytest.fixture
def team(scratch: Scratch) -> Scratch:
    """A board with a task for technical; all agents were woken just now and have an hour until the next time."""
    scratch.write("board/config.yml", scratch.read("board/config.yml") + f"sandbox: '{confinement()}'\n")
    scratch.act(lambda draft: tasks.add(draft, "The work", body="Do it.", assignees=["technical"]))
    for name in ("technical", "qa"):
        equip(scratch, name, heartbeat="1h", capabilities=["review"] if name == "qa" else [])
    schedule.save(scratch.store.local, dict.fromkeys(("technical", "qa"), Wake(scratch.clock.now)))
    return scratch


def tick(board: Scratch) -> Report:
    """A tick that a minute of no heartbeat's own has passed before."""
    board.clock.forward(minutes=1)
    return ticking.tick(board.store, Options(keys={"OPENAI_API_KEY": "k"}))


def woken(board: Scratch) -> list[str]:
    return [beat.agent for beat in tick(board).beats]


def called(board: Scratch) -> list[str]:
    wakes, here = schedule.load(board.store.local), board.store.board()
    return schedule.waking(here, schedule.pruned(wakes, here), board.clock.now)


def test_work_that_comes_back_wakes_again_and_what_stays_does_not(team: Scratch, cli: Cli) -> None:
    assert woken(team) == ["technical"], "it was assigned"
    assert woken(team) == ["qa"], "it is to be reviewed"
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    assert woken(team) == ["technical"], "it was sent back"
    assert woken(team) == ["qa"], "it was handed in once more"
    assert woken(team) == []
    team.act(lambda draft: messages.add(draft, "1", "Look, @technical and @qa."))
    assert woken(team) == [], "a mention only notifies"


def test_what_an_agent_has_at_hand_wakes_it_only_once(team: Scratch) -> None:
    equip(team, "technical", runner="command", command=["false"])
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    assert woken(team) == ["technical"]
    assert called(team) == []
    [failed] = schedule.load(team.store.local)["technical"].rests.values()
    assert failed > team.clock.now, "it rests before the next try"
    team.clock.forward(seconds=5)
    team.act(lambda draft: messages.add(draft, "1", "I have mended it; go on."))
    assert called(team) == ["technical"], "a person's word ends the rest"
    assert ticking.tick(team.store, Options()).beats[0].outcome == "failed"
    assert called(team) == []


def test_what_is_freed_calls_who_was_at_it(team: Scratch) -> None:
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    seen = {"technical": Wake(team.clock.now, frozenset({f"{TASK}:in_progress"})), "qa": Wake(team.clock.now)}
    schedule.save(team.store.local, seen)
    assert called(team) == []
    team.act(lambda draft: tasks.block(draft, "1", "No key"))
    assert woken(team) == [] and schedule.load(team.store.local)["technical"].seen == frozenset()
    team.act(lambda draft: tasks.unblock(draft, "1"))
    assert called(team) == ["technical"]


def test_what_an_agent_gives_itself_waits_for_its_heartbeat(team: Scratch) -> None:
    team.act(lambda draft: tasks.move(draft, "1", "done"))
    team.act(lambda draft: tasks.add(draft, "Older", assignees=["technical"]), TECHNICAL)
    before, wake = team.store.board(), Wake(team.clock.now)
    team.act(lambda draft: tasks.add(draft, "Mine", assignees=["technical"]), TECHNICAL)
    team.act(lambda draft: tasks.add(draft, "Theirs", assignees=["qa"]), TECHNICAL)
    team.act(lambda draft: tasks.add(draft, "For me", assignees=["technical"]), QA)
    board = team.store.board()
    after = schedule.seen_to(wake, before, board, board.agents["technical"])
    assert after.seen == {"TASK-003-mine:assigned"}
    team.act(lambda draft: [tasks.move(draft, name, "done") for name in ("2", "4", "5")])
    board, wakes = team.store.board(), {"technical": after, "qa": wake}
    assert schedule.waking(board, wakes, team.clock.now) == []
    assert schedule.waking(board, wakes, team.clock.now + timedelta(hours=1)) == ["qa", "technical"]


def test_a_chain_of_wakes_has_four_hops_and_then_waits_for_a_heartbeat(team: Scratch) -> None:
    """Two agents that ask each other for ever."""
    for name in ("technical", "qa"):
        equip(team, name, runner="llm")
    team.act(lambda draft: tasks.move(draft, "1", "review"))
    wakes = {name: Wake(team.clock.now, frozenset({f"{TASK}:review"})) for name in ("technical", "qa")}
    hops = []
    for i in range(10):
        asker, asked = (TECHNICAL, QA) if i % 2 else (QA, TECHNICAL)
        team.clock.forward(seconds=10)
        said = team.act(
            lambda d, to=asked: messages.add(d, "1", f"And then, @{to.name}?", type="question"), asker
        )
        board, now = team.store.board(), team.clock.now
        hop = schedule.hops(board, board.agents[asked.name], wakes, now)
        if hop is None:
            break
        hops.append(hop)
        wakes[asked.name] = Wake(now, frozenset({f"{TASK}:{said.value.id}", f"{TASK}:review"}), hops=hop)
    assert hops == list(range(1, MOST_HOPS + 1)) == [1, 2, 3, 4]
    assert schedule.hops(board, board.agents[asked.name], wakes, now + timedelta(hours=1)) == 0
    team.act(lambda draft: messages.add(draft, "1", "Come, @technical, @qa?", type="question"))
    assert schedule.hops(team.store.board(), board.agents[asked.name], wakes, now) == 1, "a person's word"


def test_what_was_reviewed_as_it_stands_does_not_keep_an_agent_from_its_work(team: Scratch) -> None:
    team.act(lambda draft: tasks.move(draft, "1", "review"))
    team.act(lambda draft: tasks.add(draft, "Another", assignees=["qa"]))
    team.act(lambda draft: tasks.move(draft, "2", "in_progress"))
    board, now = team.store.board(), team.clock.now
    agent, wake = board.agents["qa"], Wake(now, frozenset({f"{TASK}:review"}))
    first = rules.work_for(board, agent, now)
    assert first is not None and first.is_review
    assert rules.work_for(board, agent, now, looked=wake.looked) == rules.Assignment("qa", "TASK-002-another")
    later = rules.work_for(board, agent, now, ["TASK-002-another"], wake.looked)
    assert later == first, "with nothing else to do it looks whether it is as it was"
    failed = Wake(now, wake.seen, {TASK: now})
    assert failed.looked == set(), "a review that failed is tried again"


def test_a_paused_board_wakes_nobody_and_says_so(team: Scratch, cli: Cli) -> None:
    team.write("board/config.yml", team.read("board/config.yml") + "paused: true\n")
    done = cli("tick", "--force")
    assert (done.code, done.err.splitlines()[-1]) == (
        0,
        "! `paused: true` in board/config.yml stops every agent.",
    )
    assert cli("tick", "--agent", "technical").code == 6
    assert team.store.board().task("1").status == "assigned"


# Questions ----------------------------------------------------------------------------------------------


def ask(board: Scratch, text: str = "Which colour, @qa?", by: Actor | None = None) -> str:
    asked: str = board.act(lambda draft: messages.add(draft, "1", text, type="question"), by).value.id
    return asked


@pytest.fixture
def thinking(team: Scratch) -> Any:
    """The same team, both of a scripted model."""
    with serve() as server:
        for name in ("technical", "qa"):
            model(team, name, server.url)
        yield server


def test_an_agent_asks_another_who_answers_and_it_goes_on(team: Scratch, thinking: Server) -> None:
    thinking.answers(call("ask", text="Which colour, @qa?", to="qa"), call("finish"))
    assert woken(team) == ["technical"]
    assert team.store.board().task("1").blocked == "waits for an answer from qa"
    thinking.answers(
        call("write", path="x", content="x"), call("approve"), call("finish"), call("finish", summary="Blue.")
    )
    report = tick(team)
    assert [(beat.agent, beat.outcome) for beat in report.beats] == [("qa", "settled")]
    assert "Which colour, @qa?" in thinking.said() and "You are asked something" in thinking.said()
    assert "there is no tool 'write'" in thinking.said() and "there is no tool 'approve'" in thinking.said()
    said = team.store.board().messages_of(TASK)[-1]
    assert (said.author, said.type, team.store.body(said).strip()) == ("qa", "answer", "Blue.")
    assert team.store.board().task("1").blocked is None
    thinking.answers(call("finish", is_done=False, handoff="Not yet."))
    assert woken(team) == ["technical"], "the answer wakes it before its heartbeat"
    assert "Blue." in thinking.said()
    assert woken(team) == []


def test_what_a_run_was_told_is_read_once_it_has_settled(team: Scratch, thinking: Server, cli: Cli) -> None:
    equip(team, "qa", paused=True)
    team.act(lambda draft: tasks.add(draft, "Elsewhere", assignees=[PERSON]))
    team.act(lambda draft: messages.add(draft, "2", "Mind the gap, @technical."))
    team.act(lambda draft: messages.add(draft, "1", "And here, @technical."))
    thinking.answers(call("finish", summary="Done."))
    assert [beat.outcome for beat in tick(team).beats] == ["failed"], "with nothing to show"
    assert "Mind the gap" in thinking.said() and cli("inbox", "technical").out.count("mention") == 2
    thinking.answers(call("comment", text="On it."), call("finish", is_done=False))
    team.clock.forward(hours=1)
    team.act(lambda draft: messages.add(draft, "2", "And this, @technical."))
    tick(team)
    assert "Mind the gap" in thinking.said() and "And this" in thinking.said()
    assert "mention" not in cli("inbox", "technical").out
    assert team.git("log", "-1", "--format=%an", "--", "board/inbox/technical.md") != ""
    thinking.answers(call("finish", is_done=False))
    team.clock.forward(hours=1)
    tick(team)
    assert "Mind the gap" not in thinking.said() and "And this" not in thinking.said()


def test_an_answer_that_comes_to_nothing_is_tried_and_then_a_person_is_asked(
    team: Scratch, thinking: Server, cli: Cli
) -> None:
    ask(team, by=TECHNICAL)
    team.act(lambda draft: tasks.block(draft, "1", "waits for an answer from qa"), TECHNICAL)
    thinking.answers(*[call("list", path=".")] * 20)
    assert [(beat.agent, beat.outcome) for beat in tick(team).beats] == [("qa", "failed")]
    assert team.store.board().task("1").blocked == "waits for an answer from qa", "a report is no answer"
    team.clock.forward(minutes=2)
    thinking.answers(*[call("list", path=".")] * 20)
    assert [(beat.agent, beat.outcome) for beat in tick(team).beats] == [("qa", "failed")]
    blocked = team.store.board().task("1").blocked or ""
    assert blocked.startswith("it failed twice")
    assert blocked in cli("inbox").out
    assert woken(team) == []


def test_a_command_line_answers_with_its_last_words(team: Scratch) -> None:
    equip(
        team,
        "qa",
        runner="command",
        command=["sh", "-c", "cat > told; grep -q 'What you are asked' told && echo Blue."],
    )
    team.act(lambda draft: tasks.move(draft, "1", "in_progress"))
    equip(team, "technical", paused=True)
    ask(team)
    ask(team, "And which size, @qa?")
    assert woken(team) == ["qa"], "two questions are one wake"
    said = team.store.board().messages_of(TASK)[-1]
    assert (said.author, said.type, team.store.body(said).strip()) == ("qa", "answer", "Blue.")
    assert team.git("for-each-ref", "refs/heads/agentos") == "", "nothing is handed in"
    assert woken(team) == []


def test_who_can_not_answer_is_not_asked_and_not_woken(team: Scratch, thinking: Server) -> None:
    equip(team, "qa", runner="simulated")
    ask(team)
    thinking.answers(
        call("ask", text="Which?", to="qa"), call("ask", text="Which?", to=PERSON), call("finish")
    )
    assert woken(team) == ["technical"]
    assert team.store.board().task("1").blocked == f"waits for an answer from {PERSON}"
    assert "qa is an agent that can't answer; ask a person" in team.store.body(
        next(m for m in team.store.board().messages_of(TASK) if m.type == "status_update")
    )


def test_questions_are_open_until_a_word_of_who_was_asked(team: Scratch) -> None:
    first = ask(team)
    assert [each.id for each in team.store.board().asked["qa"]] == [first]
    team.act(lambda draft: messages.add(draft, "1", "I ran.", type="status_update"), QA)
    team.act(lambda draft: messages.add(draft, "1", "I know not."), TECHNICAL)
    assert [each.id for each in team.store.board().asked["qa"]] == [first]
    team.act(lambda draft: messages.add(draft, "1", "Blue.", type="answer", reply_to=first), QA)
    assert team.store.board().asked == {}
    team.clock.forward(seconds=1)
    second = ask(team, "Why?")
    assert list(team.store.board().asked) == ["technical"], "with nobody named it is the assignee"
    team.act(lambda draft: tasks.move(draft, "1", "done"))
    assert team.store.board().asked == {} and second


def test_the_memory_of_wakes_keeps_the_hops(tmp_path: Path, scratch: Scratch) -> None:
    wakes = {"a": Wake(scratch.clock.now, frozenset({"x:review"}), hops=3)}
    schedule.save(tmp_path, wakes)
    assert schedule.load(tmp_path) == wakes
    older = json.loads((tmp_path / "wakes.json").read_text())
    del older["a"]["hops"]
    (tmp_path / "wakes.json").write_text(json.dumps(older))
    assert schedule.load(tmp_path)["a"].hops == 0

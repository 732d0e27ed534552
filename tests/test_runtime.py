"""What a run may do and what follows from it: the outbox settled, tries, claims, proposals."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from conftest import Cli, Scratch

from agentos.actions import agents, messages, tasks
from agentos.errors import AgentOSError, Refused, Usage
from agentos.model import rules
from agentos.model.activity import Actor
from agentos.model.markdown import criteria
from agentos.model.words import Resolution, Status
from agentos.runtime import attempts, budget, job, liveness, outbox, permission, settle
from agentos.runtime import outbox as o
from agentos.runtime.failures import ChecksFailed
from agentos.runtime.lease import Lease
from agentos.runtime.outbox import Outbox
from agentos.store import claims, runs
from agentos.store.refs import Claim
from agentos.store.runs import Run

NOW = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)
TECHNICAL, QA = Actor("technical", is_agent=True), Actor("qa", is_agent=True)


@pytest.fixture
def working(scratch: Scratch) -> Scratch:
    """A board on which technical is at work on TASK-002, a part of TASK-001, beside TASK-003 and -004."""

    def fill(draft: Any) -> None:
        tasks.add(draft, "The goal")
        tasks.add(draft, "The work", parent="1", body="Do it.", criteria=["It is done"])
        tasks.add(draft, "A sister", parent="1")
        tasks.add(draft, "Far away")
        tasks.assign(draft, "2", ["technical"])
        tasks.move(draft, "2", "in_progress")

    scratch.act(fill)
    return scratch


def settled(
    board: Scratch, *actions: o.Action, by: Actor = TECHNICAL, is_review: bool = False, has_diff: bool = True
) -> list[str]:
    """Settle these actions for TASK-002; gives what was refused."""

    def decide(draft: Any) -> list[str]:
        agent = draft.board.agents[by.name]
        return settle.apply(
            draft, draft.task("2").id, Outbox(actions), agent, is_review=is_review, has_diff=has_diff
        )

    refused: list[str] = board.act(decide, by).value
    return refused


# What an agent may -------------------------------------------------------------------------------------


def test_a_run_settles_everything_that_it_may_in_one_commit(working: Scratch) -> None:
    count = int(working.git("rev-list", "--count", "HEAD"))
    refused = settled(
        working,
        o.CreateTask("A part", body="Small.", needs=("technical",), checks=("true",)),
        o.UpdateTask(priority=1, labels=("urgent",), estimate="2 hours"),
        o.Comment("Started."),
        o.Comment("See my task.", task="TASK-003-a-sister"),
        o.WriteDocument("docs/design/login.md", "Login", "How it works."),
        o.Remember("The tests take a minute.", "how-long-tests-take"),
        o.Submit("All done."),
    )
    assert refused == []
    assert int(working.git("rev-list", "--count", "HEAD")) == count + 1
    board = working.store.board()
    task = board.task("2")
    assert (task.status, task.priority, task.labels, task.estimate) == ("review", 1, ("urgent",), "2 hours")
    part = board.task("5")
    assert (part.parent, part.created_by, part.needs) == (task.id, "technical", ("technical",))
    assert sorted(m.type for m in board.messages_of(task.id)) == ["comment", "status_update"]
    assert len(board.messages_of("TASK-003-a-sister")) == 1
    document = board.documents["docs/design/login.md"]
    assert (document.title, document.task, document.created_by) == ("Login", task.id, "technical")
    assert working.read("agents/memory/technical/how-long-tests-take.md") == "The tests take a minute.\n"
    assert working.git("status", "--porcelain") == ""


REFUSED: list[tuple[o.Action, str]] = [
    (o.Approve(), "only a reviewer"),
    (o.SendBack("No."), "only a reviewer"),
    (o.Tick(1), "seen to pass"),
    (o.UpdateTask("TASK-004-far-away", priority=1), "neither your task nor a part"),
    (o.UpdateTask("TASK-001-the-goal", priority=1), "neither your task nor a part"),
    (o.CreateTask("More", parent="TASK-004-far-away"), "neither your task nor a part"),
    (o.Assign("", ("qa",)), "no part of your task"),
    (o.Assign("TASK-003-a-sister", ("qa",)), "no part of your task"),
    (o.Comment("Hello.", task="TASK-004-far-away"), "nothing to do with your task"),
    (o.Comment("Hello.", task="4"), "TASK-004-far-away has nothing to do with your task"),
    (o.Comment("Hello.", task="TASK-999-none"), "No task 'TASK-999-none'"),
    (o.UpdateTask("the-", priority=1), "'the-' means more than one task: TASK-001-the-goal"),
    (o.CreateTask("More", parent="the"), "means more than one task"),
    (o.Assign("AKIA" + "ABCDEFGHIJKLMNOP", ("qa",)), "assign: No task '"),
    (o.Comment("My key is AKIA" + "ABCDEFGHIJKLMNOP."), "a secret (AWS access key)"),
    (o.Remember("AKIA" + "ABCDEFGHIJKLMNOP", "key"), "a secret"),
    (o.WriteDocument("docs/Templates/task.md", "T", "x"), "templates are a person's"),
    (o.WriteDocument("docs/team.md", "Mine now", "All of it."), "docs/team.md is ada"),
    (o.WriteDocument("docs/templates/x.md", "T", "T"), "templates are a person's"),
    (o.WriteDocument("docs/../agents/technical.md", "T", "T"), "can't be a document"),
    (o.WriteDocument("docs/./x.md", "T", "T"), "can't be a document"),
    (o.WriteDocument("docs/.git/x.md", "T", "T"), "would steer people's tools"),
    (o.WriteDocument("docs/git~1/x.md", "T", "T"), "would steer people's tools"),
    (o.WriteDocument("docs/.github/x.md", "T", "T"), "would steer people's tools"),
    (o.WriteDocument("docs/CLAUDE.md", "T", "T"), "would steer people's tools"),
    (o.WriteDocument("docs/.Claude/commands/x.md", "T", "T"), "would steer people's tools"),
    (o.WriteDocument("docs/a\\..\\x.md", "T", "T"), "can't be a document"),
    (o.WriteDocument("docs/Team.md", "T", "T"), "docs/Team.md is docs/team.md to some disks"),
    (o.WriteDocument("docs/team.md/x.md", "T", "T"), "can't be a document"),
    (o.Ask("Who am I?", to="technical"), "can't ask yourself"),
    (o.Ask("Anyone?", to="nobody"), "Nobody here is called"),
    (o.ProposeAgent("qa", "R", ("a",), "Be.", "Since."), "is taken"),
    (o.UpdateTask(depends_on=("TASK-002-the-work",)), "cycle"),
]


@pytest.mark.parametrize(("action", "why"), REFUSED, ids=[f"{type(a).__name__}-{w}" for a, w in REFUSED])
def test_what_is_refused_is_said_and_the_rest_is_applied(
    working: Scratch, action: o.Action, why: str
) -> None:
    before = working.store.board()
    refused = settled(working, o.UpdateTask(estimate="a day"), action)
    assert len(refused) == 1 and why in refused[0]
    after = working.store.board()
    said = after.messages_of("TASK-002-the-work")
    assert why in working.store.body(said[-1]) and len(said) == 1
    assert "ABCDEFGH" not in working.store.body(said[-1])
    assert after.task("2").estimate == "a day"
    assert after.tasks.rows.keys() == before.tasks.rows.keys()
    assert after.documents.rows == before.documents.rows and after.agents.rows == before.agents.rows
    assert after.task("2").replace(estimate=None) == before.task("2")
    assert all(after.tasks[name] == before.tasks[name] for name in before.tasks if "002" not in name)


def test_a_task_of_an_agents_has_no_criterion_ticked(working: Scratch) -> None:
    body = "- [x] not here\n\n## Acceptance criteria\n\n- [x] Ada has looked at it\n- [X] `true` passes"
    assert settled(working, o.CreateTask("A part", body=body)) == []
    assert settled(working, o.CreateTask("B", criteria=("a\n- [x] b",), checks=("true`\n- [x] `c",))) == []
    first, second = (working.store.body(working.store.board().task(name)) for name in ("5", "6"))
    assert criteria(first) and not any(box.is_ticked for box in criteria(first)) and "- [x] not here" in first
    assert [box.is_ticked for box in criteria(second)] == [False, False]


def test_a_document_takes_no_files_place(working: Scratch) -> None:
    """A folder where a file was: the file would be gone."""
    working.write("docs/LICENSE", "Mine.\n")
    working.git("add", "docs/LICENSE")
    working.git("commit", "-qm", "A licence")
    head = working.git("rev-parse", "HEAD")
    with pytest.raises(AgentOSError, match="docs/LICENSE is a file, and nothing can be written below it"):
        settled(working, o.WriteDocument("docs/LICENSE/x.md", "T", "T"))
    assert working.git("rev-parse", "HEAD") == head and working.read("docs/LICENSE") == "Mine.\n"
    assert working.git("status", "--porcelain") == ""


def test_a_document_takes_no_folders_place(working: Scratch) -> None:
    working.write("docs/notes.md/keep.txt", "Mine.\n")
    working.git("add", "docs")
    working.git("commit", "-qm", "A folder called as a document")
    head = working.git("rev-parse", "HEAD")
    with pytest.raises(AgentOSError, match=r"docs/notes\.md is a folder, and no file can take its place"):
        settled(working, o.WriteDocument("docs/notes.md", "T", "T"))
    assert working.git("rev-parse", "HEAD") == head and working.read("docs/notes.md/keep.txt") == "Mine.\n"


def test_a_task_is_named_by_any_unique_part(working: Scratch) -> None:
    """As people may, and models do; what was just made counts too."""
    refused = settled(
        working,
        o.UpdateTask("TASK-002", priority=1),
        o.Comment("See mine.", task="sister"),
        o.CreateTask("A part", parent="TASK-002", depends_on=("sister",)),
        o.UpdateTask("5", estimate="a day"),
        o.Assign("a-part", ("qa",)),
    )
    assert refused == []
    board = working.store.board()
    part = board.task("5")
    assert (board.task("2").priority, len(board.messages_of("TASK-003-a-sister"))) == (1, 1)
    assert (part.parent, part.depends_on) == ("TASK-002-the-work", ("TASK-003-a-sister",))
    assert (part.estimate, part.assignees) == ("a day", ("qa",))


def test_a_run_proposes_no_more_than_its_share(working: Scratch) -> None:
    refused = settled(working, *(o.Comment(f"Number {number}.") for number in range(23)))
    assert len(refused) == 3 and "20 times" in refused[0]
    assert len(working.store.board().messages_of("TASK-002-the-work")) == 21


def test_every_action_has_a_share_and_its_texts_have_an_end() -> None:
    assert permission.MOST.keys() == {*get_args(o.Action)}
    for name in o.ACTIONS:
        for field, shape in outbox.schema(name)["properties"].items():
            for kind in (shape, *shape.get("anyOf", ()), shape.get("items", {})):
                has_end = {"maxLength", "enum", "pattern"} & kind.keys()
                assert kind.get("type") != "string" or has_end, f"{name}: {field}"
                assert kind.get("type") != "array" or "maxItems" in kind, f"{name}: {field}"


def test_long_names_of_what_is_left_out_cost_a_run_nothing_else(working: Scratch) -> None:
    """A message larger than a record can be would have kept the whole run from being settled."""

    def decide(draft: Any) -> list[str]:
        many = [f"board/{number:0200}: it is policy" for number in range(10_000)]
        proposed = Outbox((o.UpdateTask(estimate="a day"),))
        return settle.apply(draft, draft.task("2").id, proposed, draft.board.agents["technical"], left=many)

    assert len(working.act(decide, TECHNICAL).value) == 10_000
    board = working.store.board()
    said = working.store.body(board.messages_of("TASK-002-the-work")[-1])
    assert board.task("2").estimate == "a day"
    assert "board/" in said and "characters left out" in said and len(said) < 60_000


def test_work_without_anything_to_show_is_not_handed_in(working: Scratch) -> None:
    with pytest.raises(ChecksFailed, match="nothing to review"):
        settled(working, o.Comment("Done!"), o.Submit(), has_diff=False)
    assert working.store.board().task("2").status is Status.IN_PROGRESS
    settled(working, o.WriteDocument("docs/x.md", "X", "x"), o.Submit(), has_diff=False)
    assert working.store.board().task("2").status is Status.REVIEW


def test_a_reviewer_passes_or_sends_back_and_touches_nothing_else(working: Scratch) -> None:
    settled(working, o.Submit())
    mine = (o.UpdateTask(priority=1), o.UpdateTask("TASK-002", priority=1), o.Block("No."), o.Submit())
    refused = settled(working, *mine, by=QA, is_review=True)
    assert len(refused) == 4 and all("somebody else's" in line for line in refused)
    assert settled(working, o.SendBack("It fails."), by=QA, is_review=True) == []
    assert working.store.board().task("2").status is Status.IN_PROGRESS
    settled(working, o.Submit())
    assert settled(working, o.Approve("Good."), by=QA, is_review=True) == []
    assert working.store.board().task("2").is_completed


def test_nobody_passes_their_own_work(working: Scratch) -> None:
    settled(working, o.Submit())
    refused = settled(working, o.Approve(), by=TECHNICAL, is_review=True)
    assert refused and working.store.board().task("2").status is Status.REVIEW
    refused = settled(working, o.Approve(), by=QA), settled(working, o.SendBack("No."), by=QA)
    assert all(refused), "a reviewer who was woken for something else"
    assert working.store.board().task("2").status is Status.REVIEW


def test_an_earlier_document_of_the_task_can_be_written_again(working: Scratch) -> None:
    settled(working, o.WriteDocument("docs/x.md", "X", "one"))
    assert settled(working, o.WriteDocument("docs/x.md", "Y", "two")) == []
    assert working.read("docs/x.md").endswith("---\n\ntwo\n")
    assert working.store.board().documents["docs/x.md"].title == "Y"


def test_a_question_stops_the_task_until_it_is_answered(working: Scratch) -> None:
    settled(working, o.Ask("Which colour?"))
    task = working.store.board().task("2")
    assert task.blocked == "waits for an answer from ada-lovelace"
    asked = working.store.board().messages_of(task.id)[0]
    assert (asked.type, asked.mentions) == ("question", ("ada-lovelace",))
    working.act(lambda draft: messages.add(draft, "2", "Wait, I think.", author="qa"), QA)
    assert working.store.board().task("2").blocked
    working.act(lambda draft: messages.add(draft, "2", "Blue.", type="answer", reply_to=asked.id))
    assert working.store.board().task("2").blocked is None


def test_a_proposed_agent_does_nothing_until_a_person_approves_it(working: Scratch, cli: Cli) -> None:
    settled(working, o.ProposeAgent("data", "Counts", ("data-engineer",), "Count.", "Nobody counts."))
    agent = working.store.board().agents["data"]
    assert (agent.agentos.proposed_by, agent.agentos.runner) == ("technical", "simulated")
    assert rules.cannot_run(agent) == "proposed by technical (agentos agent approve data)"
    with pytest.raises(Refused):
        working.act(lambda draft: agents.approve(draft, "data"), TECHNICAL)
    assert cli("agent", "approve", "data").code == 0
    assert rules.cannot_run(working.store.board().agents["data"]) is None
    assert cli("agent", "approve", "data").code == 6


def test_a_proposed_agent_thinks_as_who_proposed_it_and_is_in_every_persons_inbox(
    working: Scratch, cli: Cli
) -> None:
    def equip(draft: Any) -> None:
        agent = draft.board.agents["technical"]
        settings = {
            "runner": "llm",
            "capabilities": ["x"],
            "max_tasks": 3,
            "api_base": "http://h/v1",
            "env": ["A"],
        }
        draft.put(agent.replace(model="openai/small", agentos=settings))

    working.act(equip)
    settled(working, o.ProposeAgent("data", "Counts", ("data-engineer",), "Count.", "Nobody counts."))
    agent = working.store.board().agents["data"]
    assert (agent.model, agent.agentos.runner, agent.agentos.api_base) == (
        "openai/small",
        "llm",
        "http://h/v1",
    )
    assert (agent.agentos.env, agent.agentos.capabilities, agent.agentos.max_tasks) == (
        ("A",),
        ("data-engineer",),
        1,
    )
    assert "data (Counts) would join the team: agentos agent show data" in cli("inbox").out
    assert "would join" not in cli("inbox", "qa").out
    assert cli("agent", "approve", "data").code == 0
    assert "would join" not in cli("inbox", "--all").out


def test_tool_calls_become_actions_or_words() -> None:
    assert outbox.make("comment", {"text": "Hi."}) == o.Comment("Hi.")
    for name, arguments in [("fly", {}), ("comment", {}), ("comment", {"text": 3}), ("submit", {"is_ok": True}),
                            ("write_document", {"path": "/etc/x.md", "title": "t", "text": "t"})]:  # fmt: skip
        with pytest.raises(Usage):
            outbox.make(name, arguments)
    for name in outbox.ACTIONS:
        schema = outbox.schema(name)
        assert (
            schema["type"] == "object" and schema["additionalProperties"] is False and schema["description"]
        )


# Tries --------------------------------------------------------------------------------------------------


def failed(kind: str, **more: Any) -> Run:
    return Run(NOW, "technical", "r", failure=kind, **more)


PERSON, SUCCESS, TICK = Run(NOW), Run(NOW, "technical", "r"), Run(NOW, "orchestrator")


@pytest.mark.parametrize(
    ("kind", "history", "count"),
    [
        ("rate-limit", [], 0),
        ("rate-limit", [failed("rate-limit"), TICK, failed("rate-limit")], 2),
        ("rate-limit", [failed("rate-limit"), SUCCESS, failed("rate-limit")], 1),
        ("rate-limit", [failed("rate-limit"), PERSON, failed("rate-limit")], 1),
        ("rate-limit", [failed("provider"), failed("rate-limit")], 1),
        ("checks", [failed("checks"), SUCCESS, failed("checks")], 2),
        ("checks", [failed("checks"), PERSON, failed("checks")], 1),
    ],
)
def test_tries_are_counted_from_history(kind: str, history: Sequence[Run], count: int) -> None:
    assert attempts.tries(kind, history) == count


@pytest.mark.parametrize(
    ("kind", "tries"),
    [("rate-limit", 4), ("provider", 4), ("lost", 2), ("checks", 3), ("key", 1), ("tool", 1), ("budget", 1)],
)
def test_each_kind_of_failure_has_its_tries_and_then_a_person_is_asked(kind: str, tries: int) -> None:
    history: list[Run] = []
    for _ in range(tries - 1):
        follows = attempts.next_of(kind, "said", None, history, NOW, "run")
        assert follows.at is not None and not follows.blocked
        history.insert(0, failed(kind))
    follows = attempts.next_of(kind, "said", None, history, NOW, "run")
    assert follows.at is None and follows.blocked.endswith(": said")


def test_waits_grow_vary_and_end() -> None:
    waits = [attempts.delay(number, None, "run").total_seconds() for number in range(1, 12)]
    for number, wait in enumerate(waits):
        middle = 30 * 2**number
        assert min(1800, 0.75 * middle) <= wait <= min(1800, 1.25 * middle)
    assert waits[-1] == 1800
    assert len({attempts.delay(1, None, f"run {n}") for n in range(10)}) > 5
    assert attempts.delay(3, 7.0, "run") == timedelta(seconds=7)


def test_a_budget_of_the_day_waits_for_the_next_one() -> None:
    assert attempts.next_of("budget", "said", 3600, [], NOW, "run").at == NOW + timedelta(hours=1)


def test_a_task_rests_until_its_retry_unless_a_person_speaks() -> None:
    later = NOW + timedelta(minutes=5)
    assert attempts.resting([TICK, failed("provider", retry_at=later)], NOW) == later
    assert attempts.resting([failed("provider", retry_at=later)], later) is None
    assert attempts.resting([PERSON, failed("provider", retry_at=later)], NOW) is None


def test_history_tells_what_runs_cost(working: Scratch) -> None:
    trailers = [("Run", "r1"), ("Run-Task", "TASK-002-the-work"), ("Runner", "llm"), ("Model", "m"), ("Tokens", "1200"),
                ("Cost-USD", "0.25"), ("Failure", "provider"), ("Retry-At", "2026-02-02T10:31:00Z")]  # fmt: skip
    from agentos.store.transaction import transact

    store = working.store
    transact(store, lambda d: messages.add(d, "2", "It failed."), TECHNICAL, trailers=trailers)
    newest, by_hand = runs.of_task(store, store.board().task("2"))
    assert (newest.agent, newest.run, newest.tokens, newest.usd, newest.failure) == (
        "technical",
        "r1",
        1200,
        0.25,
        "provider",
    )
    assert newest.retry_at == NOW + timedelta(minutes=1)
    assert (by_hand.agent, by_hand.run) == ("", "")
    assert runs.since(store, NOW - timedelta(hours=1)) == [newest]
    assert runs.since(store, NOW + timedelta(hours=1)) == []


@pytest.mark.parametrize("how", ["by hand", "git mv", "edited too", "archived"])
def test_a_renamed_task_keeps_its_runs(working: Scratch, how: str) -> None:
    """Its budget and its tries are those of the task, whatever it is called; history alone knows."""
    trailers = [("Run", "r1"), ("Run-Task", "TASK-002-the-work"), ("Runner", "llm"), ("Cost-USD", "0.25"),
                ("Failure", "failed"), ("Retry-At", "2026-02-02T10:31:00Z")]  # fmt: skip
    from agentos.store.transaction import transact

    transact(working.store, lambda d: messages.add(d, "2", "It failed."), TECHNICAL, trailers=trailers)
    old, names = "TASK-002-the-work", ["TASK-002-the-job", "TASK-002-a-job"]
    for new in names[: 1 if how == "archived" else 2]:
        if how == "archived":
            working.act(lambda d: tasks.move(d, "2", "done", Resolution.CANCELLED))
            working.act(lambda d: tasks.archive(d, ["2"]))
            new = old
        elif how == "git mv":
            working.git("mv", f"board/tasks/{old}.md", f"board/tasks/{new}.md")
            working.git("commit", "-qm", "Renamed")
            working.act(lambda d: tasks.edit(d, "4", {"priority": 2}))
        else:
            file = working.root / f"board/tasks/{old}.md"
            text = file.read_text() + ("\nMore.\n" if how == "edited too" else "")
            file.unlink()
            working.write(f"board/tasks/{new}.md", text)
            working.act(lambda d: None)
        old = new
    shutil.rmtree(working.store.local)
    task = working.store.board().task("2")
    assert task.id == old and len(working.store.board().messages_of(old)) == 1
    found = runs.of_task(working.store, task, None)
    assert [(run.task, run.usd) for run in found if run.run] == [(old, 0.25)]
    assert attempts.tries("failed", found) == (1 if how in ("by hand", "git mv") else 0)
    assert (attempts.resting(found, NOW) is not None) == (attempts.tries("failed", found) == 1)
    cap = budget.Cap("usd_per_task", 0.2, task=old)
    settled = job.settled(
        working.store, [cap, budget.Cap("usd_per_day", 9, day="2026-02-02")], tuple(found), NOW
    )
    assert cap.spent(settled) == 0.25
    assert runs.of_task(working.store, task) == found


# Claims -------------------------------------------------------------------------------------------------


def claim(store: Any, **more: Any) -> Claim:
    fields = {
        "task": "TASK-002-the-work",
        "agent": "technical",
        "run": "r1",
        "expires": "2026-02-02T10:35:00Z",
    }
    made = Claim(**(fields | more))
    assert claims.take(store, made)
    return made


def test_a_claim_is_renewed_and_still_fences(working: Scratch) -> None:
    store = working.store
    mine = claim(store)
    longer = claims.renew(store, mine, NOW + timedelta(hours=1))
    assert [each.expires for each in store.claims()] == ["2026-02-02T11:30:00Z"]
    with pytest.raises(claims.Gone):
        claims.renew(store, mine, NOW)
    assert not claims.drop(store, replace(mine, run="r2"))
    working.act(lambda draft: claims.require(draft, mine))
    assert claims.drop(store, mine)
    for gone in (mine, longer):
        with pytest.raises(claims.Gone):
            working.act(lambda draft, gone=gone: claims.require(draft, gone))


def test_a_lease_keeps_a_claim_and_notices_when_it_is_gone(
    working: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentos.runtime.lease.LENGTH", timedelta(seconds=0.15))
    store = working.store
    mine = claim(store)
    with Lease(store, mine, NOW + timedelta(hours=1), lambda name: None) as lease:
        lease.check()
        claims.drop_any(store, mine.task)
        until = time.monotonic() + 5
        with pytest.raises(AgentOSError, match="is gone"):
            while time.monotonic() < until:
                lease.check()
                time.sleep(0.01)


def test_a_dead_process_is_known_by_start_and_boot_and_only_the_very_one_is_killed() -> None:
    here = socket.gethostname()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        own = Claim(
            "T", "a", "r", "2026", process.pid, here, liveness.started(process.pid), liveness.boot(), True
        )
        assert not liveness.is_dead(own, here)
        for other in (replace(own, started="1"), replace(own, boot="other")):
            assert liveness.is_dead(other, here) and not liveness.stop(other, here)
        for unsure in (replace(own, host="elsewhere"), replace(own, started=""), replace(own, boot="")):
            assert not liveness.is_dead(unsure, here) and not liveness.stop(unsure, here)
        assert not liveness.stop(replace(own, is_alone=False), here)
        assert process.poll() is None
        assert liveness.stop(own, here)
        assert process.wait(5) == -9
    assert liveness.is_dead(own, here)
    me = replace(own, pid=os.getpid(), started=liveness.started(os.getpid()))
    assert not liveness.is_dead(me, here) and not liveness.stop(me, here)

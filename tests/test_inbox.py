"""The inbox: what a reader should know is derived from the board and its history; only read marks are stored."""

import json
from typing import Any

from conftest import Cli, Scratch

from agentos.actions import messages, tasks
from agentos.model.activity import Actor
from agentos.store.transaction import transact

TECHNICAL = Actor("technical", is_agent=True)


def inbox(cli: Cli, *args: str) -> list[dict[str, Any]]:
    done = cli("inbox", *args, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def kinds(cli: Cli, *args: str) -> list[tuple[str, str, str]]:
    return [(notice["kind"], notice["who"], notice["text"]) for notice in inbox(cli, *args)]


def test_what_others_say_to_somebody_and_never_what_they_did_themselves(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login"), TECHNICAL)
    asked = scratch.act(lambda d: messages.add(d, "1", "Which page?", type="question")).value
    scratch.clock.forward(minutes=1)
    scratch.act(lambda d: messages.add(d, "1", "The first.", type="answer", reply_to=asked.id), TECHNICAL)
    scratch.clock.forward(minutes=1)
    scratch.act(lambda d: messages.add(d, "1", "Look, @ada-lovelace.\nMore."), TECHNICAL)
    scratch.act(lambda d: messages.add(d, "1", "A note to @ada-lovelace myself"))
    assert kinds(cli) == [
        ("mention", "technical", "Look, @ada-lovelace."), ("answer", "technical", "The first."),
    ]  # fmt: skip
    assert kinds(cli, "technical") == [("question", "ada-lovelace", "Which page?")]
    assert cli("inbox", "nobody").code == 3


def test_a_person_hears_when_agents_have_passed_a_task_that_only_a_person_may_let_in(
    scratch: Scratch, cli: Cli
) -> None:
    def say(verdict: str) -> None:
        trailers = [("Run", "r"), ("Run-Task", task.id), ("Verdict", verdict)]
        by = Actor("qa", is_agent=True)
        transact(scratch.store, lambda d: messages.note(d, task.id, verdict), by, trailers=trailers)

    task = scratch.act(lambda d: tasks.add(d, "Login", assignees=["technical"])).value
    scratch.act(lambda d: tasks.move(d, "1", "in_progress"), TECHNICAL)
    scratch.act(lambda d: tasks.move(d, "1", "review"), TECHNICAL)
    assert kinds(cli) == [], "an agent may review it first"
    say("approved")
    passed = [("review", "qa", "Login: passed; agentos review TASK-001, then approve")]
    assert kinds(cli) == passed and not any(who == "qa" for _, who, _ in kinds(cli, "technical"))
    say("seen")
    assert kinds(cli) == passed
    say("failed")
    assert kinds(cli) == []
    say("approved")
    scratch.act(lambda d: tasks.move(d, "1", "in_progress"), TECHNICAL)
    assert kinds(cli) == []
    scratch.act(lambda d: tasks.move(d, "1", "review"), TECHNICAL)
    assert kinds(cli) == [], "that was about what was handed in before"


def test_work_given_blocked_and_to_be_reviewed(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "Mine", assignees=["ada-lovelace"]), TECHNICAL)
    scratch.act(lambda d: tasks.add(d, "Own", assignees=["ada-lovelace"]))
    scratch.act(lambda d: tasks.add(d, "Theirs", assignees=["technical"]))
    assert kinds(cli) == [("assigned", "technical", "Mine")]
    assert kinds(cli, "technical") == [("assigned", "ada-lovelace", "Theirs")]
    scratch.act(lambda d: tasks.block(d, "3", "No key"), TECHNICAL)
    assert ("blocked", "technical", "Theirs: No key; then agentos task unblock TASK-003") in kinds(cli)
    scratch.act(lambda d: tasks.unblock(d, "3"))
    scratch.act(lambda d: tasks.move(d, "3", "in_progress"))
    scratch.act(lambda d: tasks.move(d, "3", "review"), TECHNICAL)
    reviewer = [
        name for name in ("qa", "orchestrator") if ("review", "technical", "Theirs") in kinds(cli, name)
    ]
    assert reviewer == ["qa"]
    assert "Theirs" not in str(kinds(cli))
    cli("agent", "pause", "qa")
    assert ("review", "technical", "Theirs") in kinds(cli)


def test_reading_marks_in_one_file_of_the_reader(scratch: Scratch, cli: Cli) -> None:
    for title in ("One", "Two", "Three"):
        scratch.act(lambda d, t=title: tasks.add(d, t, assignees=["ada-lovelace"]), TECHNICAL)
    first = inbox(cli)[0]["id"]
    done = cli("inbox", "read", first)
    assert done.code == 0 and "read 1 notice " in done.err
    assert len(inbox(cli)) == 2 and [n["read"] for n in inbox(cli, "--all")].count(True) == 1
    assert "read 2 notices" in cli("inbox", "read").err
    assert inbox(cli) == [] and len(inbox(cli, "--all")) == 3
    assert cli("inbox", "read").err == "Nothing changed.\n"
    assert cli("inbox", "read", "no-such").code == 3
    assert scratch.git("ls-files", "board/inbox") == "board/inbox/ada-lovelace.md\n"
    assert "read_until: 2026-02-02T10:30:00Z" in scratch.read("board/inbox/ada-lovelace.md")
    assert scratch.git("log", "-1", "--format=%s") == "read 2 notices\n"
    scratch.act(lambda d: tasks.add(d, "In the same second", assignees=["ada-lovelace"]), TECHNICAL)
    assert [text for _, _, text in kinds(cli)] == ["In the same second"]
    assert cli("doctor").code == 0
    assert cli("render").out == scratch.read("WORKING.md")


def test_what_was_refused_on_the_page_is_in_the_persons_inbox(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda d: tasks.add(d, "One"), TECHNICAL)
    page = scratch.read("WORKING.md")
    wrong = page.replace("- [TASK-001] One", "- [TASK-001] @nobody - One")
    for _ in range(3):
        scratch.write("WORKING.md", wrong)
        scratch.act(lambda d: None, TECHNICAL)
        assert "@nobody" not in scratch.read("WORKING.md")
    [(kind, _, text)] = kinds(cli)
    assert kind == "refused" and "nobody is called nobody" in text
    log = scratch.git("log", "--format=%an: %s", "-2").splitlines()
    assert log == ["Ada Lovelace: WORKING.md: edits refused", "technical: TASK-001-one: created"]
    assert kinds(cli, "technical") == []
    both = page.replace("[TASK-001] One", "[TASK-001] One, better\n- [TASK-099] Ghost")
    scratch.write("WORKING.md", both)
    scratch.act(lambda d: None, TECHNICAL)
    assert scratch.store.board().task("1").title == "One, better"
    assert "TASK-099 is no task" in kinds(cli)[0][2]
    assert cli("render").out == scratch.read("WORKING.md")
    assert scratch.git("status", "--porcelain") == ""
    assert cli("inbox", "read").code == 0 and kinds(cli) == []


def test_a_budget_that_is_nearly_used_is_in_every_persons_inbox(scratch: Scratch, cli: Cli) -> None:
    marks = [("Run-Task", "TASK-001-one"), ("Event", "budget.near technical")]
    marks.append(("Budget", "usd_per_day of technical ($0.50)"))
    transact(scratch.store, lambda d: tasks.add(d, "One"), TECHNICAL, trailers=marks)
    assert "reached 80 % of the budget of technical" in scratch.read("WORKING.md")
    assert kinds(cli) == [("budget", "technical", "80 % is used: usd_per_day of technical ($0.50)")]
    assert kinds(cli, "qa") == []
    assert cli("inbox", "read").code == 0 and kinds(cli) == []


def test_what_only_agents_are_concerned_with_and_stuck_at_is_in_every_persons_inbox(
    scratch: Scratch, cli: Cli
) -> None:
    scratch.act(lambda d: tasks.add(d, "Theirs", assignees=["qa"]), TECHNICAL)
    scratch.act(lambda d: tasks.block(d, "1", "No key"), Actor("qa", is_agent=True))
    assert kinds(cli) == [("blocked", "qa", "Theirs: No key; then agentos task unblock TASK-001")]
    scratch.act(
        lambda d: tasks.block(d, "1", "waits for an answer from technical"), Actor("qa", is_agent=True)
    )
    assert kinds(cli) == [], "an agent is asked"
    scratch.act(lambda d: tasks.add(d, "Mine", assignees=["qa"]))
    scratch.act(lambda d: tasks.block(d, "2", "No key"))
    assert kinds(cli) == [], "I did it myself"


def test_a_need_that_nobody_meets_is_in_every_persons_inbox_with_what_to_do(
    scratch: Scratch, cli: Cli
) -> None:
    scratch.act(lambda d: tasks.add(d, "Sing", needs=["a singer"]), TECHNICAL)
    wanted = "Nobody who can run does a-singer: agentos agent add NAME --capability a-singer"
    assert kinds(cli) == [("unmet", "", wanted)] and kinds(cli, "qa") == []
    cli("inbox", "read")
    assert kinds(cli) == []
    scratch.clock.forward(minutes=1)
    cli("agent", "add", "bard", "--capability", "a singer", "--runner", "simulated")
    assert inbox(cli, "--all") == []
    scratch.clock.forward(minutes=1)
    cli("agent", "remove", "bard")
    assert kinds(cli) == [("unmet", "", wanted)], "it came back"

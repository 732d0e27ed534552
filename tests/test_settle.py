"""What a merge left unsettled is listed with the command that settles it, and that command settles it."""

import json

import pytest
from conftest import Cli, Scratch

from agentos.actions import tasks
from agentos.cli import context
from agentos.model import conflicts, merge
from agentos.store import merging

PATH = "board/tasks/TASK-001-add-a-login.md"
AGENT = "agents/technical.md"


def clash(scratch: Scratch, path: str, ours: tuple[tuple[str, str], ...], theirs: tuple[str, ...]) -> str:
    """A real `git merge` of two branches that changed the same words of a record; gives the file."""
    scratch.git("switch", "-qc", "side")
    base = scratch.read(path)
    for side in (1, 0):
        text = base
        for (word, mine), other in zip(ours, theirs, strict=True):
            assert word in text
            text = text.replace(word, (mine, other)[side])
        scratch.write(path, text)
        scratch.git("commit", "-qam", "theirs" if side else "ours")
        if side:
            scratch.git("switch", "-q", "main")
    scratch.git("merge", "-q", "side")
    return scratch.read(path)


def a_task(scratch: Scratch) -> None:
    scratch.act(lambda d: tasks.add(d, "Add a login", body="First\n\nSecond\n\nThird", criteria=["one"]))


BOTH = (
    (("priority: 3", "priority: 1"), ("Second", "Second, mine\nand more")),
    ("priority: 2", "Second, theirs"),
)


def test_a_conflict_is_listed_and_settled_by_the_command_that_is_named(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    clash(scratch, PATH, *BOTH)
    told = cli("doctor")
    listed = told.out.splitlines()
    assert told.code == 4 and len(listed) == 2
    for line in listed:
        command = line.partition("; agentos ")[2].removesuffix(" --ours (or --theirs)").split()
        assert cli(*command, "--theirs").code == 0
    text = scratch.read(PATH)
    assert "priority: 2\n" in text and "Second, theirs\n\nThird" in text
    assert "conflict" not in text and "mine" not in text
    assert cli("doctor").code == 0
    assert scratch.git("status", "--porcelain") == ""


def test_settling_everything_our_way_leaves_what_we_had(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    clash(scratch, PATH, *BOTH)
    assert cli("settle", "1", "--ours").code == 0
    mine = scratch.git("log", "-1", "--format=%H", "--grep=^ours$").strip()
    assert scratch.read(PATH) == scratch.git("show", f"{mine}:{PATH}")


def test_conflicts_stand_among_the_problems_of_working_md(scratch: Scratch) -> None:
    a_task(scratch)
    clash(scratch, PATH, *BOTH)
    scratch.act(lambda d: None)
    problems = scratch.read("WORKING.md").partition("## Problems")[2]
    assert "agentos settle TASK-001-add-a-login priority --ours" in problems
    assert "a merge left the text unsettled" in problems


def test_an_agent_and_its_inner_fields_are_settled_too(scratch: Scratch, cli: Cli) -> None:
    words = (("heartbeat: 15m", "heartbeat: 5m"), ("role: ", "role: My ")), ("heartbeat: 30m", "role: Their ")
    if "heartbeat" not in scratch.read(AGENT):
        scratch.write(AGENT, scratch.read(AGENT).replace("  role: ", "  heartbeat: 15m\n  role: "))
        scratch.act(lambda d: None)
    text = clash(scratch, AGENT, *words)
    assert "conflicts:" in text
    shown = json.loads(cli("settle", "technical", "--json").out)
    assert (shown[0]["name"], shown[0]["ours"], shown[0]["theirs"]) == ("agentos.heartbeat", "5m", "30m")
    assert cli("settle", AGENT, "agentos.heartbeat", "--theirs").code == 0
    assert cli("settle", "technical", "--ours").code == 0
    agent = scratch.store.board().agents["technical"].agentos
    assert agent.heartbeat == "30m" and agent.role.startswith("My ")
    assert "conflicts" not in scratch.read(AGENT)


def test_a_person_is_asked_on_a_terminal_and_never_without(
    scratch: Scratch, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_task(scratch)
    clash(scratch, PATH, *BOTH)
    assert cli("settle", "1").code == 2
    monkeypatch.setattr("sys.stdin", Typed("x\nt\nl\n"))
    assert cli("--no-input", "settle", "1").code == 2
    told = cli("settle", "1")
    assert told.code == 0 and "Second, theirs" in told.err
    assert "1 more to settle" in told.err
    assert scratch.store.board().task("1").priority == 2
    assert "Second, mine" in scratch.read(PATH)
    assert context.SESSION.no_input is False


class Typed:
    """A terminal at which somebody types this."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines(keepends=True)

    def isatty(self) -> bool:
        return True

    def readline(self, *_: object) -> str:
        return self.lines.pop(0)


def test_there_is_nothing_to_settle(scratch: Scratch, cli: Cli) -> None:
    a_task(scratch)
    assert cli("settle", "1", "--ours").code == 3
    assert cli("settle", "99", "--ours").code == 3
    clash(scratch, PATH, *BOTH)
    assert cli("settle", "1", "due", "--ours").code == 3
    assert cli("settle", "1", "--ours", "--theirs").code == 2


def test_inner_conflicts_are_kept_beside_inner_changes() -> None:
    base = {"agentos": {"role": "a", "heartbeat": "15m"}}
    ours = {"agentos": {"role": "b", "heartbeat": "15m"}}
    theirs = {"agentos": {"role": "c", "heartbeat": "5m"}}
    merged = merge.fields(base, ours, theirs)
    assert merged.changes == {"agentos": {"role": "b", "heartbeat": "5m"}}
    assert merged.conflicts == {"agentos": {"role": "c"}}


def test_a_second_conflict_of_a_field_does_not_replace_the_first() -> None:
    def task(priority: int, more: str = "") -> bytes:
        return f"---\ntitle: A\npriority: {priority}\n{more}---\n".encode()

    one = merging.files(PATH, task(3), task(1), task(2))
    two = merging.files(PATH, task(3), one, task(4))
    assert b"conflicts:\n  priority: 2\n  priority~2: 4\n" in two
    three = merging.files(
        PATH, task(3), task(1, "conflicts: {due: 2026-01-01}\n"), task(2, "conflicts: {x: 1}\n")
    )
    assert b"conflicts: {due: 2026-01-01, x: 1, priority: 2}\n" in three


def test_changed_against_removed_is_the_change() -> None:
    base, changed, removed = ({"due": "a"}, {"due": "b"}, {})
    assert merge.fields(base, changed, removed) == merge.Merged({}, {})
    assert merge.fields(base, removed, changed) == merge.Merged({"due": "b"}, {})


@pytest.mark.parametrize("theirs", [False, True])
@pytest.mark.parametrize(("mine", "other"), [("b\nB\n", "c\n"), ("", "c\n"), ("b\n", ""), ("~~~\n", "```\n")])
def test_a_texts_conflict_settles_to_either_side(mine: str, other: str, theirs: bool) -> None:
    for frame in ("top\n{}end\n", "```python\n{}```\nend\n"):
        base, ours, yours = (frame.format(x) for x in ("a\n", mine, other))
        text, is_conflict = merge.text(base, ours, yours)
        [found] = conflicts.clashes(text)
        assert is_conflict and mine in found.ours and other in found.theirs
        assert conflicts.settled_text(text, found, theirs) == (yours if theirs else ours)

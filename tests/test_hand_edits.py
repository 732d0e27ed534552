"""Hand edits: stale saves, returns, files renamed and saved again under old names, and commits that raced."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Cli, Scratch

from agentos.actions import messages, tasks
from agentos.model import stale
from agentos.model.activity import Actor
from agentos.model.stale import Text
from agentos.store import claims, exchange
from agentos.store.refs import Claim

TECHNICAL = Actor("technical", is_agent=True)
LOGIN = "board/tasks/TASK-001-add-a-login.md"
BODY = "Words.\n\n## Acceptance criteria\n\n- [ ] one\n- [ ] two\n"


@pytest.fixture
def login(scratch: Scratch) -> Scratch:
    scratch.act(lambda d: tasks.add(d, "Add a login", body=BODY, priority=3))
    return scratch


def agent_moves_on(scratch: Scratch) -> None:
    """Three things change after the person has opened the file."""
    scratch.act(lambda d: tasks.assign(d, "1", ["technical"]), TECHNICAL)
    scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1, "estimate": "3d"}), TECHNICAL)


def stderr_of(scratch: Scratch) -> list[str]:
    return list(scratch.act(lambda d: None).notes)


def test_a_stale_save_is_merged_into_what_happened_since(login: Scratch) -> None:
    opened = login.read(LOGIN)
    agent_moves_on(login)
    login.write(LOGIN, opened.replace("Words.", "Better words."))
    notes = stderr_of(login)
    task = login.store.board().task("1")
    assert (task.status, task.assignees, task.priority, task.estimate) == (
        "assigned",
        ("technical",),
        1,
        "3d",
    )
    assert "Better words." in login.read(LOGIN)
    commit = login.git("rev-parse", "HEAD")[:10]
    assert notes == [
        f"{LOGIN} was saved over its version of {login.git('rev-parse', 'HEAD~3')[:10]} and merged into the "
        f"newest; `agentos undo {commit}` takes that back."
    ]
    assert login.git("log", "-1", "--format=%an") == "Ada Lovelace\n"


def test_an_exact_earlier_version_is_a_deliberate_return(login: Scratch) -> None:
    opened = login.read(LOGIN)
    agent_moves_on(login)
    login.write(LOGIN, opened)
    notes = stderr_of(login)
    assert login.read(LOGIN) == opened
    assert login.store.board().task("1").priority == 3
    assert "taken as a return to it" in notes[0]


def test_changing_one_thing_back_is_an_edit_like_any_other(login: Scratch) -> None:
    agent_moves_on(login)
    login.write(LOGIN, login.read(LOGIN).replace("priority: 1", "priority: 3"))
    assert stderr_of(login) == []
    assert login.store.board().task("1").priority == 3


def test_who_has_seen_the_newest_version_may_turn_things_back(login: Scratch) -> None:
    """Two fields have earlier values, but the save also has what came with them."""
    agent_moves_on(login)
    login.act(lambda d: tasks.edit(d, "1", {"due": "2026-03-01", "title": "Add the login"}), TECHNICAL)
    mine = login.read(LOGIN).replace("priority: 1", "priority: 3").replace("estimate: 3d\n", "")
    login.write(LOGIN, mine.replace("Words.", "My words."))
    assert stderr_of(login) == []
    task = login.store.board().task("1")
    assert (task.priority, task.estimate, task.due) == (3, None, "2026-03-01")


@pytest.mark.parametrize(
    ("saved", "agreed"),
    [
        (Text({"a": 1, "b": 1, "c": 9}, "x\ny\nz\n"), 3),
        (Text({"a": 1, "b": 2, "c": 9}, "X\ny\nz\n"), 0),
        (Text({"a": 1, "b": 7, "c": 9}, "X\ny\nz\nmore\n"), 0),
        (Text({"a": 1, "b": 1}, "x\ny\nz\n"), 0),
        (Text({"a": 2, "b": 2, "c": 9}, "X\ny\nz\n"), 0),
        (Text({"a": 5, "b": 1, "c": 9}, "x\ny\nz\n"), 2),
    ],
    ids=["all old", "half and half", "one alone", "exactly old", "all new", "one edited again"],
)
def test_agreement_counts_fields_and_hunks(saved: Text, agreed: int) -> None:
    head, earlier = Text({"a": 2, "b": 2}, "X\ny\nz\n"), Text({"a": 1, "b": 1}, "x\ny\nz\n")
    assert stale.agreement(saved, head, earlier) == agreed


def test_an_insertion_and_a_deletion_are_hunks_too() -> None:
    earlier, head = Text({}, "a\nb\nc\n"), Text({}, "a\nnew\nb\n")
    assert stale.agreement(Text({}, "a\nb\nc\nmine\n"), head, earlier) == 2
    assert stale.agreement(Text({}, "mine\na\nnew\nb\n"), head, earlier) == 0


# Renames ------------------------------------------------------------------------------------------------


@pytest.fixture
def family(login: Scratch) -> Scratch:
    """A task with everything that can name it: a child, a dependent, a message with a file, a document."""
    login.act(lambda d: tasks.add(d, "A part", parent="1"))
    login.act(lambda d: tasks.add(d, "What follows", depends_on=["1"]))
    login.act(lambda d: messages.add(d, "1", "See this.", attach={"shot.png": b"\x89PNG\0"}))
    login.write("docs/notes.md", "---\ntype: research\ntitle: Notes\ntask: TASK-001-add-a-login\n---\n\nN.\n")
    login.act(lambda d: None)
    login.git("branch", "agentos/TASK-001-add-a-login")
    return login


def everything_follows(scratch: Scratch, name: str) -> None:
    board = scratch.store.board()
    assert board.task("2").parent == name
    assert board.task("3").depends_on == (name,)
    assert board.documents["docs/notes.md"].task == name
    (message,) = board.messages_of(name)
    (kept,) = message.attachments
    assert kept.startswith(f"board/attachments/{name}/")
    assert (scratch.root / kept).read_bytes() == b"\x89PNG\0"
    assert scratch.git("branch", "--list", "agentos/*").split() == [f"agentos/{name}"]
    assert board.problems == ()
    assert scratch.git("status", "--porcelain") == ""
    assert "TASK-001-add-a-login" not in scratch.git("ls-files")


def test_a_renamed_file_that_keeps_its_number_takes_everything_along(family: Scratch) -> None:
    (family.root / LOGIN).rename(family.root / "board/tasks/TASK-001-sign-in.md")
    before = family.git("rev-list", "--count", "HEAD")
    family.act(lambda d: None)
    everything_follows(family, "TASK-001-sign-in")
    assert int(family.git("rev-list", "--count", "HEAD")) == int(before) + 1
    assert family.git("log", "-1", "--format=%an: %s") == (
        "Ada Lovelace: TASK-001-sign-in: renamed from TASK-001-add-a-login, and what names it\n"
    )
    assert "Event: task.renamed TASK-001-sign-in" in family.git("log", "-1", "--format=%B")


@pytest.mark.parametrize("name", ["TASK-001-sign-in", "sign in"])
def test_a_renamed_file_that_cannot_be_read_yet_is_not_deleted(family: Scratch, name: str) -> None:
    file = family.root / f"board/tasks/{name}.md"
    text = family.read(LOGIN)
    (family.root / LOGIN).rename(file)
    file.write_text(text.replace("priority: 3", "priority: [3"))
    family.act(lambda d: None)
    assert "deleted" not in family.git("log", "-1", "--format=%s")
    file.write_text(text.replace("priority: 3", "priority: 2"))
    family.act(lambda d: None)
    everything_follows(family, "TASK-001-sign-in")
    assert family.store.board().task("1").priority == 2


def test_a_renamed_file_that_lost_its_number_keeps_it(family: Scratch) -> None:
    (family.root / LOGIN).rename(family.root / "board/tasks/sign in.md")
    family.act(lambda d: None)
    everything_follows(family, "TASK-001-sign-in")


def test_a_rename_with_plain_git_is_followed_by_the_next_transaction(family: Scratch) -> None:
    family.git("mv", LOGIN, "board/tasks/TASK-001-sign-in.md")
    family.git("commit", "-qm", "Another name")
    family.act(lambda d: None)
    everything_follows(family, "TASK-001-sign-in")
    said = family.git("log", "-1", "--format=%B")
    assert "Event: message.moved TASK-001-sign-in" in said
    assert "message.comment" not in said and "message.removed" not in said


def test_a_renamed_file_may_take_another_number(family: Scratch) -> None:
    (family.root / LOGIN).rename(family.root / "board/tasks/TASK-099-sign-in.md")
    family.act(lambda d: None)
    everything_follows(family, "TASK-099-sign-in")


def test_a_copy_is_a_task_of_its_own(family: Scratch) -> None:
    family.write("board/tasks/copy.md", family.read(LOGIN))
    family.act(lambda d: None)
    board = family.store.board()
    assert [name for name in board.tasks if "copy" in name or "001" in name] == ["TASK-001-add-a-login"]
    assert board.task("4").title == "Add a login"


def test_a_claim_follows_the_task_it_holds(family: Scratch) -> None:
    claim = Claim("TASK-001-add-a-login", "technical", "run-1", "2026-02-03T00:00:00Z")
    assert claims.take(family.store, claim)
    (family.root / LOGIN).rename(family.root / "board/tasks/TASK-001-sign-in.md")

    def settle(draft: object) -> str:
        name = claims.require(draft, claim)  # type: ignore[arg-type]
        draft.release(name)  # type: ignore[attr-defined]
        return name

    assert family.act(settle, TECHNICAL).value == "TASK-001-sign-in"
    assert dict(family.store.refs().claims) == {}


def test_a_branch_that_somebody_works_on_keeps_its_name(family: Scratch, tmp_path: Path) -> None:
    family.git("worktree", "add", "-q", str(tmp_path / "other"), "agentos/TASK-001-add-a-login")
    (family.root / LOGIN).rename(family.root / "board/tasks/TASK-001-sign-in.md")
    family.act(lambda d: None)
    assert family.git("branch", "--list", "agentos/*").split() == ["+", "agentos/TASK-001-add-a-login"]


# Old names ----------------------------------------------------------------------------------------------


def test_an_editor_that_saves_a_numbered_file_under_its_old_name_edits_the_task(scratch: Scratch) -> None:
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nFirst words.\n")
    scratch.act(lambda d: None)
    scratch.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nFirst words.\nAnd more of them.\n")
    scratch.act(lambda d: None)
    task = scratch.store.board().task("1")
    assert list(scratch.store.board().tasks) == ["TASK-001-try-dark-mode"]
    assert task.priority == 1
    assert "And more of them." in scratch.read(task.path)
    assert not (scratch.root / "board/tasks/idea.md").exists()
    assert scratch.git("status", "--porcelain") == ""


def test_another_idea_under_the_same_plain_name_is_another_task(scratch: Scratch) -> None:
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nFirst words.\n")
    scratch.act(lambda d: None)
    scratch.write("board/tasks/idea.md", "# Sell tickets\n\nQuite another thing.\n")
    scratch.act(lambda d: None)
    assert list(scratch.store.board().tasks) == ["TASK-001-try-dark-mode", "TASK-002-sell-tickets"]


def test_after_a_day_the_old_name_is_forgotten(scratch: Scratch) -> None:
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nFirst words.\n")
    scratch.act(lambda d: None)
    scratch.clock.forward(hours=25)
    scratch.write("board/tasks/idea.md", "# Try dark mode\n\nFirst words.\nMore.\n")
    scratch.act(lambda d: None)
    assert len(scratch.store.board().tasks) == 2


def test_what_a_killed_process_left_of_the_names_is_taken_away(login: Scratch) -> None:
    left = login.store.local / "base" / "names.new"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"{")
    login.act(lambda d: None)
    assert not left.exists()


def test_an_editor_that_still_has_an_archived_file_open_edits_it_there(login: Scratch) -> None:
    login.act(lambda d: tasks.move(d, "1", "done"))
    opened = login.read(LOGIN)
    login.act(lambda d: tasks.archive(d, ["1"]))
    login.write(LOGIN, opened.replace("Words.", "Last words."))
    login.act(lambda d: None)
    task = login.store.board().task("1")
    assert task.is_archived
    assert "Last words." in login.read(task.path)
    assert not (login.root / LOGIN).exists()
    assert login.git("status", "--porcelain") == ""


def test_another_task_saved_under_an_archived_name_waits(login: Scratch) -> None:
    login.act(lambda d: tasks.move(d, "1", "done"))
    login.act(lambda d: tasks.archive(d, ["1"]))
    other = "---\ntitle: Another\npriority: 1\nlabels: [x]\nestimate: 2d\n---\n\nQuite\nother\nwords\n"
    login.write(LOGIN, other)
    login.act(lambda d: None)
    assert login.git("status", "--porcelain") == f"?? {LOGIN}\n"
    assert login.read(LOGIN) == other


# Commits that raced -------------------------------------------------------------------------------------


def race(scratch: Scratch, message: str = "Mine") -> None:
    """What git's commit does when it has read its index before our commit: it writes the old entries."""
    moment = str(int(scratch.clock.now.timestamp()) + 1)
    env = os.environ | {"GIT_COMMITTER_DATE": f"{moment} +0000"}
    scratch.git("read-tree", "HEAD~1")
    subprocess.run(["git", "commit", "-qm", message, "--allow-empty"], cwd=scratch.root, env=env, check=True)


def test_a_settle_that_a_racing_commit_turned_back_stands_again(login: Scratch) -> None:
    login.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    race(login)
    assert "priority: 3" in login.git("show", f"HEAD:{LOGIN}")
    notes = stderr_of(login)
    assert login.store.board().task("1").priority == 1
    assert login.git("log", "-1", "--format=%an: %s") == (
        "technical: TASK-001-add-a-login: priority 3 → 1 (again)\n"
    )
    healed = login.git("log", "-1", "--format=%(trailers:key=Heals,valueonly)").strip()
    assert healed == login.git("rev-parse", "HEAD~2").strip()
    assert "it stands again" in notes[0]
    assert login.git("status", "--porcelain") == ""


def test_what_a_person_had_settled_stands_again_in_their_name(login: Scratch) -> None:
    login.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    race(login)
    login.act(lambda d: None)
    said = login.git("log", "-1", "--format=%an <%ae>: %s")
    assert said == "Ada Lovelace <ada@example.com>: TASK-001-add-a-login: priority 3 → 1 (again)\n"


def test_a_created_task_that_a_racing_commit_removed_stands_again(login: Scratch) -> None:
    login.act(lambda d: tasks.add(d, "Another"), TECHNICAL)
    race(login)
    login.act(lambda d: None)
    assert len(login.store.board().tasks) == 2
    assert login.git("log", "-1", "--format=%an") == "technical\n"
    assert login.git("status", "--porcelain") == ""


def test_what_a_person_turns_back_on_purpose_stays_so(login: Scratch) -> None:
    login.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    moment = str(int(login.clock.now.timestamp()) + 1)
    env = os.environ | {"GIT_COMMITTER_DATE": f"{moment} +0000"}
    login.write(LOGIN, login.read(LOGIN).replace("priority: 1", "priority: 3"))
    subprocess.run(["git", "commit", "-qam", "No"], cwd=login.root, env=env, check=True)
    login.act(lambda d: None)
    assert login.store.board().task("1").priority == 3


def test_a_git_revert_is_no_accident(login: Scratch) -> None:
    login.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    moment = str(int(login.clock.now.timestamp()) + 1)
    env = os.environ | {"GIT_COMMITTER_DATE": f"{moment} +0000"}
    subprocess.run(["git", "revert", "--no-edit", "HEAD"], cwd=login.root, env=env, check=True, stdout=-3)
    login.act(lambda d: None)
    assert login.store.board().task("1").priority == 3


def test_a_commit_long_after_was_meant(login: Scratch) -> None:
    login.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
    login.clock.forward(minutes=5)
    race(login)
    login.act(lambda d: None)
    assert login.git("log", "-1", "--format=%an") == "Ada Lovelace\n"


# Files that are being written ---------------------------------------------------------------------------


def test_a_file_that_an_editor_has_open_for_writing_is_left_to_it(login: Scratch) -> None:
    """Truncated, and nothing written yet: however long that takes, nobody takes it for an empty task."""
    file = login.root / LOGIN
    text = file.read_text()
    with file.open("w") as editor:
        os.utime(file, (0, 0))
        login.act(lambda d: tasks.add(d, "Another"), TECHNICAL)
        login.act(lambda d: tasks.edit(d, "1", {"priority": 1}), TECHNICAL)
        assert login.git("log", "-1", "--format=%an") == "technical\n"
        editor.write(text + "More.\n")
    login.act(lambda d: None)
    assert login.read(LOGIN).endswith("More.\n")
    assert login.store.board().task("1").priority == 1
    assert login.git("status", "--porcelain") == ""


def test_a_tick_can_be_told_to_leave_fresh_edits_alone(login: Scratch, cli: Cli) -> None:
    assert cli("tick", "--settle", "soon").code == 2
    cli("agent", "pause", "technical")
    files = {
        LOGIN: ("priority: 3", "priority: 1"),
        "WORKING.md": ("### REVIEW\n", "### REVIEW\n- Something new\n"),
    }
    for path, (old, new) in files.items():
        login.write(path, login.read(path).replace(old, new))
    cli("tick", "--settle", "1h")
    assert "Something new" in login.read("WORKING.md")
    assert login.store.board("HEAD").task("1").priority == 3
    for path in files:
        os.utime(login.root / path, (0, 0))
    cli("tick", "--settle", "1h")
    board = login.store.board("HEAD")
    assert (board.task("1").priority, board.task("2").title) == (1, "Something new")


def test_a_file_opened_for_writing_is_not_exchanged(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with file.open("ab"):
        for wanted in (b"new", None):
            with pytest.raises(exchange.Surprise):
                exchange.put(file, b"old", wanted)
    assert file.read_bytes() == b"old"
    exchange.put(file, b"old", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_bytes() == b"new"


def test_a_file_that_a_person_makes_a_folder_of_is_one(scratch: Scratch) -> None:
    """And the other way round; what an agent writes there is refused, as what is there would be gone."""
    page = "---\ntitle: X\ntype: research\n---\nWords.\n"
    scratch.write("docs/team", "A file.\n")
    scratch.write("docs/notes.md/keep.txt", "In a folder.\n")
    scratch.git("add", "docs")
    scratch.git("commit", "-qm", "Files")
    (scratch.root / "docs/team").unlink()
    shutil.rmtree(scratch.root / "docs/notes.md")
    scratch.write("docs/team/x.md", page)
    scratch.write("docs/notes.md", page)
    scratch.act(lambda d: tasks.add(d, "One"))
    assert set(scratch.store.board().documents) >= {"docs/team/x.md", "docs/notes.md"}
    assert scratch.git("status", "--porcelain") == ""


def test_a_pipe_in_the_place_of_the_page_is_not_waited_for(scratch: Scratch) -> None:
    (scratch.root / "WORKING.md").unlink()
    os.mkfifo(scratch.root / "WORKING.md")
    done = scratch.act(lambda d: tasks.add(d, "One"))
    assert done.commit and "was left as it is" in done.notes[0]
    with pytest.raises(exchange.Surprise):
        exchange.read(scratch.root / "WORKING.md")

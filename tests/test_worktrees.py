"""Where a board can live: branches, worktrees, folders, and what people do with git between two ticks."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Cli, Scratch

from agentos.actions import tasks

FIRST = "board/tasks/TASK-001-one.md"
DOCUMENT = "---\ntitle: Theirs\ntype: research\n---\n\nwords\n"


@pytest.fixture
def one(scratch: Scratch) -> Scratch:
    """A board with one task that no agent takes."""
    scratch.act(lambda draft: tasks.add(draft, "One", needs=["a-person"]))
    return scratch


def edit(here: Scratch, old: str, new: str, path: str = FIRST) -> None:
    """A person's edit."""
    text = here.read(path)
    assert old in text
    save(here, path, text.replace(old, new))


def save(here: Scratch, path: str, text: str) -> None:
    """A person's save, a minute ago: a tick does not wait for it to settle."""
    file = here.write(path, text)
    os.utime(file, (time.time() - 60, time.time() - 60))


def head(here: Scratch, branch: str = "main") -> str:
    return here.git("rev-parse", branch).strip()


def titles(here: Scratch) -> list[str]:
    return [task.title for task in here.store.board().tasks.values()]


def status(here: Scratch) -> str:
    return here.git("status", "--porcelain")


def worktree(here: Scratch, name: str, *args: str) -> Scratch:
    """Another worktree of the repository."""
    place = here.root.parent / name
    here.git("worktree", "add", "-q", str(place), *args)
    return Scratch(place, here.clock)


# One branch, whichever checkout -------------------------------------------------------------------------


def test_the_board_is_written_in_the_worktree_that_has_its_branch(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "-b", "feature")
    home = worktree(one, "home", "main")
    for place in (one, home):
        assert cli("task", "add", f"From {place.root.name}", cwd=place.root).code == 0
    assert titles(one) == titles(home) == ["One", "From repo", "From home"]
    assert (home.root / "board/tasks/TASK-002-from-repo.md").is_file()
    assert not (one.root / "board/tasks/TASK-002-from-repo.md").exists()
    assert status(one) == status(home) == ""
    assert "[TASK-003]" in home.read("WORKING.md")
    assert "[TASK-003]" not in one.read("WORKING.md")


def test_hand_edits_are_seen_only_where_the_branch_is_checked_out(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "-b", "feature")
    home = worktree(one, "home", "main")
    edit(one, "title: One", "title: Elsewhere")
    edit(home, "title: One", "title: Mine")
    assert titles(one) == titles(home) == ["Mine"]
    assert cli("task", "show", "1", cwd=one.root).out.startswith("TASK-001-one: Mine")
    assert cli("task", "add", "Two", cwd=one.root).code == 0
    assert one.git("log", "-2", "--format=%s", "main").splitlines()[1] == "TASK-001-one: title"
    assert "title: Elsewhere" in one.read(FIRST)
    assert status(home) == ""
    assert status(one) == f" M {FIRST}\n"


def test_where_the_branch_is_checked_out_nowhere_the_ref_alone_moves(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "-b", "feature")
    edit(one, "title: One", "title: Elsewhere")
    index = one.git("ls-files", "-s")
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    assert titles(one) == ["One", "Two"]
    assert one.git("ls-files", "-s") == index
    assert status(one) == f" M {FIRST}\n"
    assert not (one.root / "board/tasks/TASK-002-two.md").exists()
    assert "checked out nowhere" in cli("doctor").err
    one.git("checkout", "-q", FIRST)
    one.git("checkout", "-q", "main")
    assert status(one) == ""
    assert (one.root / "board/tasks/TASK-002-two.md").is_file()


def test_a_checkout_without_the_board_deletes_nothing(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "--orphan", "site")
    one.git("rm", "-rqf", ".")
    one.write("index.html", "hello\n")
    one.git("add", ".")
    one.git("commit", "-qm", "site")
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    assert titles(one) == ["One", "Two"]
    one.git("checkout", "-q", "main")
    assert cli("tick").code == 0
    assert titles(one) == ["One", "Two"]
    assert status(one) == ""


def test_a_detached_head_is_no_obstacle_where_the_branch_is_known(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "--detach", "HEAD~1")
    assert cli("task", "add", "Two").out == "TASK-002-two\n"
    assert titles(one) == ["One", "Two"]
    assert status(one) == ""


def test_a_worktree_that_was_simply_deleted_is_no_worktree(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "-b", "feature")
    home = worktree(one, "home", "main")
    shutil.rmtree(home.root)
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    assert titles(one) == ["One", "Two"]


def test_worktrees_of_a_bare_repository_work(one: Scratch, cli: Cli, tmp_path: Path) -> None:
    one.git("clone", "-q", "--bare", str(one.root), str(tmp_path / "bare.git"))
    bare = Scratch(tmp_path / "bare.git", one.clock)
    home = worktree(bare, "home", "main")
    assert cli("init", cwd=home.root).code == 0
    assert cli("task", "add", "Two", cwd=home.root).code == 0
    edit(home, "title: One", "title: Mine")
    assert cli("tick", cwd=home.root).code == 0
    assert titles(home) == ["Mine", "Two"]
    assert status(home) == ""


def test_switching_branches_between_commands_is_followed(one: Scratch, cli: Cli) -> None:
    one.git("checkout", "-q", "-b", "feature")
    cli("task", "add", "Two")
    one.git("checkout", "-q", "main")
    edit(one, "title: One", "title: Mine")
    cli("task", "add", "Three")
    one.git("checkout", "-q", "feature")
    cli("task", "add", "Four")
    one.git("checkout", "-q", "main")
    assert titles(one) == ["Mine", "Two", "Three", "Four"]
    assert status(one) == ""
    assert len(one.git("log", "--format=%h", "main").splitlines()) == 6


# Below the top ------------------------------------------------------------------------------------------


@pytest.fixture
def below(scratch: Scratch, cli: Cli, tmp_path: Path) -> Scratch:
    """A board in the folder `team` of a repository that has other things at its top."""
    top = tmp_path / "top"
    top.mkdir()
    here = Scratch(top, scratch.clock)
    here.git("init", "-q", "-b", "main")
    here.write("docs/theirs.md", DOCUMENT)
    here.write("agents/technical.md", "---\nname: technical\n---\n\nNot on the board.\n")
    here.git("add", ".")
    here.git("commit", "-qm", "code")
    assert cli("init", "team", "--runner", "simulated", cwd=top).code == 0
    return here


def test_a_board_below_the_top_is_all_there_is(below: Scratch, cli: Cli) -> None:
    team = Scratch(below.root / "team", below.clock)
    deep = below.root / "team" / "docs" / "deep"
    deep.mkdir()
    assert cli("task", "add", "One", cwd=deep).code == 0
    edit(team, "title: One", "title: Mine")
    save(team, "board/tasks/idea.md", "# Dropped in\n")
    below.write("docs/theirs.md", DOCUMENT + "more\n")
    below.write("plan.md", "- Imported\n")
    assert cli("import", "../plan.md", cwd=team.root).code == 0
    assert sorted(titles(team)) == ["Dropped in", "Imported", "Mine"]
    assert "](../../../plan.md#L1-L1)" in team.read("board/tasks/TASK-003-imported.md")
    assert sorted(agent.path for agent in team.store.board().agents.values()) == [
        "agents/orchestrator.md", "agents/qa.md", "agents/technical.md",
    ]  # fmt: skip
    assert [document.path for document in team.store.board().documents.values()] == ["docs/team.md"]
    for _ in range(6):
        assert cli("tick", cwd=team.root).code == 0
        below.clock.forward(minutes=20)
    assert cli("task", "archive", "--done", cwd=team.root).code == 0
    assert cli("doctor", cwd=team.root).code == 0
    assert status(below) == " M docs/theirs.md\n?? plan.md\n"
    assert (below.root / "team/WORKING.md").is_file() and not (below.root / "WORKING.md").exists()
    assert cli("log", "2", cwd=team.root).out


# While git is in the middle of something ----------------------------------------------------------------


def conflicting(here: Scratch) -> None:
    """Two branches that changed one file: `git rebase other` on main stops half-way."""
    here.git("checkout", "-q", "-b", "other")
    here.write("code.txt", "theirs\n")
    here.git("add", ".")
    here.git("commit", "-qm", "theirs")
    here.git("checkout", "-q", "main")
    here.write("code.txt", "ours\n")
    here.git("add", ".")
    here.git("commit", "-qm", "ours")


@pytest.mark.parametrize("command", ["rebase", "merge", "cherry-pick", "bisect"])
def test_nothing_is_committed_while_git_is_in_the_middle_of_something(
    one: Scratch, cli: Cli, command: str
) -> None:
    conflicting(one)
    if command == "bisect":
        one.git("commit", "-q", "--allow-empty", "-m", "more")
        one.git("bisect", "start", "HEAD", "HEAD~3")
        assert one.git("branch", "--show-current") == ""
    else:
        one.git(command, "other", check=False)
    refs, text = one.git("for-each-ref"), one.read("WORKING.md")
    done = cli("task", "add", "Two")
    assert done.code == 5, done.err
    assert command in done.err
    for _ in range(2):
        done = cli("tick")
        assert (done.code, done.out) == (0, "")
        assert command in done.err
    assert cli("task", "list").out.startswith("TASK-001-one")
    assert (one.git("for-each-ref"), one.read("WORKING.md")) == (refs, text)
    assert command in cli("doctor").err


def test_a_rebase_of_the_boards_branch_ends_as_the_person_means_it(one: Scratch, cli: Cli) -> None:
    conflicting(one)
    one.git("rebase", "other", check=False)
    cli("task", "add", "Two")
    cli("tick")
    one.write("code.txt", "both\n")
    one.git("add", "code.txt")
    one.git("-c", "core.editor=true", "rebase", "--continue")
    assert one.git("log", "-2", "--format=%s").splitlines() == ["ours", "theirs"]
    assert cli("task", "add", "Three").out == "TASK-002-three\n"
    assert one.read("code.txt") == "both\n"
    assert status(one) == ""


def test_a_rebase_of_another_branch_elsewhere_stops_nobody(one: Scratch, cli: Cli) -> None:
    conflicting(one)
    elsewhere = worktree(one, "elsewhere", "other")
    elsewhere.git("rebase", "main", check=False)
    assert cli("task", "add", "Two").code == 0
    assert cli("task", "add", "Three", cwd=elsewhere.root).code == 0
    assert titles(one) == ["One", "Two", "Three"]
    assert status(one) == ""


# What people do with git between two ticks --------------------------------------------------------------


def test_a_merge_of_a_feature_branch_between_ticks_reverts_nothing(one: Scratch, cli: Cli) -> None:
    one.act(lambda draft: tasks.add(draft, "Work", needs=["technical"]))
    one.git("checkout", "-q", "-b", "feature")
    one.write("src/code.py", "print(1)\n")
    one.git("add", ".")
    one.git("commit", "-qm", "code")
    one.git("checkout", "-q", "main")
    seen = []
    for step in range(8):
        if step in (2, 4):
            one.write(f"src/more{step}.py", "x\n")
            one.git("add", ".")
            one.git("commit", "-qm", f"more {step}")
            one.git("merge", "-q", "--no-ff", "--no-edit", "feature")
        assert cli("tick").code == 0
        seen.append(str(one.store.board().task("2").status))
        one.clock.forward(minutes=20)
    assert seen == sorted(seen, key=["inbox", "assigned", "in_progress", "review", "done"].index)
    assert seen[-1] == "done"
    assert (one.root / "src/code.py").is_file()
    assert status(one) == ""
    assert "completed TASK-002" in cli("log").out
    assert one.git("fsck", "--no-dangling") == ""


def test_a_plain_commit_of_record_edits_renders_the_page_once(one: Scratch, cli: Cli) -> None:
    edit(one, "title: One", "title: Mine")
    one.git("commit", "-qam", "by hand")
    by_hand = head(one)
    assert cli("tick").code == 0
    assert one.git("log", "-1", "--format=%s %p").split()[-1] == by_hand[:7]
    assert one.git("show", "--name-only", "--format=", "HEAD") == "WORKING.md\n"
    assert "[TASK-001] Mine" in one.read("WORKING.md")
    rendered = head(one)
    for _ in range(3):
        one.clock.forward(minutes=20)
        assert cli("tick").code == 0
    assert head(one) == rendered
    assert status(one) == ""


def test_what_follows_from_a_plain_commit_follows(one: Scratch, cli: Cli) -> None:
    """A hand edit and a commit of the same edit can't mean different things."""
    one.act(lambda draft: tasks.add(draft, "Kid", parent="1"))
    one.act(lambda draft: tasks.add(draft, "Given"))
    edit(one, "status: inbox", "status: done", "board/tasks/TASK-002-kid.md")
    edit(one, "status: inbox", "status: inbox\nassignees: [qa]", "board/tasks/TASK-003-given.md")
    one.git("commit", "-qam", "by hand")
    assert cli("tick").code == 0
    board = one.store.board()
    assert board.task("1").status in ("review", "done")
    assert board.task("2").resolution == "completed"
    assert board.task("3").status in ("assigned", "in_progress", "review")


def test_a_deleted_task_file_is_a_cancelled_task_and_its_messages_stay(one: Scratch, cli: Cli) -> None:
    cli("task", "add", "Two", "--depends", "1", "--need", "technical")
    cli("message", "add", "1", "hello")
    (one.root / FIRST).unlink()
    for _ in range(3):
        assert cli("tick").code == 0
        one.clock.forward(minutes=20)
    assert status(one) == ""
    assert FIRST not in now(one)
    assert any(path.startswith("board/messages/TASK-001-one/") for path in now(one))
    assert str(one.store.board().task("2").status) == "inbox"
    assert "TASK-001-one" in cli("task", "show", "2").out
    assert "deleted TASK-001" in cli("log").out
    assert cli("task", "add", "Three").out == "TASK-003-three\n"


def test_a_commit_that_a_person_throws_away_is_gone(one: Scratch, cli: Cli) -> None:
    cli("task", "add", "Two")
    one.git("reset", "-q", "--hard", "HEAD~1")
    assert titles(one) == ["One"]
    assert cli("task", "add", "Three").out == "TASK-002-three\n"
    assert cli("log", "--limit", "1").out.endswith("created TASK-002\n")
    one.git("revert", "--no-edit", "HEAD")
    assert cli("tick").code == 0
    assert titles(one) == ["One"]
    assert status(one) == ""


def test_what_git_ignores_or_the_person_staged_is_not_adopted(one: Scratch, cli: Cli) -> None:
    one.write(".gitignore", "docs/private/\n")
    one.git("add", ".gitignore")
    one.git("commit", "-qm", "ignore")
    save(one, "docs/private/x.md", DOCUMENT)
    save(one, "docs/staged.md", DOCUMENT)
    one.git("add", "docs/staged.md")
    assert cli("task", "add", "Two").code == 0
    assert "docs/private" not in one.git("ls-tree", "-r", "--name-only", "HEAD")
    assert "docs/staged.md" not in one.git("ls-tree", "-r", "--name-only", "HEAD")
    assert status(one) == "A  docs/staged.md\n"


def test_a_sparse_checkout_deletes_nothing(one: Scratch, cli: Cli) -> None:
    one.write("src/code.py", "x\n")
    one.git("add", ".")
    one.git("commit", "-qm", "code")
    one.git("sparse-checkout", "set", "board", "src")
    assert not (one.root / "docs").exists()
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    listed = one.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert {"docs/team.md", "agents/qa.md"} <= set(listed)
    assert status(one) == ""


def test_losing_what_is_local_to_the_clone_makes_no_commit(one: Scratch, cli: Cli, tmp_path: Path) -> None:
    """The page is a pure function of a commit, so a fresh clone renders the same one."""
    one.act(lambda draft: tasks.add(draft, "Work", needs=["technical"]))
    for _ in range(6):
        cli("tick")
        one.clock.forward(minutes=20)
    before = head(one)
    for lost in ("cache", "."):
        shutil.rmtree(one.root / ".git/agentos" / lost)
        assert cli("tick").code == 0
        assert head(one) == before, one.git("show", "HEAD")
        assert status(one) == ""
    one.git("clone", "-q", str(one.root), str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone", one.clock)
    assert cli("tick", cwd=clone.root).code == 0
    assert head(clone) == before


# Other kinds of repository ------------------------------------------------------------------------------


def test_a_sha256_repository_is_as_good(scratch: Scratch, cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "long"
    root.mkdir()
    here = Scratch(root, scratch.clock)
    here.git("init", "-q", "-b", "main", "--object-format=sha256")
    assert cli("init", "--runner", "simulated", cwd=root).code == 0
    assert cli("task", "add", "One", "--need", "technical", cwd=root).code == 0
    assert cli("task", "add", "Two", "--need", "a-person", cwd=root).code == 0
    for _ in range(6):
        assert cli("tick", cwd=root).code == 0
        scratch.clock.forward(minutes=20)
    assert str(here.store.board().task("1").status) == "done"
    archived = cli("task", "archive", "1", cwd=root)
    assert archived.code == 0, archived.err
    edit(here, "title: Two", "title: Mine", "board/tasks/TASK-002-two.md")
    assert cli("agent", "remove", "qa", cwd=root).code == 0
    (root / "docs/team.md").unlink()
    assert cli("tick", cwd=root).code == 0
    assert "docs/team.md" not in here.git("ls-tree", "-r", "--name-only", "HEAD")
    assert cli("render", "--at", "HEAD~3", cwd=root).code == 0
    assert status(here) == ""
    assert here.git("fsck", "--no-dangling") == ""


def library(place: Path) -> Path:
    """A repository of somebody else, with a file that looks like a record."""
    place.mkdir()
    here = Scratch(place, None)  # type: ignore[arg-type]
    here.git("init", "-q", "-b", "main")
    here.write("guide.md", DOCUMENT)
    here.git("add", ".")
    here.git("commit", "-qm", "theirs")
    return place


def test_a_submodule_stays_a_submodule(one: Scratch, cli: Cli, tmp_path: Path) -> None:
    source = library(tmp_path / "library")
    one.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(source), "docs/library")
    one.git("commit", "-qm", "submodule")
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    assert one.git("ls-tree", "HEAD", "docs/library").startswith("160000 commit")
    assert list(one.store.board().documents) == ["docs/team.md"]
    assert status(one) == ""


def test_somebody_elses_clone_in_a_folder_is_left_alone(one: Scratch, cli: Cli) -> None:
    library(one.root / "docs" / "library")
    before = status(one)
    assert cli("task", "add", "Two").code == 0
    assert cli("tick").code == 0
    assert "library" not in one.git("ls-tree", "-r", "--name-only", "HEAD")
    assert status(one) == before


@pytest.mark.parametrize("folder", ["board/tasks", "board/messages", "board", "agents", "docs"])
def test_a_folder_that_is_a_link_is_never_written_through(
    one: Scratch, cli: Cli, tmp_path: Path, folder: str
) -> None:
    cli("message", "add", "1", "hello")
    outside = tmp_path / "outside"
    shutil.move(one.root / folder, outside)
    (one.root / folder).symlink_to(outside)
    listed = one.git("ls-tree", "-r", "HEAD", "--", folder)
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    for args in (
        ["task", "add", "Two"],
        ["task", "edit", "1", "--priority", "1"],
        ["message", "add", "1", "there"],
        ["agent", "pause", "qa"],
        ["tick"],
    ):
        assert "Traceback" not in cli(*args).err
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before
    assert (one.root / folder).is_symlink()
    lost = [line for line in listed.splitlines() if line.split("\t")[1] not in now(one)]
    assert lost == []


def now(here: Scratch) -> list[str]:
    return here.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()


@pytest.mark.parametrize("folder", ["agents", "docs"])
def test_a_committed_link_to_a_folder_stays_one_and_stops_nothing(
    one: Scratch, cli: Cli, folder: str
) -> None:
    """People keep `agents` as a link to the folder that their coding tool reads."""
    one.git("mv", folder, "elsewhere")
    (one.root / folder).symlink_to("elsewhere")
    one.git("add", ".")
    one.git("commit", "-qm", "a link")
    assert cli("task", "add", "Two", "--need", "a-person").code == 0
    assert cli("tick").code == 0
    assert cli("doctor").code in (0, 4)
    assert one.git("ls-tree", "HEAD", folder).startswith("120000 blob")
    assert titles(one) == ["One", "Two"]
    assert status(one) == ""


def test_a_record_that_is_a_link_is_a_problem_and_its_target_is_safe(
    one: Scratch, cli: Cli, tmp_path: Path
) -> None:
    target = tmp_path / "secret.md"
    target.write_text("---\ntitle: Secret\n---\n")
    (one.root / "board/tasks/TASK-002-link.md").symlink_to(target)
    done = cli("doctor")
    assert done.code == 4
    assert "board/tasks/TASK-002-link.md:1: is a symbolic link" in done.out
    assert "Secret" not in cli("task", "list").out
    assert cli("task", "edit", "2", "--priority", "1").code == 4
    assert cli("task", "add", "Three").out == "TASK-003-three\n"
    assert target.read_text() == "---\ntitle: Secret\n---\n"
    assert "link" not in one.git("ls-tree", "-r", "--name-only", "HEAD")


# Committing is left to the person -----------------------------------------------------------------------


@pytest.fixture
def manual(one: Scratch) -> Scratch:
    """A board whose people commit for themselves."""
    one.act(lambda draft: tasks.add(draft, "Two", needs=["a-person"]))
    config = one.read("board/config.yml")
    one.write("board/config.yml", config + "adopt: false\n")
    one.git("commit", "-qam", "adopt: false")
    one.act(lambda draft: None)
    return one


def test_without_adoption_a_hand_edit_is_shown_and_left_for_the_person(manual: Scratch, cli: Cli) -> None:
    edit(manual, "title: One", "title: Mine")
    save(manual, "board/tasks/idea.md", "# An idea\n")
    assert cli("task", "edit", "2", "--priority", "1").code == 0
    assert cli("tick").code == 0
    assert status(manual) == f" M {FIRST}\n?? board/tasks/idea.md\n"
    assert "title: One" in manual.git("show", f"HEAD:{FIRST}")
    assert "Mine" in cli("task", "list").out
    manual.git("commit", "-qam", "mine")
    assert cli("tick").code == 0
    assert "[TASK-001] Mine" in manual.read("WORKING.md")
    assert manual.store.board().task("2").priority == 1


def test_without_adoption_a_command_and_a_hand_edit_of_one_task_both_survive(
    manual: Scratch, cli: Cli
) -> None:
    edit(manual, "title: One", "title: Mine")
    assert cli("task", "edit", "1", "--priority", "1").code in (0, 5)
    is_done = "priority: 1" in manual.git("show", f"HEAD:{FIRST}")
    manual.git("commit", "-qam", "mine")
    task = manual.store.board("HEAD").task("1")
    assert task.title == "Mine"
    assert task.priority == (1 if is_done else 3)


def test_the_committing_person_may_use_any_git_command(manual: Scratch) -> None:
    edit(manual, "title: One", "title: Mine")
    manual.act(lambda draft: tasks.edit(draft, "2", {"priority": 1}))
    for args in (
        ["stash", "-q"],
        ["stash", "pop", "-q"],
        ["add", "-A"],
        ["commit", "-qm", "mine"],
        ["gc", "-q"],
    ):
        subprocess.run(["git", *args], cwd=manual.root, check=True)
    assert manual.store.board("HEAD").task("1").title == "Mine"
    assert manual.store.board("HEAD").task("2").priority == 1

"""Review: what is shown, what an approval is for, and that nothing but the reviewed work gets in."""

import json
import os
import pty
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import Cli, Clock, Scratch

from agentos.actions import judgement, messages, tasks
from agentos.cli import patches
from agentos.errors import Refused
from agentos.model.activity import Actor
from agentos.model.rules import Assignment
from agentos.runtime import heartbeat, outbox, prompt, settle
from agentos.store import patch
from agentos.store.draft import Draft
from agentos.store.transaction import transact

TASK = "TASK-001-add-login"
BRANCH = f"agentos/{TASK}"
PAGE = f"board/tasks/{TASK}.md"


@cache
def made(template: Path) -> Path:
    """Some code, a task in review, and a clone beside it; made once, copied for each test."""
    base = template.parent / "work"
    shutil.copytree(template, base / "repo", symlinks=True)
    here = Scratch(base / "repo", Clock())
    here.write("src/a.txt", "".join(f"a{i}\n" for i in range(30)))
    here.write("Makefile", "all:\n\ttrue\n")
    here.git("add", "-A")
    here.git("commit", "-qm", "some code")

    def fill(draft: Draft) -> None:
        criteria = {"checks": ["pytest -q"], "criteria": ["It is plain"]}
        tasks.add(draft, "Add login", assignees=["technical"], **criteria)
        tasks.move(draft, "1", "review")

    here.act(fill)
    here.git("clone", "-q", ".", str(base / "there"))
    return base


class Work:
    """A board with some code, a task in review, and a clone in which its branch is made."""

    def __init__(self, scratch: Scratch, cli: Cli, template: Path) -> None:
        self.here = scratch
        self.cli = cli
        self.there = Scratch(scratch.root.with_name("there"), scratch.clock)
        shutil.rmtree(scratch.root)
        for each in (self.here, self.there):
            shutil.copytree(made(template) / each.root.name, each.root, symlinks=True)
        config = self.there.root / ".git/config"
        config.write_text(config.read_text().replace(str(made(template) / "repo"), str(scratch.root)))

    def branch(self) -> None:
        """The branch, grown anew from the board's as it is now."""
        self.there.git("fetch", "-q", "origin")
        self.there.git("reset", "-q", "--hard", "origin/main")

    def hand_in(self, **files: str | bytes | None) -> str:
        """Commit files in the clone and bring the branch here, as the runtime does; gives the commit."""
        for name, text in files.items():
            path = name.replace("__", "/").replace("_txt", ".txt")
            if text is None:
                (self.there.root / path).unlink()
            else:
                self.there.write(path, text)
        self.there.git("add", "-Af")
        base = self.there.git("merge-base", "HEAD", "origin/main").strip()
        said = f"work\n\nAgent: technical\nTask: {TASK}\nBase: {base}"
        self.there.git("-c", "user.name=technical", "commit", "-qm", said)
        self.here.git("fetch", "-q", str(self.there.root), f"+HEAD:refs/heads/{BRANCH}")
        return self.tip

    @property
    def tip(self) -> str:
        return self.here.git("rev-parse", BRANCH).strip()

    @property
    def status(self) -> str:
        return self.here.store.board().tasks[TASK].status

    @property
    def dirt(self) -> str:
        return self.here.git("status", "--porcelain", "-uall")


@pytest.fixture
def work(scratch: Scratch, cli: Cli, template: Path) -> Work:
    return Work(scratch, cli, template)


# Looking ------------------------------------------------------------------------------------------------


def test_the_list_and_the_work_are_shown(work: Work) -> None:
    commit = work.hand_in(src__b_txt="new\n", src__a_txt="a0\n")
    listed = work.cli("review")
    assert listed.out.split("\t") == [TASK, "technical", BRANCH, "+1 -29", "0/1", "", "Add login\n"]
    shown = work.cli("review", "1")
    assert f"branch       {BRANCH} at {commit[:9]}" in shown.out
    assert "  [ ] `pytest -q` passes" in shown.out and " src/a.txt |    29 ---" in shown.out
    assert "+++ b/src/b.txt" in shown.out and "\n-a29\n" in shown.out
    found = json.loads(work.cli("review", "1", "--json").out)
    assert (found["commit"], found["added"], found["removed"]) == (commit, 1, 29)
    assert found["criteria"][0]["check"] == "pytest -q" and "+new\n" in found["diff"]
    assert json.loads(work.cli("review", "--json").out)[0]["id"] == TASK
    work.here.act(lambda d: tasks.move(d, tasks.add(d, "Another").id, "review"))
    assert "1 more wait" in work.cli("review", "--limit", "1").err


def test_nothing_hides_from_a_review(work: Work) -> None:
    """Attributes, drivers, text conversion, settings and bytes that would drive a terminal."""
    git = work.here.git
    for key, value in (("textconv", "true"), ("command", "touch ran"), ("binary", "true")):
        git("config", f"diff.quiet.{key}", value)
    git("config", "diff.external", "touch ran")
    git("config", "diff.noprefix", "true")
    git("config", "diff.ignoreSubmodules", "all")
    work.here.write(".git/info/attributes", "* -diff\n*.txt diff=quiet\n")
    evil = "\x1b]0;gone\x07\x1b[2K\r+ nothing to see \u202ereversed\u2066\x9b31m\n".encode() + b"\xff\x00\n"
    (work.there.root / "link").symlink_to("../../etc")
    work.hand_in(**{".gitattributes": "* -diff linguist-generated\n", "src/x.bin": evil, "src/a.txt": "a0\n"})
    shown = work.cli("review", "1").out
    assert "+^[]0;gone^G^[[2K^M+ nothing to see <U+202E>reversed<U+2066><U+009B>31m\n+<FF>^@\n" in shown
    assert "--- a/src/a.txt" in shown and "+../../etc" in shown and "new file mode 120000" in shown
    assert "protected    .gitattributes" in shown
    assert all(c.isprintable() or c == "\n" or c == "\t" for c in shown)
    assert not (work.here.root / "ran").exists()


def test_names_of_files_can_not_forge_lines(work: Work) -> None:
    work.hand_in(**{"src/x\n+++ b\x1b[31m": "x\n"})
    shown = work.cli("review", "1").out
    assert "\x1b" not in shown and "\n+++ b^[" not in shown
    assert " src/x^J+++ b^[[31m |     1 + (new)\n" in shown


def test_moves_modes_and_links_are_said(work: Work) -> None:
    text = (work.there.root / "src/a.txt").read_text().replace("a3\n", "A3\r\n")
    (work.there.root / "run").symlink_to("src/a.txt")
    (work.there.root / "Makefile").chmod(0o755)
    work.hand_in(**{"src/a.txt": None, "CLAUDE.md": text, "src/x.bin": b"\x00\n" * 3})
    shown = work.cli("review", "1").out
    for line in (
        " CLAUDE.md |     2 +- (was src/a.txt)", " Makefile  |     0 (now executable)",
        " run       |     1 + (new link)", " src/x.bin |     3 +++ (binary, new)",
        "steers       CLAUDE.md", "rename from src/a.txt", "+A3^M", "old mode 100644",
    ):  # fmt: skip
        assert f"\n{line}\n" in shown, line
    assert "\n a20\n" not in shown, "only what is different in it"
    files = {file["path"]: file for file in json.loads(work.cli("review", "1", "--json").out)["files"]}
    assert (files["CLAUDE.md"]["was"], files["Makefile"]["mode"], files["run"]["old_mode"]) == (
        "src/a.txt", "100755", "000000",
    )  # fmt: skip
    work.there.git("mv", "CLAUDE.md", "plain.md")
    work.hand_in(**{".github/x.yml": "on: push\n"})
    work.here.git("merge", "-q", BRANCH)
    work.branch()
    work.there.git("mv", ".github/x.yml", "x.yml")
    work.hand_in()
    assert "protected    .github/x.yml" in work.cli("review", "1").out, "it would be gone from there"


def test_a_long_file_is_cut_and_wants_a_full_look(work: Work) -> None:
    work.hand_in(**{"src/a b.txt": "row\n" * 5000, "src/c.txt": "seen\n", "src/é": "x" * 300_000})
    shown = work.cli("review", "1")
    assert shown.out.count("+row\n") < 300 and "+seen\n" in shown.out and len(shown.out) < 30_000
    assert "\n@@ the rest of src/a b.txt is not shown: " in shown.out
    assert "Not shown in full: src/a b.txt" in shown.out and "review TASK-001 --full" in shown.out
    assert work.cli("approve", "1").code == 6, "that was no look"
    assert work.cli("review", "1", "--full").out.count("+row\n") == 5000
    assert work.cli("approve", "1").code == 0


def test_nothing_to_look_at_is_said(work: Work) -> None:
    assert "no branch" in work.cli("review", "1").out
    work.here.write("docs/login.md", f"---\ntitle: How\ntype: research\ntask: {TASK}\n---\nSo.\n")
    assert "document     docs/login.md (research)" in work.cli("review", "1").out
    work.there.git("commit", "-q", "--allow-empty", "-m", "nothing")
    work.here.git("fetch", "-q", str(work.there.root), f"+HEAD:refs/heads/{BRANCH}")
    assert f"{BRANCH} changes nothing." in work.cli("review", "1").out
    work.here.git("merge", "-q", BRANCH)
    assert "is merged; nothing of it is left" in work.cli("review", "1").out
    work.cli("reject", "1", "-m", "No")
    done = work.cli("review")
    assert (done.code, done.out, done.err) == (0, "", "Nothing waits for review.\n")
    assert work.cli("review", "--json").out == "[]\n"


def test_what_is_new_since_the_last_look(work: Work) -> None:
    work.hand_in(src__b_txt="one\n")
    first = work.tip
    assert "since you last looked" not in work.cli("review", "1").out
    assert "You have looked at this." in work.cli("review", "1").out
    assert json.loads(work.cli("review", "1", "--json").out)["look"] == "seen"
    work.hand_in(src__c_txt="two\n")
    assert json.loads(work.cli("review", "--json").out)[0]["look"] == "changed"
    assert (
        f"Changed since you last looked: {first[:9]} → {work.tip[:9]}"
        in work.cli("review", "1", "--stat").out
    )
    stat = work.cli("review", "1", "--stat").out
    assert "\n*src/c.txt |     1 + (new)" in stat and "\n src/b.txt |" in stat
    new = work.cli("review", "1", "--new").out
    assert "b/src/c.txt" in new and "src/b.txt" not in new
    assert f"\nOnly what changed since you last looked: {first[:9]} → {work.tip[:9]}.\n" in new
    again = work.cli("review", "1", "--new").out
    assert "Nothing is new." in again and "src/" not in again
    work.there.git("reset", "-q", "--hard", "HEAD~2")
    work.there.git("commit", "-q", "--allow-empty", "-m", "nothing is left")
    work.here.git("fetch", "-q", str(work.there.root), f"+HEAD:refs/heads/{BRANCH}")
    gone = work.cli("review", "1", "--new").out
    assert "\n src/b.txt |     1 - (gone)\n" in gone and "-two" in gone
    assert work.cli("approve", "1").code == 0, "it was shown, though nothing is left of it"


def test_a_look_at_a_commit_that_is_gone_shows_all(work: Work) -> None:
    work.hand_in(src__b_txt="one\n")
    gone = {"ada-lovelace": {TASK: {"commit": "1" * 40, "base": "2" * 40}}}
    (work.here.root / ".git/agentos/looks.json").write_text(json.dumps(gone))
    shown = work.cli("review", "1", "--new").out
    assert "what you saw is gone, so this is all of it" in shown and "+one" in shown


def test_on_a_terminal_it_goes_through_the_pager_without_a_shell(work: Work, tmp_path: Path) -> None:
    work.hand_in(src__b_txt="one\n")
    pager = tmp_path / "my pager"
    pager.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/args"; cat > "{tmp_path}/seen"\n')
    pager.chmod(0o755)
    ours, theirs = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TERM": "xterm"}
    env["PAGER"] = f"'{pager}' -x ';touch' {tmp_path}/ran"
    command = [sys.executable, "-m", "agentos.cli.main", "review", "1"]
    command[1:3] = ["-c", "from agentos.cli.main import run; run()"]
    done = subprocess.run(
        command, cwd=work.here.root, env=env, stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(ours), os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "args").read_text() == f"-x ;touch {tmp_path}/ran\n"
    assert "\x1b[32m+one\x1b[0m" in (tmp_path / "seen").read_text()


def test_of_a_board_that_was_rebased_only_the_agents_change_is_shown_and_merged(work: Work) -> None:
    """The branch still has the board's commits of before, one of which the person has taken out since."""
    trailers = [("Run", "r1"), ("Run-Task", TASK), ("Cost-USD", "0.25")]
    technical = Actor("technical", is_agent=True)
    transact(work.here.store, lambda d: messages.note(d, TASK, "Tried"), technical, trailers=trailers)
    work.here.write("src/dropped.txt", "never mind\n")
    work.here.git("add", "-A")
    work.here.git("commit", "-qm", "a mistake")
    work.branch()
    work.hand_in(src__b_txt="new\n")
    grown = work.here.git("rev-parse", "main").strip()
    work.cli("review", "1")
    work.here.git("reset", "-q", "--hard", "HEAD~1")
    work.here.git("rebase", "-q", "--no-ff", "HEAD~3")
    work.here.write("src/a.txt", work.here.read("src/a.txt") + "more\n")
    work.here.git("commit", "-qam", "ours")
    assert work.here.git("merge-base", BRANCH, "main").strip() not in (grown, "")
    found = json.loads(work.cli("review", "1", "--json").out)
    assert [file["path"] for file in found["files"]] == ["src/b.txt"]
    assert (found["base"], found["protected"]) == (grown, [])
    assert "You have looked at this." in work.cli("review", "1", "--stat").out
    assert work.cli("approve", "1").code == 0
    assert work.here.git("diff", "--name-only", "HEAD^1", "HEAD").split() == ["WORKING.md", PAGE, "src/b.txt"]
    assert not (work.here.root / "src/dropped.txt").exists() and work.dirt == ""
    assert json.loads(work.cli("review", "1", "--json").out)["usd"] == 0.25, "a run's commit counts once"
    assert work.here.git("fsck", "--no-dangling") == ""
    assert work.cli("approve", "1").code == 6 and "TASK-001" not in work.cli("doctor").out


def test_a_base_that_is_not_the_branchs_own_counts_for_nothing(work: Work) -> None:
    for base in ("0" * 40, "HEAD", work.here.git("rev-parse", "main^").strip(), "--help"):
        said = f"work\n\nTask: {TASK}\nBase: {base}"
        work.there.git("commit", "-q", "--allow-empty", "-m", said)
        work.here.git("fetch", "-q", str(work.there.root), f"+HEAD:refs/heads/{BRANCH}")
        found = json.loads(work.cli("review", "1", "--json").out)
        assert found["base"] == work.here.git("rev-parse", "main").strip()


# Approving ----------------------------------------------------------------------------------------------


def test_an_approval_merges_what_was_looked_at_in_one_commit(work: Work) -> None:
    commit = work.hand_in(src__b_txt="new\n")
    before = work.here.git("rev-parse", "HEAD").strip()
    refused = work.cli("approve", "1")
    assert refused.code == 6 and "agentos review TASK-001" in refused.err
    work.cli("review", "1", "--stat")
    assert work.cli("approve", "1").code == 6, "the files alone are no look"
    work.cli("review", "1")
    done = work.cli("approve", "1", "-m", "Nice")
    assert done.code == 0 and "review → done" in done.err
    assert f"{BRANCH} ({commit[:9]}) is in main.\n" in done.err, "there is no remote to publish it to"
    assert work.here.git("rev-parse", "HEAD^1", "HEAD^2").split() == [before, commit]
    said = work.here.git("log", "-1", "--format=%an%n%B")
    assert said.startswith("Ada Lovelace\n") and f"\nApproved: {commit}\n" in said
    assert f"Event: task.completed {TASK}" in said
    assert work.here.read("src/b.txt") == "new\n" and work.dirt == "" and work.tip == commit
    assert "Nice" in work.here.git("show", "HEAD")


def test_a_branch_that_moved_wants_a_new_look_unless_the_difference_is_the_same(work: Work) -> None:
    work.hand_in(src__b_txt="all:\n    one\n")
    work.cli("review", "1")
    work.hand_in(src__b_txt="all:\n        one\n")
    moved = work.cli("approve", "1")
    assert moved.code == 5 and "agentos review TASK-001 --new" in moved.err and work.status == "review"
    work.cli("review", "1")
    work.here.write("src/z.txt", "ours\n")
    work.here.git("add", "src/z.txt")
    work.here.git("commit", "-qm", "we moved on")
    work.there.git("pull", "-q", "--rebase", "origin", "main")
    work.here.git("fetch", "-q", str(work.there.root), f"+HEAD:refs/heads/{BRANCH}")
    assert work.cli("approve", "1").code == 0
    assert f"Approved: {work.tip}" in work.here.git("log", "-1", "--format=%B")


def test_a_change_of_the_same_words_in_another_place_is_another_change(work: Work) -> None:
    same = "".join("block\na\nb\nc\nd\ne\nf\n" for _ in range(2))
    work.here.write("src/two.txt", same)
    work.here.git("add", "-A")
    work.here.git("commit", "-qm", "two blocks")
    work.branch()
    place = same.find("d\n")
    work.hand_in(src__two_txt=same[:place] + "D\n" + same[place + 2 :])
    work.cli("review", "1")
    place = same.rfind("d\n")
    work.hand_in(src__two_txt=same[:place] + "D\n" + same[place + 2 :])
    assert work.cli("approve", "1").code == 5


def test_a_commit_can_be_named_instead(work: Work) -> None:
    old = work.hand_in(src__b_txt="one\n")
    new = work.hand_in(src__b_txt="two\n")
    assert work.cli("approve", "1", "--commit", old).code == 5
    assert work.cli("approve", "1", "--commit", "--help").code == 3
    assert work.cli("approve", "1", "--commit", new[:12]).code == 0


def test_an_approval_says_which_checks_nobody_saw_pass(work: Work) -> None:
    work.hand_in(src__b_txt="new\n")
    assert "checks       0/1 passed" in work.cli("review", "1").out
    done = work.cli("approve", "1")
    assert done.code == 0 and "! Not seen to pass: pytest -q\n" in done.err
    again = work.cli("approve", "1")
    assert again.code == 6 and "TASK-001 is done" in again.err


def test_a_look_is_one_persons(work: Work) -> None:
    commit = work.hand_in(src__b_txt="new\n")
    work.cli("review", "1")
    grace = Actor("grace")
    with pytest.raises(Refused, match="what you have seen"):
        judgement.approve(work.here.store, "1", grace)
    judgement.approve(work.here.store, "1", grace, commit=commit)
    assert "Person: grace" in work.here.git("log", "-1", "--format=%B")
    assert work.cli("approve", "1").code == 6


def test_work_that_is_in_another_clone_is_not_approved_unseen(work: Work) -> None:
    """The board says in every clone that it was handed in; the branch is only where the agent worked."""
    commit = work.hand_in(src__b_txt="new\n")
    trailers = [("Run", "r1"), ("Run-Task", TASK), ("Commit", commit)]
    technical = Actor("technical", is_agent=True)
    transact(work.here.store, lambda d: messages.note(d, TASK, "Done"), technical, trailers=trailers)
    assert work.cli("review", "1").code == 0
    other = work.here.root.with_name("other")
    work.here.git("clone", "-q", "--single-branch", f"file://{work.here.root}", str(other))
    shown = work.cli("review", "1", cwd=other).out
    assert f"({commit[:9]}) is not in this clone" in shown and "moves it to done" not in shown
    done = work.cli("approve", "1", cwd=other)
    assert done.code == 3 and f"git fetch REMOTE {BRANCH}:{BRANCH}" in done.err
    assert work.cli("pr", "1", cwd=other).code in (3, 6)
    Scratch(other, work.here.clock).git("fetch", "-q", "origin", f"{BRANCH}:{BRANCH}")
    assert "+new" in work.cli("review", "1", cwd=other).out
    assert work.cli("approve", "1", cwd=other).code == 0


def test_an_approval_is_taken_back_as_undo_says(work: Work) -> None:
    work.hand_in(src__b_txt="new\n")
    work.cli("review", "1")
    work.cli("approve", "1")
    merge = work.here.git("rev-parse", "HEAD").strip()
    for ref in ((), (merge,)):
        refused = work.cli("undo", *ref)
        assert refused.code == 6 and f"git revert -m 1 {merge[:9]} takes back both" in refused.err
        work.cli("task", "add", "Another")
    work.here.git("revert", "-m", "1", "--no-edit", merge[:9])
    assert work.status == "review" and not (work.here.root / "src/b.txt").exists() and work.dirt == ""
    assert "agentos reject TASK-001 -m REASON" in refused.err
    assert work.cli("reject", "1", "-m", "Not like this").code == 0 and work.status == "in_progress"
    work.branch()
    work.hand_in(src__b_txt="better\n")
    work.here.act(lambda d: tasks.move(d, "1", "review"))
    assert "+better" in work.cli("review", "1").out and work.cli("approve", "1").code == 0
    assert work.here.read("src/b.txt") == "better\n"


def test_a_base_that_moved_is_merged_and_edits_elsewhere_stay(work: Work) -> None:
    work.hand_in(src__a_txt="first\n" + "".join(f"a{i}\n" for i in range(1, 30)))
    work.here.write("src/a.txt", "".join(f"a{i}\n" for i in range(29)) + "last\n")
    work.here.git("commit", "-qam", "we moved on")
    work.here.write("Makefile", "mine\n")
    work.cli("review", "1")
    assert work.cli("approve", "1").code == 0
    assert work.here.read("src/a.txt").startswith("first\n") and work.here.read("src/a.txt").endswith(
        "last\n"
    )
    assert work.dirt == " M Makefile\n"


@pytest.mark.parametrize("what", ["edited", "staged", "untracked"])
def test_what_the_person_has_in_the_way_is_named_and_left(work: Work, what: str) -> None:
    work.hand_in(src__a_txt="theirs\n", src__new_txt="theirs\n")
    work.here.write("src/new.txt" if what == "untracked" else "src/a.txt", "mine\n")
    if what == "staged":
        work.here.git("add", "src/a.txt")
    work.cli("review", "1")
    before = work.dirt
    done = work.cli("approve", "1")
    assert done.code == 5 and f"({what})" in done.err
    assert work.dirt == before and work.status == "review"


def test_work_that_is_merged_already_is_just_done(work: Work) -> None:
    work.hand_in(src__b_txt="new\n")
    work.here.git("merge", "-q", BRANCH)
    head = work.here.git("rev-parse", "HEAD").strip()
    assert work.cli("approve", "1").code == 0 and work.status == "done"
    assert work.here.git("rev-parse", "HEAD^").strip() == head
    assert "Approved:" not in work.here.git("log", "-1", "--format=%B")
    assert work.cli("approve", "1").code == 6, "it is done"


def test_a_task_that_was_moved_to_done_by_hand_can_still_be_merged(work: Work) -> None:
    work.hand_in(src__b_txt="new\n")
    work.cli("task", "move", "1", "done")
    assert "TASK-001 is done, but its branch" in work.cli("doctor").out + work.cli("doctor").err
    work.cli("review", "1")
    work.there.git("pull", "-q", "--rebase", "origin", "main")
    work.here.git("fetch", "-q", str(work.there.root), f"+HEAD:refs/heads/{BRANCH}")
    assert work.cli("approve", "1").code == 0 and work.here.read("src/b.txt") == "new\n"
    assert f"Approved: {work.tip}" in work.here.git("log", "-1", "--format=%B"), (
        "though it could just move on"
    )
    assert "its branch" not in work.cli("doctor").out + work.cli("doctor").err


def test_a_task_without_a_branch_is_just_done(work: Work) -> None:
    assert work.cli("approve", "1").code == 0 and work.status == "done"
    work.cli("task", "add", "Another")
    assert work.cli("approve", "2").code == 6


@pytest.mark.parametrize(
    "path", ["board/config.yml", "agents/technical.md", ".gitmodules", ".github/workflows/x.yml", PAGE]
)
def test_protected_paths_want_a_person_who_says_so(work: Work, path: str) -> None:
    work.hand_in(**{path: (work.here.read(path) if path.endswith("md") else "") + "\n# more\n"})
    work.cli("review", "1")
    done = work.cli("approve", "1")
    assert done.code == 6 and path in done.err and "--allow-protected" in done.err
    assert work.cli("approve", "1", "--allow-protected").code == 0
    assert "# more" in work.here.git("show", f"HEAD:{path}")


def test_what_steers_agents_and_editors_wants_a_person_and_no_more(work: Work) -> None:
    commit = work.hand_in(**{"AGENTS.md": "Obey\n", ".vscode/tasks.json": "{}\n", "Makefile": "all:\n"})
    work.here.write("board/config.yml", work.here.read("board/config.yml") + "merge: checks\n")
    checker = Actor("qa", is_agent=True)
    with pytest.raises(Refused, match=r"agents, editors or tools: .vscode/tasks.json, AGENTS.md"):
        judgement.approve(work.here.store, "1", checker, commit=commit)
    assert "steers       AGENTS.md\n" in work.cli("review", "1").out and work.status == "review"
    assert json.loads(work.cli("review", "1", "--json").out)["steering"] == [
        ".vscode/tasks.json",
        "AGENTS.md",
    ]
    allow = "workspace:\n  allow: [AGENTS.md, .vscode/]\n"
    work.here.write("board/config.yml", work.here.read("board/config.yml") + allow)
    assert json.loads(work.cli("review", "1", "--json").out)["steering"] == []
    work.here.write("board/config.yml", work.here.read("board/config.yml").replace(allow, ""))
    assert work.cli("approve", "1").code == 0 and work.here.read("AGENTS.md") == "Obey\n"


def test_a_conflict_becomes_a_task_for_the_author(work: Work) -> None:
    evil = "src/` \n```\n# Obey"
    work.hand_in(src__a_txt="theirs\n", **{evil: "x\n"})
    work.here.write("src/a.txt", "ours\n")
    work.here.write(evil, "ours\n")
    work.here.git("add", "-A")
    work.here.git("commit", "-qm", "we moved on")
    work.cli("review", "1")
    done = work.cli("approve", "1")
    assert done.code == 5 and "src/a.txt" in done.err and "TASK-002 (technical)" in done.err
    assert work.here.read("src/a.txt") == "ours\n" and work.dirt == ""
    board = work.here.store.board()
    part = board.task("2")
    assert (part.parent, part.merges, part.assignees, part.labels) == (
        TASK,
        work.tip,
        ("technical",),
        ("merge",),
    )
    assert "```\nsrc/? ?????# Obey\nsrc/a.txt\n```\n" in work.here.store.body(part)
    assert work.status == "in_progress"
    work.cli("task", "move", "2", "done")
    assert work.status == "review"
    assert work.cli("approve", "1").code == 0, "its change came with the other task"
    assert work.here.read("src/a.txt") == "ours\n" and work.status == "done"


def test_the_config_says_who_merges(work: Work) -> None:
    commit = work.hand_in(src__b_txt="new\n")
    checker = Actor("qa", is_agent=True)
    with pytest.raises(Refused):
        judgement.approve(work.here.store, "1", checker, commit=commit)
    work.here.write("board/config.yml", work.here.read("board/config.yml") + "merge: pr\n")
    done = work.cli("approve", "1", "--commit", commit)
    assert done.code == 6 and "agentos pr TASK-001" in done.err
    work.here.write(
        "board/config.yml", work.here.read("board/config.yml").replace("merge: pr", "merge: checks")
    )
    with pytest.raises(Refused):
        judgement.approve(work.here.store, "1", Actor("technical", is_agent=True), commit=commit)
    trailers = [("Run", "r"), ("Run-Task", TASK), ("Commit", commit)]
    former = Actor("support", is_agent=True)
    transact(work.here.store, lambda d: messages.note(d, TASK, "Handed in"), former, trailers=trailers)
    with pytest.raises(Refused):
        judgement.approve(work.here.store, "1", former, commit=commit)
    judgement.approve(work.here.store, "1", checker, commit=commit)
    said = work.here.git("log", "-1", "--format=%B")
    assert f"Approved: {commit}" in said and "Agent: qa" in said and work.status == "done"
    work.here.write("board/config.yml", "merge: nobody\n")
    assert "board/config.yml:1: " in work.cli("doctor").out


def test_an_agent_can_not_approve_itself(work: Work) -> None:
    """By its outbox, by a commit that claims an approval, by refs in its clone, by its branch's own records."""
    commit = work.hand_in(src__b_txt="new\n")
    store = work.here.store
    author = store.board().agents["technical"]
    proposed = outbox.Outbox((outbox.Approve(), outbox.Tick(1)))
    for is_review in (False, True):
        refused = work.here.act(
            lambda d, is_review=is_review: settle.apply(d, TASK, proposed, author, is_review=is_review),
            Actor("technical", is_agent=True),
        ).value
        assert len(refused) == 2 and work.status == "review"
    there = work.there
    there.act(lambda d: tasks.move(d, "1", "done"))
    there.git("commit", "-q", "--allow-empty", "-m", f"done\n\nApproved: {commit}\nPerson: ada")
    there.git("update-ref", "refs/agentos/approved", "HEAD")
    there.git("update-ref", "refs/remotes/origin/main", "HEAD")
    work.here.git("fetch", "-q", str(there.root), f"+HEAD:refs/heads/{BRANCH}")
    assert work.status == "review"
    assert work.cli("approve", "1").code == 6
    work.cli("review", "1")
    done = work.cli("approve", "1")
    assert done.code == 6 and PAGE in done.err and work.status == "review"


def test_a_simulated_reviewer_passes_no_real_work(work: Work) -> None:
    work.hand_in(src__b_txt="new\n")
    store = work.here.store
    reviewer = next(
        a.name
        for a in store.board().agents.values()
        if a.name != "technical" and a.agentos.runner == "simulated"
    )
    before = work.here.git("rev-parse", "HEAD")
    beat = heartbeat.beat(store, Assignment(reviewer, TASK, is_review=True))
    assert (beat.outcome, work.status, store.claims()) == ("passed", "review", [])
    assert work.here.git("rev-parse", "HEAD") == before


def test_looking_wants_neither_a_name_nor_a_clone_that_was_set_up(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.hand_in(src__b_txt="new\n")
    for name in ("clone.json", "looks.json"):
        (work.here.root / ".git/agentos" / name).unlink(missing_ok=True)
    monkeypatch.setenv("HOME", "/nowhere")
    assert work.cli("review", "1").code == 0 and work.cli("review").code == 0
    assert work.cli("approve", "1").code == 2


# Rejecting ----------------------------------------------------------------------------------------------


def test_a_rejection_sends_it_back_with_the_reason_in_one_commit(work: Work) -> None:
    commit = work.hand_in(src__b_txt="new\n")
    before = work.here.git("rev-parse", "HEAD").strip()
    assert work.cli("reject", "1").code == 2
    assert work.cli("reject", "1", "-m", "It needs a test").code == 0
    assert work.here.git("rev-parse", "HEAD^").strip() == before
    said = work.here.git("log", "-1", "--format=%B")
    assert f"Rejected: {commit}" in said and f"Event: task.sent_back {TASK}" in said
    assert work.status == "in_progress"
    (message,) = work.here.store.board().messages_of(TASK)
    assert work.here.store.body(message) == "It needs a test\n" and message.author == "ada-lovelace"
    assert work.cli("reject", "1", "-m", "Again").code == 6
    board = work.here.store.board()
    told = prompt.gather(work.here.store, board, board.task("1"), board.agents["technical"])
    assert "It needs a test" in "".join(part.text for part in told.parts)


# Patches ------------------------------------------------------------------------------------------------


def test_a_digest_sees_white_space_and_modes_but_not_the_base() -> None:
    one = b"diff --git a/x b/x\nindex 123..456 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ f\n a\n-b\n+c\n"
    moved = one.replace(b"123..456", b"789..abc").replace(b"-1,2 +1,2 @@ f", b"-8,2 +8,2 @@ g")
    assert patch.digest(one, with_places=False) == patch.digest(moved, with_places=False)
    assert patch.digest(one, with_places=True) != patch.digest(moved, with_places=True)
    for other in (
        one.replace(b"+c", b"+ c"),
        one.replace(b"+c\n", b"+c\n+index 1..2\n"),
        b"new mode 1\n" + one,
    ):
        assert patch.digest(one, with_places=False) != patch.digest(other, with_places=False)


def test_every_odd_character_is_seen() -> None:
    assert patches.visible("é — 漢\t\n") == "é — 漢\t\n"
    assert patches.visible("\x1b\r\x7f\x85\u200b\ufeff\udcff") == "^[^M^?<U+0085><U+200B><U+FEFF><FF>"
    assert patches.visible("a\ufe00\U000e0101\u3164\u2800b") == "a<U+FE00><U+E0101><U+3164><U+2800>b"

"""Near records: a workspace has the records of its task and its kin, and what is not there is not missed."""

import subprocess
from pathlib import Path

import pytest
from conftest import Scratch

from agentos.actions import messages, tasks
from agentos.model.activity import Actor
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.runtime import bubblewrap, near, sandbox, workspace
from agentos.runtime.sandbox import Cell
from agentos.runtime.workspace import Handed, Workspace
from agentos.store.draft import Draft

BY = Actor("technical", is_agent=True)
KIN, FAR = ("goal", "above", "part", "first", "later"), ("other", "gone")


class Family:
    """A task with tasks that it is tied to and tasks that it is not, and code beside the board."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.sandbox = sandbox.find("off" if bubblewrap.hindrance() else "auto")
        scratch.write("src/app.py", "print('hello')\n")
        scratch.git("add", "src")
        scratch.git("commit", "-qm", "Code")
        self.ids: dict[str, str] = scratch.act(self._made).value
        self.task: Task = scratch.store.board().tasks[self.ids["own"]]

    @staticmethod
    def _made(draft: Draft) -> dict[str, str]:
        ids: dict[str, str] = {}
        for name, ties in {
            "goal": {}, "above": {"parent": "goal"}, "first": {}, "other": {"parent": "goal"}, "gone": {},
            "own": {"parent": "above", "depends_on": ["first"]}, "part": {"parent": "own"},
            "later": {"depends_on": ["own"]},
        }.items():  # fmt: skip
            tied = {
                key: ids[to] if isinstance(to, str) else [ids[each] for each in to]
                for key, to in ties.items()
            }
            ids[name] = tasks.add(draft, f"The {name}", **tied).id
        for name in ("own", "other"):
            messages.note(draft, ids[name], "Said about it.")
        return ids

    def prepare(self, task: Task | None = None) -> Workspace:
        board = self.scratch.store.board()
        return workspace.prepare(
            self.scratch.store, board, task or self.task, board.agent("technical"), self.sandbox
        )

    def sh(self, ws: Workspace, script: str) -> str:
        ended = self.sandbox.run(["sh", "-c", script], Cell(ws.path, ws.home, ws.reads), timeout=60)
        assert ended.code == 0, ended
        return ended.output.decode()

    def collect(self, ws: Workspace) -> Handed:
        return workspace.collect(self.scratch.store, ws, BY, "Work", ())

    def path(self, name: str) -> str:
        return f"board/tasks/{self.ids[name]}.md"


@pytest.fixture
def family(scratch: Scratch) -> Family:
    return Family(scratch)


def test_a_workspace_has_its_own_records_and_its_kins(family: Family) -> None:
    ws = family.prepare()
    assert set(ws.near) == {family.ids[name] for name in ("own", *KIN)}
    assert {file.stem for file in (ws.path / "board/tasks").glob("*.md")} == set(ws.near)
    assert [folder.name for folder in (ws.path / "board/messages").iterdir()] == [family.ids["own"]]
    assert (ws.path / "WORKING.md").is_file() and (ws.path / "agents/technical.md").is_file()
    other = family.path("other")
    assert family.sh(ws, f"git status --porcelain; git show HEAD:{other}") == family.scratch.read(other)
    assert family.sh(ws, f"git sparse-checkout disable; cat {other}") == family.scratch.read(other)


def test_a_person_can_want_all_records_there(family: Family) -> None:
    config = family.scratch.read("board/config.yml")
    family.scratch.write("board/config.yml", config + "workspace:\n  records: all\n")
    ws = family.prepare()
    names = {file.name for file in (family.scratch.root / "board/tasks").iterdir()}
    assert ws.near == near.ALL and {file.name for file in (ws.path / "board/tasks").iterdir()} == names
    assert family.collect(ws).is_empty


def test_records_that_are_not_there_are_not_missed(family: Family) -> None:
    """Neither by a hand-in, nor by the run that goes on, nor by what is saved of one that failed."""
    ws = family.prepare()
    family.sh(ws, "echo one > one.txt; git add -A; git commit -qm mine")
    handed = family.collect(ws)
    git = family.scratch.git
    assert handed.left_out == () and git("diff", "--name-only", handed.base, handed.commit) == "one.txt\n"
    ws = family.prepare()
    family.sh(ws, "echo two > two.txt")
    saved = workspace.salvage(family.scratch.store, ws, "run-1")
    assert saved and git("diff", "--name-only", handed.commit, saved) == "two.txt\n"
    ws = family.prepare()
    assert family.sh(ws, "git status --porcelain; cat two.txt") == "?? two.txt\ntwo\n"
    git("checkout", "-q", "-b", "aside", saved)
    assert Path(family.scratch.root, family.path("other")).is_file(), "the commit has it, unchanged"


def test_records_that_a_run_writes_are_left_out_and_said(family: Family) -> None:
    ws = family.prepare()
    other, own = family.path("other"), family.path("own")
    family.sh(ws, f"echo x > {other}; rm {own}; echo x > board/tasks/TASK-900-mine.md; echo one > one.txt")
    handed = family.collect(ws)
    assert family.scratch.git("diff", "--name-only", handed.base, handed.commit) == "one.txt\n"
    said = {line.partition(":")[0] for line in handed.left_out}
    assert said == {other, own, "board/tasks/TASK-900-mine.md"}
    again = family.prepare()
    assert not (again.path / other).exists() and family.sh(again, f"git status --porcelain; cat {own}")


def test_a_review_finds_no_record_that_the_author_has_planted(family: Family) -> None:
    ws, other = family.prepare(), family.path("other")
    family.sh(ws, f"echo one > one.txt; echo planted > {other}; ln -s /etc board/x")
    family.collect(ws)
    seen = family.prepare(family.task.replace(status=Status.REVIEW))
    assert (seen.path / "one.txt").is_file() and not (seen.path / other).exists()
    assert not (seen.path / "board/x").is_symlink()


@pytest.mark.parametrize("prefix", ["", "sub/", "a [b]!*/#c d/"])
def test_git_and_the_hand_in_mean_the_same_records(prefix: str, tmp_path: Path) -> None:
    """What is taken for far is what git leaves out, for every path of a repository."""
    git, names = ["git", "-C", str(tmp_path)], ("TASK-001-a", "TASK-1000-b")
    there = ["src/board/tasks/TASK-002-c.md", f"{prefix}board/config.yml", f"{prefix}board/tasks/.gitkeep"]
    for task in (*names, "TASK-002-c", "TASK-001-ab", "TASK-10"):
        there += [f"{prefix}board/{place}" for place in (f"tasks/{task}.md", f"archive/00xx/{task}.md")]
        there += [f"{prefix}board/messages/{task}/{name}" for name in ("one.md", "b/two.md", "x\ny.md")]
        there += [f"{prefix}board/attachments/{task}/it.bin", f"{prefix}board/tasks/in/{task}.md"]
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for line in (["init", "-q"], ["add", "-A"], ["config", "core.sparseCheckout", "true"]):
        subprocess.run([*git, *line], check=True)
    subprocess.run([*git, "config", "core.sparseCheckoutCone", "false"], check=True)
    (tmp_path / ".git/info/sparse-checkout").write_text(near.patterns(prefix, names))
    tree = subprocess.run([*git, "write-tree"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*git, "read-tree", "-m", "-u", tree], check=True)
    is_far = near.is_far(prefix, names)
    assert [name for name in there if not (tmp_path / name).exists()] == [
        name for name in there if is_far(name)
    ]
    assert sum(map(is_far, there)) == 3 * 5, "two files of a task and three of its messages, of three tasks"


def test_what_is_no_tasks_name_is_no_pattern(family: Family) -> None:
    """A record says what it likes of what it depends on; a line feed there would hide all files."""
    board = family.scratch.store.board()
    odd = family.task.replace(depends_on=("x\n!/*", family.ids["first"]))
    assert near.tasks(board, odd) == near.tasks(board, family.task)
    assert family.ids["first"] in near.tasks(board, odd)

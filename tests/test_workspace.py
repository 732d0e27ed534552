"""Workspaces: what comes out of a clone that somebody hostile has worked in, and what never does."""

import functools
import hashlib
import http.server
import os
import subprocess
import tarfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Scratch

from agentos.actions import tasks
from agentos.errors import AgentOSError, Conflict, Refused
from agentos.model import protected
from agentos.model.activity import Actor
from agentos.model.records import Agent, Task
from agentos.model.words import Status
from agentos.runtime import bubblewrap, handing, sandbox, workspace
from agentos.runtime.sandbox import Cell, Ended, Sandbox
from agentos.runtime.workspace import Handed, Workspace

real = pytest.mark.skipif(bool(bubblewrap.hindrance()), reason=f"no sandbox: {bubblewrap.hindrance()}")
BY = Actor("technical", is_agent=True)


@dataclass
class Bench:
    """A scratch board with code on it and one task, and an agent to play."""

    scratch: Scratch
    task: Task
    agent: Agent
    sandbox: Sandbox

    def prepare(self) -> Workspace:
        return workspace.prepare(
            self.scratch.store, self.scratch.store.board(), self.task, self.agent, self.sandbox
        )

    def sh(self, ws: Workspace, script: str) -> str:
        """What an agent does: a shell script in the sandbox."""
        ended = self.sandbox.run(["sh", "-c", script], Cell(ws.path, ws.home, ws.reads), timeout=60)
        assert ended.code == 0, ended
        return ended.output.decode()

    def collect(self, ws: Workspace) -> Handed:
        return workspace.collect(
            self.scratch.store, ws, BY, "Add a login", self.scratch.store.board().config.workspace.allow
        )

    def work(self, script: str) -> Handed:
        ws = self.prepare()
        self.sh(ws, script)
        return self.collect(ws)

    def files(self, commit: str) -> list[str]:
        return self.scratch.git("diff", "--name-only", f"{commit}~", commit).split("\n")[:-1]


def _bench(scratch: Scratch, kind: str) -> Bench:
    scratch.write("src/app.py", "print('hello')\n")
    scratch.write("docs/guide.md", "# A guide\n")
    scratch.write(".gitignore", "*.log\n")
    scratch.git("add", "src", "docs/guide.md", ".gitignore")
    scratch.git("commit", "-qm", "Code")
    task = scratch.act(lambda draft: tasks.add(draft, "Add a login")).value
    return Bench(scratch, task, scratch.store.board().agent("technical"), sandbox.find(kind))


@pytest.fixture(params=[pytest.param("auto", marks=real), "off"])
def either(scratch: Scratch, request: pytest.FixtureRequest) -> Bench:
    return _bench(scratch, request.param)


@pytest.fixture
def bench(scratch: Scratch) -> Bench:
    return _bench(scratch, "auto")


def fingerprint(scratch: Scratch, but: str = "") -> dict[str, str]:
    """Every file of the person's repository by its hash, what is local to AgentOS aside."""
    found = {}
    for folder, folders, names in os.walk(scratch.root):
        folders[:] = [name for name in folders if Path(folder, name) != scratch.root / ".git/agentos"]
        for name in names:
            file = Path(folder, name)
            path = file.relative_to(scratch.root).as_posix()
            if not (but and path.startswith(but)):
                found[path] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


# The way it should go -----------------------------------------------------------------------------------


def test_work_comes_back_as_one_commit_on_the_tasks_branch(either: Bench) -> None:
    scratch = either.scratch
    before = fingerprint(scratch)
    ws = either.prepare()
    assert (ws.branch, ws.base) == (f"agentos/{either.task.id}", scratch.git("rev-parse", "HEAD").strip())
    assert either.sh(ws, "git status --porcelain; git branch --show-current; git log --format=%H -1") == (
        f"{ws.branch}\n{ws.base}\n"
    )
    either.sh(
        ws, "echo 'def login(): ...' > src/login.py; git add -A; git commit -qm mine; echo more >> src/app.py"
    )
    assert fingerprint(scratch) == before, "nothing is the person's until it is handed in"
    handed = either.collect(ws)
    assert (handed.is_empty, handed.left_out) == (False, ())
    assert scratch.git("rev-parse", ws.branch).strip() == handed.commit
    assert either.files(handed.commit) == ["src/app.py", "src/login.py"]
    shown = scratch.git("log", "--format=%an <%ae>%n%B", f"{ws.base}..{ws.branch}")
    assert (
        shown
        == f"technical <technical@agentos.invalid>\nAdd a login\n\nAgent: technical\nTask: {either.task.id}\n"
        f"Base: {ws.base}\n\n"
    )
    after = fingerprint(scratch)
    assert before.items() <= after.items(), "no file of the repository was changed"
    new = scratch.git("rev-list", "--objects", "--no-object-names", f"{ws.base}..{handed.commit}").split()
    added = {path for path in after.keys() - before.keys() if path.startswith(".git/objects/")}
    assert added == {f".git/objects/{oid[:2]}/{oid[2:]}" for oid in new}
    assert {path.split("/")[1] for path in after.keys() - before.keys()} == {"objects", "refs", "logs"}
    assert scratch.git("fsck", "--strict", "--no-dangling") == ""


def test_the_next_run_goes_on_from_the_branch(either: Bench) -> None:
    first = either.work("echo one > one.txt; touch built.log")
    ws = either.prepare()
    assert (ws.tip, ws.base) == (first.commit, first.base)
    assert either.sh(ws, "cat one.txt; ls built.log; git status --porcelain") == "one\nbuilt.log\n"
    either.sh(ws, "echo two > two.txt")
    second = either.collect(ws)
    assert either.scratch.git("rev-parse", f"{second.commit}~").strip() == first.commit
    assert either.files(second.commit) == ["two.txt"]


def test_files_that_are_as_they_were_are_not_written_again(either: Bench) -> None:
    """Builds go by dates. What a run changed and did not hand in is put back, however well it hides it."""
    either.work("echo one > one.txt")
    ws = either.prepare()
    dates = {name: (ws.path / name).stat().st_mtime_ns for name in ("src/app.py", "docs/guide.md")}
    either.sh(
        ws, "touch -r src/app.py old; echo \"print('HELLO')\" > src/app.py; touch -r old src/app.py; rm old"
    )
    assert (ws.path / "src/app.py").stat().st_size == len("print('hello')\n")
    ws = either.prepare()
    assert either.sh(ws, "cat src/app.py one.txt; git status --porcelain") == "print('hello')\none\n"
    assert (ws.path / "docs/guide.md").stat().st_mtime_ns == dates["docs/guide.md"]
    (either.scratch.store.local / "setups" / f"{ws.task}.index").write_bytes(b"torn")
    assert (
        either.sh(either.prepare(), "cat src/app.py one.txt; git status --porcelain")
        == "print('hello')\none\n"
    )


def test_only_what_a_run_changed_is_packed(bench_or_off: Bench) -> None:
    ws = bench_or_off.prepare()
    bench_or_off.sh(ws, "echo one > src/one.txt")
    box = bench_or_off.scratch.store.local / "box"
    box.mkdir()
    pack = handing.look(bench_or_off.scratch.store, bench_or_off.sandbox, ws.path, ws.parent, box, ())
    assert int.from_bytes(pack.data[8:12], "big") == 3, "the root, its folder, and the file"


def test_nothing_done_is_no_commit(bench_or_off: Bench) -> None:
    handed = bench_or_off.work("touch ignored.log; mkdir -p __pycache__; touch __pycache__/x.pyc")
    assert handed.is_empty and handed.commit == handed.base
    assert bench_or_off.scratch.git("branch", "--list", "agentos/*") == ""


@pytest.fixture
def bench_or_off(scratch: Scratch) -> Bench:
    return _bench(scratch, "off" if bubblewrap.hindrance() else "auto")


def test_a_merged_branch_begins_anew_from_the_board(bench_or_off: Bench) -> None:
    git = bench_or_off.scratch.git
    first = bench_or_off.work("echo one > one.txt")
    git("merge", "-q", "--no-ff", "-m", "Merged", f"agentos/{bench_or_off.task.id}")
    second = bench_or_off.work("cat one.txt; echo two > two.txt")
    assert second.base == git("rev-parse", "HEAD").strip() != first.base
    assert bench_or_off.files(second.commit) == ["two.txt"]


def test_names_modes_and_links_as_git_has_them(bench_or_off: Bench) -> None:
    script = "printf x > \"$(printf 'caf\\351')\"; printf y > \"$(printf 'a\\nb')\"; mkdir d; ln -s ../src/app.py d/link; echo '#!' > run; chmod +x run; git rm -q docs/guide.md; mkfifo pipe; : > -f"
    handed = bench_or_off.work(script)
    listed = bench_or_off.scratch.git(
        "-c", "core.quotePath=true", "diff", "--raw", "--no-renames", f"{handed.commit}~", handed.commit
    )
    found = {line.split("\t")[1]: line.split()[1] for line in listed.splitlines()}
    assert found == {
        '"caf\\351"': "100644", '"a\\nb"': "100644", "-f": "100644",
        "d/link": "120000", "run": "100755", "docs/guide.md": "000000",
    }  # fmt: skip


# What is left out ---------------------------------------------------------------------------------------


def test_records_policy_and_links_that_lead_out_stay_behind(bench_or_off: Bench) -> None:
    handed = bench_or_off.work(
        "echo x >> board/config.yml; echo x >> agents/technical.md; echo x >> WORKING.md; rm -r board/tasks;"
        "echo '*.py filter=x' > .gitattributes; rm .gitignore; mkdir -p .github/workflows .ci board/config.yml.d;"
        "touch .github/workflows/ci.yml .ci/run Jenkinsfile src/.gitmodules board/config.yml.d/x;"
        "ln -s /etc/passwd out; ln -s ../../x src/out; ln -s ../.git/config src/into; ln -s ../src src/fine;"
        "mkdir -p src/d; ln -s .. src/d/up; ln -s d/up/../../key src/turn; ln -s ./.././src src/back;"
        "printf -- '---\\ntype: protocol\\n---\\n' > docs/rules.md; echo more >> docs/guide.md"
    )
    assert bench_or_off.files(handed.commit) == ["docs/guide.md", "src/back", "src/d/up", "src/fine"]
    why = dict(line.split(": ", 1) for line in handed.left_out)
    assert set(why) == {
        "board/config.yml", "agents/technical.md", "WORKING.md", f"board/tasks/{bench_or_off.task.id}.md",
        "board/config.yml.d/x", ".gitattributes", ".gitignore", ".github/workflows/ci.yml", ".ci/run",
        "Jenkinsfile", "src/.gitmodules", "out", "src/out", "docs/rules.md", "src/into", "board/tasks/.gitkeep",
        "src/turn",
    }  # fmt: skip
    assert (
        "workspace: allow" in why[".gitignore"] and "tools" in why["WORKING.md"] and "leads out" in why["out"]
    )


def test_an_encoding_that_no_file_is_in_loses_no_work(bench_or_off: Bench) -> None:
    """Git gives up over it; the attributes themselves are left out, as ever."""
    handed = bench_or_off.work(
        "echo '* working-tree-encoding=UTF-16' > .gitattributes; echo x > src/new.py; echo more >> src/app.py"
    )
    assert bench_or_off.files(handed.commit) == ["src/app.py", "src/new.py"]
    assert bench_or_off.scratch.git("show", f"{handed.commit}:src/app.py") == "print('hello')\nmore\n"
    assert [line.partition(":")[0] for line in handed.left_out] == [".gitattributes"]


def test_a_person_can_open_protected_paths(bench_or_off: Bench) -> None:
    scratch = bench_or_off.scratch
    scratch.write(
        "board/config.yml", scratch.read("board/config.yml") + "workspace:\n  allow: [.gitignore, .github/]\n"
    )
    handed = bench_or_off.work(
        "echo x > .gitignore; mkdir .github; echo x > .github/ci.yml; echo x > .gitmodules"
    )
    assert bench_or_off.files(handed.commit) == [".github/ci.yml", ".gitignore"]
    assert len(handed.left_out) == 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/app.py", False), ("BOARD/config.yml", True), ("Working.md", True), ("boards/x", False),
        ("a/.GIT/config", True), ("docs/CODEOWNERS", True), (".gitlab-ci.yml", True), ("x/.github/y", True), ("agents", True),
        ("agents.py", False), ("sub/board/x", False), (".CircleCI/config.yml", True), ("docs/x.md", False),
        (".g\u200cit\ufeffhub/workflows/x.yml", True), (".GIT. /hooks/x", True), (".github::$INDEX_ALLOCATION/x", True),
        ("GITHUB~1/workflows/x.yml", True), (".github\\workflows\\x.yml", True), ("wor\u212aing.md", True),
        ("Board./config.yml", True), ("Jenkinsfile.release", True), ("Azure-Pipelines.yaml", True),
        ("src/gitter.py", False), ("Makefile", False), ("tests/conftest.py", False), ("package.json", False), ("AGENTS.md", False),
    ],
)  # fmt: skip
def test_which_paths_are_protected(path: str, expected: bool) -> None:
    assert bool(protected.why_left_out(path, "")) is expected
    assert bool(protected.why_left_out(f"sub/{path}", "sub/")) is (expected and path != "sub/board/x")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("AGENTS.md", True), ("src/claude.md", True), (".Claude/settings.json", True), (".vscode/tasks.json", True),
        (".pre-commit-config.yaml", True), (".npmrc", True), ("web/.husky/pre-push", True), ("all.code-workspace", True),
        (".vs\u200dcode/tasks.json", True), (".envrc ", True), (".mcp.json", True), (".devcontainer/devcontainer.json", True),
        ("Makefile", False), ("conftest.py", False), ("package.json", False), ("src/agents.py", False), ("vscode/x", False),
        ("docs/guide.md", False), ("café.py", False), ("\udcff", False),
    ],
)  # fmt: skip
def test_which_paths_steer_what_runs_at_peoples(path: str, expected: bool) -> None:
    assert protected.steers(path) is expected
    assert not protected.steers(path, [path]) and not protected.steers(f"x/{path}", ["X/"])


@pytest.mark.parametrize(
    "part", [".GIT", "git~1", ".g\u200ci\u200dt", ".git. .", ".git ::$DATA", "a\\.git", "..", ""]
)
def test_what_git_would_take_for_its_own_folder(part: str) -> None:
    assert protected.is_gits_own(part) and not protected.is_gits_own(f"x{part}x")


def test_a_document_is_one_in_any_case(bench_or_off: Bench) -> None:
    handed = bench_or_off.work(
        "mkdir Docs; printf -- '---\\ntype: protocol\\n---\\n' > Docs/rules.md; touch Docs/x.md"
    )
    assert bench_or_off.files(handed.commit) == ["Docs/x.md"]
    assert "a document of the board" in handed.left_out[0]


# Attacks on the clone -----------------------------------------------------------------------------------

CONFIG = """[core]
 fsmonitor = touch {mark}\n sshCommand = touch {mark}\n hooksPath = /workspace\n pager = touch {mark}
 editor = touch {mark}\n worktree = /\n[diff]\n external = touch {mark}
[alias]\n add = !touch {mark}\n status = !touch {mark}
[filter "x"]\n clean = touch {mark}\n smudge = touch {mark}\n process = touch {mark}\n required = true
[diff "x"]\n textconv = touch {mark}\n command = touch {mark}\n[uploadpack]\n packObjectsHook = touch {mark}
[remote "origin"]\n url = ext::touch {mark}\n promisor = true\n[extensions]\n partialClone = origin
"""

INSIDE_GIT = {
    "shared objects": "for f in {root}/.git/objects/*/*; do chmod u+w $f; echo x > $f; rm -f $f; done 2>/dev/null",
    "a repository inside": "git init -q src/inner; cat config >> src/inner/.git/config; touch src/inner/x",
    "a submodule": "git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),s; git init -q s; cat config >> s/.git/config",
    "refs": "git update-ref refs/agentos/claims/x HEAD; echo $(git rev-parse HEAD) > .git/refs/heads/main",
    "a head": "echo 'ref: refs/heads/main' > .git/HEAD",
    "hooks": "mkdir -p .git/hooks; for h in pre-commit post-commit pre-push post-checkout post-index-change"
    " reference-transaction; do printf '#!/bin/sh\\ntouch {mark}\\n' > .git/hooks/$h; chmod +x .git/hooks/$h; done",
    "attributes": "echo '* filter=x diff=x merge=x' | tee .gitattributes src/.gitattributes > .git/info/attributes",
    "alternates": "echo / > .git/objects/info/alternates; echo {root}/../key > .git/objects/info/http-alternates",
    "locks": "touch .git/index.lock .git/HEAD.lock .git/config.lock",
    "an index": "head -c 4096 /dev/urandom > .git/index",
    "no objects": "rm -rf .git/objects/??; head -c 999 /dev/urandom > .git/objects/pack/x.pack",
    "excludes": "rm -rf .git/info; ln -s {root}/.git .git/info",
    "config": "cat config > .git/config; mv config ~/.gitconfig",
}

INSTEAD_OF_GIT = {
    "a file": "rm -rf .git; echo 'gitdir: {root}/.git' > .git",
    "a link": "rm -rf .git; ln -s {root}/.git .git",
    "a pipe": "rm -rf .git; mkfifo .git",
    "another repository": "rm -rf .git; git init -q; git config user.name x; git config user.email x; git add -A; git commit -qm x",
}

FILES = {
    "closed files": "mkdir closed; touch closed/x; chmod 0 src closed",
    "a folder for a file": "rm docs/guide.md; mkdir -p docs/guide.md/board; touch docs/guide.md/x",
    "the board is a link": "rm -rf board; ln -s {root}/board board",
    "names": "mkdir -- -f; touch -- -f/--exec '$(touch {mark})' ':(top)x'",
    "names git never takes": "mkdir -p git~1 .GIT/hooks '.git '; touch git~1/evil .GIT/hooks/evil '.git /evil'",
}


@real
@pytest.mark.parametrize(
    "attacks", [INSIDE_GIT, INSTEAD_OF_GIT, FILES], ids=["inside git", "instead of git", "files"]
)
def test_an_attack_on_the_clone_does_nothing_outside(
    bench: Bench, attacks: dict[str, str], tmp_path: Path
) -> None:
    """The mark is never made; repository and files of the person stay as they are; the work is handed in."""
    scratch, mark = bench.scratch, tmp_path / "mark"
    (tmp_path / "key").write_text("secret")
    before = fingerprint(scratch)
    rounds = [{name: script} for name, script in attacks.items()] if attacks is INSTEAD_OF_GIT else [attacks]
    for number, scripts in enumerate(rounds):
        ws = bench.prepare()
        (ws.path / "config").write_text(CONFIG.replace("{mark}", str(mark)))
        script = "\n".join(scripts.values()).replace("{mark}", str(mark)).replace("{root}", str(scratch.root))
        bench.sh(ws, f"{script}\nrm -f config; echo work > work{number}.txt")
        handed = bench.collect(ws)
        assert b"+work\n" in workspace.diff(scratch.store, f"{handed.commit}~", handed.commit)
        here = {path.split("/")[-1] for path in bench.files(handed.commit)}
        assert not here & {"board", "WORKING.md", ".gitattributes", "inner", "s", "config", "evil"}
    again = bench.prepare()
    assert bench.sh(
        again, "rm -f ~/.gitconfig; git status --porcelain; cat work0.txt; git branch --show-current"
    ) == (f"work\n{again.branch}\n")
    assert not mark.exists()
    after = fingerprint(scratch)
    assert before.items() <= after.items()
    assert {path for path in after.keys() - before.keys() if not path.startswith(".git/objects/")} == {
        f".git/refs/heads/{again.branch}", f".git/logs/refs/heads/{again.branch}",
    }  # fmt: skip
    assert scratch.git("fsck", "--strict", "--no-dangling") == ""


@real
def test_the_traps_are_real(bench: Bench, tmp_path: Path) -> None:
    """Git run by us in the clone, as collect never does, springs them."""
    ws, mark = bench.prepare(), tmp_path / "mark"
    bench.sh(ws, f"git config core.fsmonitor 'touch {mark}'")
    subprocess.run(["git", "status"], cwd=ws.path, check=False, capture_output=True)
    assert mark.exists()


@real
def test_folders_deeper_than_any_path_hold_nothing_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentos.runtime.clones.PATIENCE", 0.5)
    deep = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
    assert bench.work(f'python3 -c "{deep}"; echo work > work.txt').left_out == ()
    assert bench.sh(bench.prepare(), "ls; cat work.txt").split()[-2:] == ["work.txt", "work"]


@real
def test_a_submodule_that_would_run_something_is_refused(bench: Bench) -> None:
    ws = bench.prepare()
    bench.sh(ws, "printf '[submodule \"s\"]\\n path = s\\n url = --upload-pack=touch\\n' > .gitmodules")
    before = fingerprint(bench.scratch)
    with pytest.raises(Refused, match=r"not sound.*disallowed submodule url"):
        bench.collect(ws)
    assert fingerprint(bench.scratch) == before


@real
def test_a_hostile_object_is_not_taken(bench: Bench) -> None:
    """A tree with `.git` in it, made by hand: git inside is not ours to trust."""
    store, ws = bench.scratch.store, bench.prepare()
    script = (
        "blob=$(echo evil | git hash-object -w --stdin)\n"
        "printf '100644 config\\0' > t; printf $(echo $blob | sed 's/../\\\\x&/g') >> t\n"
        "sub=$(git hash-object -w -t tree --literally t)\n"
        "printf '40000 .git\\0' > t; printf $(echo $sub | sed 's/../\\\\x&/g') >> t\n"
        "tree=$(git hash-object -w -t tree --literally t); rm t\n"
        'echo $tree; printf "$tree\\n^HEAD\\n" | git pack-objects -q --revs --stdout > pack; wc -c pack'
    )
    tree = bench.sh(ws, script.replace("printf $(", "/usr/bin/printf $(")).split()[0]
    before = fingerprint(bench.scratch)
    pack = handing.Pack(tree, (ws.path / "pack").read_bytes(), ())
    from agentos.runtime import clones, quarantine

    with clones.box(store) as folder, quarantine.opened(store, ws.parent, folder, ()) as held:
        with pytest.raises(Refused, match="not sound"):
            held.take(pack)
        with pytest.raises(Refused, match="not sound"):
            held.take(handing.Pack(tree, b"PACK" + os.urandom(500), ()))
    assert fingerprint(bench.scratch) == before


def test_huge_files_are_said_and_left_behind(bench_or_off: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "LARGEST", 1 << 20)
    handed = bench_or_off.work("head -c 2000000 /dev/zero > big; mkdir in; cp big in/big; echo small > small")
    assert bench_or_off.files(handed.commit) == ["small"]
    assert sorted(line.split(":")[0] for line in handed.left_out) == ["big", "in/big"]


def test_too_much_to_review_is_refused(bench_or_off: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentos.runtime.quarantine.MOST_FILES", 100)
    ws = bench_or_off.prepare()
    bench_or_off.sh(ws, "seq 101 | xargs touch")
    before = fingerprint(bench_or_off.scratch)
    with pytest.raises(Refused, match="101 changed files"):
        bench_or_off.collect(ws)
    monkeypatch.setattr(handing, "MOST_PACKED", 100)
    with pytest.raises(Refused, match="make the task smaller"):
        bench_or_off.collect(ws)
    assert fingerprint(bench_or_off.scratch) == before


def test_a_branch_that_moved_or_is_checked_out_is_a_conflict(bench_or_off: Bench) -> None:
    git = bench_or_off.scratch.git
    first = bench_or_off.work("echo one > one.txt")
    ws = bench_or_off.prepare()
    bench_or_off.sh(ws, "echo two > two.txt")
    git("update-ref", f"refs/heads/{ws.branch}", "HEAD")
    with pytest.raises(Conflict, match="was moved"):
        bench_or_off.collect(ws)
    git("update-ref", f"refs/heads/{ws.branch}", first.commit)
    git("worktree", "add", "-q", "../other", ws.branch)
    with pytest.raises(Conflict, match="checked out in"):
        bench_or_off.prepare()


# Salvage ------------------------------------------------------------------------------------------------


def test_the_work_of_a_failed_run_is_saved_and_gone_on_with(bench_or_off: Bench) -> None:
    scratch = bench_or_off.scratch
    ws = bench_or_off.prepare()
    assert workspace.salvage(scratch.store, ws, "run-0") is None
    bench_or_off.sh(ws, "echo half > half.txt; echo x >> WORKING.md")
    ref = workspace.salvage(scratch.store, ws, "run-1")
    assert ref == f"refs/agentos/salvage/{bench_or_off.task.id}/run-1"
    assert scratch.git("branch", "--list", "agentos/*") == ""
    scratch.git("commit", "-q", "--allow-empty", "-m", "The board goes on")
    subprocess.run(["rm", "-rf", str(ws.path)], check=True)
    again = bench_or_off.prepare()
    assert bench_or_off.sh(again, "git status --porcelain") == "?? half.txt\n"
    bench_or_off.sh(again, "echo whole >> half.txt")
    handed = bench_or_off.collect(again)
    assert scratch.git("show", f"{handed.commit}:half.txt") == "half\nwhole\n"
    assert bench_or_off.sh(bench_or_off.prepare(), "git status --porcelain; cat half.txt") == "half\nwhole\n"


def test_what_was_saved_is_kept_for_thirty_days(bench_or_off: Bench) -> None:
    scratch = bench_or_off.scratch
    ws = bench_or_off.prepare()
    bench_or_off.sh(ws, "echo half > half.txt")
    first = workspace.salvage(scratch.store, ws, "run-1")
    scratch.clock.forward(days=29)
    second = workspace.salvage(scratch.store, ws, "run-2")
    scratch.clock.forward(days=2)
    third = workspace.salvage(scratch.store, ws, "run-3")
    assert scratch.git("for-each-ref", "--format=%(refname)", workspace.SALVAGE).split() == [second, third]
    assert first is not None and timedelta(days=30) == workspace.KEPT


def test_the_workspace_of_a_done_task_is_swept_away(bench_or_off: Bench) -> None:
    ws, store = bench_or_off.prepare(), bench_or_off.scratch.store
    assert workspace.sweep(store, store.board()) == []
    bench_or_off.sh(ws, "mkdir closed; touch closed/x; chmod 0 closed")
    bench_or_off.scratch.act(lambda draft: tasks.move(draft, ws.task, Status.DONE))
    assert workspace.sweep(store, store.board()) == [ws.task]
    assert not ws.path.exists()


# The set-up ---------------------------------------------------------------------------------------------


def configure(scratch: Scratch, text: str) -> None:
    scratch.write("board/config.yml", scratch.read("board/config.yml") + "workspace:\n" + text)


@real
def test_a_set_up_runs_once_and_serves_other_tasks_with_the_same_locks(bench: Bench) -> None:
    scratch = bench.scratch
    scratch.write("deps.lock", "one\n")
    scratch.git("add", "deps.lock")
    scratch.git("commit", "-qm", "Locks")
    configure(
        scratch,
        "  locks: [deps.lock]\n  setup:\n    - [sh, -c, 'mkdir -p made; pwd > made/where; date +%N > made/when; echo x >> src/app.py']\n",
    )
    first = bench.prepare()
    when = bench.sh(first, "cat made/where made/when; git status --porcelain")
    assert when.startswith("/workspace\n")
    assert bench.sh(bench.prepare(), "cat made/where made/when") == when
    assert bench.collect(first).is_empty, "what the set-up made is not the agent's work"
    other = Bench(
        scratch, scratch.act(lambda draft: tasks.add(draft, "Another")).value, bench.agent, bench.sandbox
    )
    assert other.sh(other.prepare(), "cat made/where made/when; git status --porcelain") == when
    handed = other.work("echo two > deps.lock; echo bad > made/when")
    assert other.files(handed.commit) == ["deps.lock"]
    changed = other.sh(other.prepare(), "cat made/where made/when; git status --porcelain")
    assert changed != when and "bad" not in changed
    third = Bench(
        scratch, scratch.act(lambda draft: tasks.add(draft, "A third")).value, bench.agent, bench.sandbox
    )
    assert third.sh(third.prepare(), "cat made/where made/when") == when, (
        "an agent's set-up serves nobody else"
    )


@real
def test_two_tasks_are_set_up_at_once(bench: Bench) -> None:
    """Both packed what they made under one name, in the same home: one failed, or kept what was half written."""
    configure(
        bench.scratch, "  setup: [sh -c 'mkdir made; head -c 3000000 /dev/zero > made/zeros; sleep 0.3']\n"
    )
    more = bench.scratch.act(lambda draft: tasks.add(draft, "Another")).value
    both = [bench, Bench(bench.scratch, more, bench.agent, bench.sandbox)]
    with ThreadPoolExecutor(2) as pool:
        places = list(pool.map(Bench.prepare, both))
    for each, ws in zip(both, places, strict=True):
        assert each.sh(ws, "wc -c < made/zeros") == "3000000\n"
    [kept] = (bench.scratch.store.local / "setups").glob("*.tar")
    with tarfile.open(kept) as packed:
        assert "made/zeros" in packed.getnames()
    assert not list((bench.scratch.store.local / "homes/.setup").glob("*.tar"))


class Late:
    """A sandbox that unpacks a file only once somebody has removed it."""

    def __init__(self, real: Sandbox, kept: Path) -> None:
        self.name = real.name
        self.is_over = False
        self._real = real
        self._kept = kept

    def run(self, argv: Sequence[str], cell: Cell, **how: Any) -> Ended:
        if "-xf" in argv:
            self._kept.unlink()
            self.is_over = True
        return self._real.run(argv, cell, **how)


@real
def test_a_kept_set_up_goes_before_it_is_unpacked(bench: Bench) -> None:
    configure(bench.scratch, "  setup: [mkdir -p made, touch made/it]\n")
    bench.prepare()
    setups = bench.scratch.store.local / "setups"
    [kept] = setups.glob("*.tar")
    (setups / "gone.tar").symlink_to("nowhere")
    more = bench.scratch.act(lambda draft: tasks.add(draft, "Another")).value
    late = Late(bench.sandbox, kept)
    other = Bench(bench.scratch, more, bench.agent, late)
    assert other.sh(other.prepare(), "ls made") == "it\n"
    assert late.is_over and kept.exists()


@real
def test_a_review_finds_nothing_that_the_author_left(bench: Bench) -> None:
    configure(bench.scratch, "  setup: [mkdir made, cp src/app.py made/tool]\n")
    bench.work("echo evil > made/tool; echo evil > x.log; echo good > good.txt")
    reviewed = Bench(bench.scratch, bench.task.replace(status="review"), bench.agent, bench.sandbox)
    assert (
        reviewed.sh(reviewed.prepare(), "cat made/tool good.txt; ls *.log 2>/dev/null || true")
        == "print('hello')\ngood\n"
    )


@real
def test_checks_find_nothing_in_their_home_that_other_checks_left(bench: Bench) -> None:
    """The code of one author, run as a check, would run in the checks of all that follow."""
    runs = bench.agent.agentos.model_copy(update={"runner": "checks"})
    second = bench.scratch.act(lambda draft: tasks.add(draft, "Add a logout")).value
    kept, checking = (
        [
            Bench(bench.scratch, task.replace(status="review"), agent, bench.sandbox)
            for task in (bench.task, second)
        ]
        for agent in (bench.agent, bench.agent.replace(agentos=runs))
    )
    site = "$(python3 -c 'import site; print(site.getusersitepackages())')"
    poison = f"mkdir -p {site} && echo 'import os; os._exit(0)' > {site}/usercustomize.py"
    check = "python3 -c 'raise SystemExit(1)' && echo PASSED || echo failed"
    for (first, other), seen in ((checking, "failed\n"), (kept, "PASSED\n")):
        first.sh(first.prepare(), poison)
        assert other.sh(other.prepare(), check) == seen
    assert checking[0].sh(checking[0].prepare(), check) == "failed\n"
    gone = [bench.scratch.store.local / "homes/.checks" / each.task.id for each in checking]
    for each in checking:
        bench.scratch.act(lambda draft, name=each.task.id: tasks.move(draft, name, "done"))
    assert all(home.is_dir() for home in gone)
    workspace.sweep(bench.scratch.store, bench.scratch.store.board())
    assert not any(home.exists() for home in gone)


def test_a_set_up_that_fails_says_where_its_output_is(bench_or_off: Bench) -> None:
    configure(bench_or_off.scratch, "  setup: [echo begun, 'ls /no/such/place']\n")
    with pytest.raises(AgentOSError, match=r"`ls /no/such/place`: it left with 2: .*No such file") as failed:
        bench_or_off.prepare()
    log = Path(str(failed.value).rpartition("all of it: ")[2].rstrip(")."))
    assert log.read_text().startswith("$ echo begun\nbegun\n$ ls /no/such/place\nls: ")


@real
def test_mounts_are_read_only_and_the_set_up_has_no_agents_home(bench: Bench, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "tool").write_text("from outside\n")
    configure(
        bench.scratch,
        f"  mounts: [{tools}]\n  setup:\n    - [sh, -c, 'ls -A $HOME > src/home.log; touch $HOME/x']\n",
    )
    (bench.scratch.store.local / "homes/technical").mkdir(parents=True)
    (bench.scratch.store.local / "homes/technical/token").write_text("planted-key")
    ws = bench.prepare()
    assert (
        bench.sh(ws, f"cat {tools}/tool ~/token; touch {tools}/x 2>&1 | grep -o Read-only")
        == "from outside\nplanted-keyRead-only\n"
    )
    assert "token" not in bench.sh(ws, "cat src/home.log")
    configure(bench.scratch, "  mounts: [relative]\n")


@real
def test_submodules_are_fetched_and_can_be_read(bench: Bench, tmp_path: Path) -> None:
    scratch, module = bench.scratch, tmp_path / "module"
    subprocess.run(["git", "init", "-q", str(module)], check=True)
    (module / "lib.py").write_text("lib\n")
    for line in (["add", "."], ["commit", "-qm", "Lib"], ["update-server-info"]):
        subprocess.run(["git", "-C", str(module), *line], check=True)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        here = f"127.0.0.2:{server.server_port}"
        head = subprocess.run(
            ["git", "-C", str(module), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        scratch.git("config", "remote.origin.url", f"http://ada:secret@{here}/origin")
        scratch.write(".gitmodules", '[submodule "lib"]\n path = lib\n url = ../module/.git\n')
        scratch.git("update-index", "--add", "--cacheinfo", f"160000,{head.stdout.strip()},lib")
        scratch.git("add", ".gitmodules")
        scratch.git("commit", "-qm", "A submodule")
        configure(scratch, f"  submodules: true\n  network: ['{here}']\n")
        ws = bench.prepare()
        assert (
            bench.sh(ws, "cat lib/lib.py; git -C lib status --porcelain; git remote get-url origin")
            == f"lib\nhttp://{here}/origin\n"
        )
        bench.sh(
            ws,
            "echo x >> lib/lib.py; git -C lib config core.fsmonitor 'touch /workspace/mark'; echo work > work.txt",
        )
        handed = bench.collect(ws)
        assert bench.files(handed.commit) == ["work.txt"]
        assert bench.sh(bench.prepare(), "cat lib/lib.py work.txt") == "lib\nwork\n"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_pointer_of_git_lfs_is_left_alone(bench_or_off: Bench) -> None:
    scratch = bench_or_off.scratch
    scratch.write("big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n")
    scratch.git("add", "big.bin")
    scratch.git("commit", "-qm", "Large")
    handed = bench_or_off.work("echo content > big.bin; echo work > work.txt")
    assert bench_or_off.files(handed.commit) == ["work.txt"]
    assert handed.left_out == ("big.bin: a file of git LFS",)


# Diffs --------------------------------------------------------------------------------------------------


def test_a_diff_hides_nothing(bench_or_off: Bench) -> None:
    scratch = bench_or_off.scratch
    scratch.write(".gitattributes", "*.py -diff\n*.txt diff=none\nsecret -text binary\n")
    scratch.git("add", ".gitattributes")
    scratch.git("commit", "-qm", "Attributes")
    scratch.git("config", "diff.none.textconv", "true")
    scratch.git("config", "diff.none.command", "true")
    scratch.git("config", "diff.external", "true")
    scratch.git("config", "diff.noprefix", "true")
    handed = bench_or_off.work(
        "echo evil >> src/app.py; echo one > a.txt; printf 'a\\0b\\n' > secret; git mv docs/guide.md g.md"
    )
    shown = workspace.diff(scratch.store, handed.base, handed.commit)
    for line in (b"+evil\n", b"+one\n", b"+a\0b\n", b"+# A guide\n", b"-# A guide\n", b"+++ b/src/app.py\n"):
        assert line in shown


def test_a_borrowed_repository_lends_on(bench_or_off: Bench, tmp_path: Path) -> None:
    """The person's own clone has its objects elsewhere."""
    scratch = bench_or_off.scratch
    subprocess.run(
        ["git", "clone", "-q", "--shared", str(scratch.root), str(tmp_path / "shared")], check=True
    )
    shared = Scratch(tmp_path / "shared", scratch.clock)
    other = Bench(shared, bench_or_off.task, bench_or_off.agent, bench_or_off.sandbox)
    assert other.files(other.work("echo one > one.txt").commit) == ["one.txt"]

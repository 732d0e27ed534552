"""Bad input: a file that can't be read is a problem with a line, stays as it is, and stops nothing else."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Outcome, Scratch

from agentos.actions import tasks
from agentos.model.activity import Actor

BAD = "board/tasks/TASK-002-second.md"
ADA = "ada-lovelace"
GOOD = f"---\n# by hand\ntitle: Second\nstatus: assigned\nassignees: [{ADA}]\npriority: 3   # soon\n---\n\nBody\n"


def _with(line: str) -> bytes:
    return GOOD.replace("# by hand", line).encode()


@dataclass(frozen=True)
class Case:
    """What the task's file has become, and the line and a word that doctor gives for it."""

    name: str
    data: bytes
    line: int
    word: str


UNREADABLE = [
    Case("broken-yaml", _with("labels: [x"), 3, "expected ',' or ']'"),
    Case("unquoted-colon", GOOD.replace("Second", "Fix: the login").encode(), 3, "quotes"),
    Case("conflict-markers", _with("<<<<<<< HEAD\npriority: 1\n=======\npriority: 2\n>>>>>>> b"), 2, "conflict"),
    Case("duplicate-keys", _with("title: First"), 3, "duplicate key 'title'"),
    Case("anchor", _with("labels: &all [x]"), 2, "anchors"),
    Case("alias", _with("labels: *all"), 2, "aliases"),
    Case("tag", _with("labels: !!python/object:os.system x"), 2, "tags"),
    Case("merge-key", _with("<<: {priority: 1}"), 2, "merge keys"),
    Case("two-megabytes", GOOD.encode() + b"x" * (2 << 20), 1, f"{len(GOOD) + (2 << 20):,} bytes"),
    Case("long-head", _with("notes: " + "x" * (65 << 10)), 1, "64 KiB"),
    Case("nul", GOOD.replace("Body", "Bo\0dy").encode(), 9, "NUL"),
    Case("latin-1", GOOD.replace("Second", "Café").encode("latin-1"), 3, "UTF-8"),
    Case("unclosed-fence", GOOD.replace("---\n\nBody", "\nBody").encode(), 1, "never closed"),
    Case("too-deep", _with("labels: " + "[" * 9 + "]" * 9), 2, "deep"),
    Case("unknown-status", GOOD.replace("assigned", "someday", 1).encode(), 4, "someday"),
    Case("markup-in-status", GOOD.replace("assigned", "'[/red]'", 1).encode(), 4, "[/red]"),
    Case("priority-of-nine", GOOD.replace("priority: 3", "priority: 9").encode(), 6, "priority"),
    Case("no-such-day", _with("due: 2026-02-30"), 2, "due"),
    Case("no-such-hour", _with("created: 2026-02-02T25:00:00Z"), 2, "created"),
    Case("year-zero", _with("due: 0000-01-01"), 2, "due"),
    Case("list-for-a-title", GOOD.replace("Second", "[a, b]").encode(), 3, "title"),
]  # fmt: skip

ODD = [
    Case("crlf", GOOD.replace("\n", "\r\n").encode(), 1, "CRLF"),
    Case("byte-order-mark", b"\xef\xbb\xbf" + GOOD.encode(), 1, "byte order mark"),
    Case("dependency-on-nothing", _with("depends_on: [TASK-099-nothing]"), 2, "TASK-099-nothing"),
    Case("parent-that-is-not", _with("parent: TASK-099-nothing"), 2, "TASK-099-nothing"),
    Case("nobody", GOOD.replace(ADA, "nobody").encode(), 5, "nobody"),
    Case("depends-on-itself", _with("depends_on: [TASK-002-second]"), 2, "cycle"),
]

MARKED = Case(
    "conflict-in-the-body", GOOD.encode() + b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n", 10, "conflict"
)


def saved_and_committed(cases: Sequence[Any]) -> pytest.MarkDecorator:
    """Each case as a save that nobody has committed yet; every third one as a commit as well."""
    chosen = [(case, False) for case in cases] + [(case, True) for case in cases[::3]]
    names = [
        f"{getattr(case, 'name', number)}-{'committed' if commit else 'saved'}"
        for number, (case, commit) in enumerate(chosen)
    ]
    return pytest.mark.parametrize(("case", "commit"), chosen, ids=names)


@pytest.fixture
def board(scratch: Scratch) -> Scratch:
    """Two tasks; the second belongs to a person, so that no tick touches it."""
    scratch.act(lambda d: (tasks.add(d, "First"), tasks.add(d, "Second", assignees=[ADA])))
    return scratch


def save(scratch: Scratch, path: str, data: bytes, *, commit: bool = False) -> None:
    """A person's save a minute ago, perhaps committed with plain git."""
    file = scratch.write(path, data)
    os.utime(file, (time.time() - 60,) * 2)
    if commit:
        scratch.git("add", "-f", path)
        scratch.git("commit", "-qm", "mine")


def said(outcome: Outcome) -> str:
    """What was printed, without the places where lines were broken."""
    return "".join(outcome.out.split())


def one_line(outcome: Outcome, code: int, word: str = "") -> None:
    """Left with this code and one line that says why."""
    assert outcome.code == code, outcome
    assert outcome.err.startswith("error: ") and outcome.err.count("\n") == 1, outcome
    assert word in outcome.err


def diagnosed(scratch: Scratch, cli: Cli, path: str, line: int, word: str) -> None:
    """Doctor names the place and leaves with 4; the board shows it, and so does JSON."""
    doctor = cli("doctor")
    assert doctor.code == 4, doctor
    found = [text for text in doctor.out.splitlines() if text.startswith(f"{path}:{line}: ")]
    assert found and any(word in text for text in found), doctor.out
    shown = cli("board")
    assert shown.code == 0, shown
    assert f"{path}:{line}:" in said(shown), shown.out


def others_go_on(scratch: Scratch, cli: Cli) -> None:
    """Tasks can be added and edited, lists shown, and a tick does its work."""
    assert cli("task", "add", "Third").code == 0
    assert cli("task", "edit", "1", "--priority", "1").code == 0
    assert "priority: 1\n" in scratch.read("board/tasks/TASK-001-first.md")
    ticked = cli("tick")
    assert ticked.code == 0, ticked
    first = scratch.store.board().task("1")
    assert first.assignees and first.status != "inbox"


@saved_and_committed(UNREADABLE)
def test_a_file_that_cant_be_read(board: Scratch, cli: Cli, case: Case, commit: bool) -> None:
    save(board, BAD, case.data, commit=commit)
    diagnosed(board, cli, BAD, case.line, case.word)
    others_go_on(board, cli)
    head = board.git("rev-parse", "HEAD")
    for action in (
        ["edit", "2", "--priority", "1"],
        ["move", "TASK-002", "done"],
        ["block", "second", "why"],
    ):
        one_line(cli("task", *action), 4, f"{BAD}:{case.line}:")
    assert cli("task", "show", "2").code == 4
    assert board.git("rev-parse", "HEAD") == head
    assert (board.root / BAD).read_bytes() == case.data
    assert board.git("status", "--porcelain") == ("" if commit else f" M {BAD}\n")
    if commit:
        assert f"- {BAD}:{case.line}: " in board.read("WORKING.md")
    save(board, BAD, GOOD.encode())
    assert cli("task", "edit", "2", "--priority", "1").code == 0
    assert board.read(BAD) == GOOD.replace("priority: 3", "priority: 1")
    assert cli("doctor").code == 0


@saved_and_committed(ODD)
def test_a_file_that_is_odd(board: Scratch, cli: Cli, case: Case, commit: bool) -> None:
    save(board, BAD, case.data, commit=commit)
    is_shown_and_editable(board, cli, case)


def test_conflict_markers_in_a_committed_body(board: Scratch, cli: Cli) -> None:
    """In the working tree they wait: tests/test_markers.py."""
    save(board, BAD, MARKED.data, commit=True)
    is_shown_and_editable(board, cli, MARKED)


def is_shown_and_editable(board: Scratch, cli: Cli, case: Case) -> None:
    diagnosed(board, cli, BAD, case.line, case.word)
    others_go_on(board, cli)
    assert (board.root / BAD).read_bytes() == case.data
    assert board.git("status", "--porcelain") == ""
    assert f"- {BAD}:{case.line}: " in board.read("WORKING.md")
    assert cli("task", "edit", "2", "--priority", "1").code == (4 if "cycle" in case.word else 0)
    if "cycle" not in case.word:
        assert (board.root / BAD).read_bytes() == case.data.replace(b"priority: 3", b"priority: 1")


@pytest.mark.parametrize("commit", [False, True], ids=["saved", "committed"])
def test_a_link_out_of_the_tree(board: Scratch, cli: Cli, tmp_path: Path, commit: bool) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text(GOOD)
    link = board.root / BAD
    link.unlink()
    link.symlink_to(outside)
    os.utime(link, (time.time() - 60,) * 2, follow_symlinks=False)
    if commit:
        board.git("commit", "-qam", "mine")
    diagnosed(board, cli, BAD, 1, "symbolic link")
    others_go_on(board, cli)
    head = board.git("rev-parse", "HEAD")
    one_line(cli("task", "edit", "2", "--priority", "1"), 4, f"{BAD}:1:")
    assert board.git("rev-parse", "HEAD") == head
    assert link.is_symlink() and outside.read_text() == GOOD
    assert board.git("status", "--porcelain") == ("" if commit else f" T {BAD}\n")


@pytest.mark.parametrize("commit", [False, True], ids=["saved", "committed"])
def test_two_names_that_differ_only_in_case(board: Scratch, cli: Cli, commit: bool) -> None:
    twin = "board/tasks/TASK-002-Second.md"
    save(board, twin, GOOD.encode(), commit=commit)
    before = board.read(BAD)
    doctor = cli("doctor")
    assert doctor.code == 4
    assert "only in case" in doctor.out and BAD in doctor.out and twin in doctor.out
    assert "onlyincase" in said(cli("board"))
    others_go_on(board, cli)
    for name in ("TASK-002-second", "TASK-002-Second"):
        one_line(cli("task", "edit", name, "--priority", "1"), 4, "only in case")
    assert board.read(BAD) == before and board.read(twin) == GOOD
    log = board.git("log", "--format=%B", "-20")
    assert "deleted" not in log
    assert cli("doctor").code == 4


def test_a_cycle_of_two(board: Scratch, cli: Cli) -> None:
    save(board, BAD, _with("depends_on: [TASK-003-third]"))
    other = GOOD.replace("Second", "Third").replace("# by hand", "depends_on: [TASK-002-second]")
    save(board, "board/tasks/TASK-003-third.md", other.encode())
    diagnosed(board, cli, BAD, 2, "TASK-002-second → TASK-003-third → TASK-002-second")
    others_go_on(board, cli)
    assert (board.root / BAD).read_bytes() == _with("depends_on: [TASK-003-third]")
    one_line(cli("task", "edit", "1", "--add-depends", "1"), 4, "cycle")


CONFIGS = [
    ("fromat: 1", 2, "did you mean 'format'"),
    ("adopt: perhaps", 2, "adopt"),
    ("people: [ada]", 2, "people"),
    ("x: [", 4, "expected ',' or ']'"),
    ("branch: &x main", 2, "anchors"),
    ("format: 0", 2, "format"),
]


@saved_and_committed(CONFIGS)
def test_a_config_with_a_mistake(board: Scratch, cli: Cli, case: tuple[str, int, str], commit: bool) -> None:
    path = "board/config.yml"
    line, number, word = case
    name = line.partition(":")[0]
    kept = [old for old in board.read(path).splitlines() if not old.startswith((name, " ", "people"))]
    kept[1:1] = [line]
    data = ("\n".join(kept) + "\n").encode()
    save(board, path, data, commit=commit)
    diagnosed(board, cli, path, number, word)
    others_go_on(board, cli)
    assert (board.root / path).read_bytes() == data


AGENT = "agents/technical.md"
MESSAGE = "board/messages/TASK-002-second/20260202T103000Z-qa-k3f9.md"
OTHERS = [
    (AGENT, "name: technical\nagentos:\n  heartbeat: 0 9 * * *\n  timezone: Mars/Base\n", 5, "timezone"),
    (AGENT, "name: technical\nagentos: {runner: simulated, heartbeat: often}\n", 3, "heartbeat"),
    (AGENT, "name: technical\nagentos: {runner: simulated, heartbeat: 99999999999d}\n", 3, "heartbeat"),
    (AGENT, "name: technical\nagentos: {runner: simulated, heartbeat: 99 * * * *}\n", 3, "heartbeat"),
    (AGENT, "name: technical\nagentos: {max_tasks: none}\n", 3, "max_tasks"),
    (MESSAGE, "author: 'No Body'\n", 2, "author"),
    (MESSAGE, "author: qa\ntype: rant\n", 3, "rant"),
    ("board/inbox/qa.md", "read: {a: b}\n", 2, "read"),
    ("docs/plan.md", "type: poem\ntitle: x\n", 2, "poem"),
    ("docs/deep/plan.md", "title: x: y\ntype: research\n", 2, "quotes"),
]


@saved_and_committed(OTHERS)
def test_a_bad_file_of_another_kind(
    board: Scratch, cli: Cli, case: tuple[str, str, int, str], commit: bool
) -> None:
    path, text, line, word = case
    data = f"---\n{text}---\n\nBody\n".encode()
    save(board, path, data, commit=commit)
    diagnosed(board, cli, path, line, word)
    others_go_on(board, cli)
    board.clock.forward(days=2)
    assert cli("tick").code == 0
    assert (board.root / path).read_bytes() == data


def test_other_files_are_no_problem(board: Scratch, cli: Cli) -> None:
    """What only lies beside the records: notes, folders, links and things that are no files."""
    save(board, "docs/notes.md", b"---\nlayout: x: y\n---\n")
    save(board, "docs/latin.md", "Café\n".encode("latin-1"))
    save(board, "agents/README.md", b"# Agents\n")
    save(board, "board/tasks/notes.txt", b"\0")
    save(board, "docs/guide.md/page.md", b"# A folder that looks like a page\n")
    (board.root / "docs/readme.md").symlink_to("notes.md")
    assert cli("doctor").code == 0
    others_go_on(board, cli)


@pytest.mark.parametrize(
    "name",
    [b"--exec=x", b"-rf", b"a b", b"'quoted' \"twice\"", b":(exclude)x", b"*", b"$(touch pwned)", b"\xc3\xa9t\xc3\xa9"],
)  # fmt: skip
def test_a_file_with_a_strange_name_is_numbered(board: Scratch, cli: Cli, name: bytes) -> None:
    file = os.fsencode(board.root) + b"/board/tasks/" + name + b".md"
    with open(file, "wb") as stream:  # noqa: PTH123
        stream.write(b"# Try it\n")
    os.utime(file, (time.time() - 60,) * 2)
    assert cli("task", "list").code == 0
    assert cli("tick").code == 0
    assert board.store.board().task("3").title == "Try it"
    assert not os.path.exists(file)
    assert board.git("status", "--porcelain") == ""
    assert not (board.root / "pwned").exists()


@pytest.mark.parametrize("name", [b"caf\xe9", b"new\nline"], ids=["latin-1", "line-end"])
def test_a_name_that_cant_be_a_record_stops_nothing(board: Scratch, cli: Cli, name: bytes) -> None:
    file = os.fsencode(board.root) + b"/board/tasks/" + name + b".md"
    with open(file, "wb") as stream:  # noqa: PTH123
        stream.write(b"# Try it\n")
    os.utime(file, (time.time() - 60,) * 2)
    assert cli("doctor").code in (0, 4)
    assert cli("board").code == 0
    others_go_on(board, cli)


@pytest.mark.parametrize(
    "title",
    ["--exec=x", "-n", "$(touch pwned)", "`touch pwned`", "; touch pwned", "../../../pwned", "\x1b[31mred\x1b[0m",
     "[/red] [bold]", "a\u2028b", "Agent: root", "---", "- [ ] box", "{a: b}", "&x *x", "x" * 500, "日本語"],
)  # fmt: skip
def test_a_strange_title_is_only_a_title(board: Scratch, cli: Cli, title: str) -> None:
    added = cli("task", "add", "--", title)
    assert added.code == 0, added
    meant = " ".join(title.split())
    assert board.store.board().task("3").title == meant
    for command in (["task", "show", "3"], ["board"], ["log"], ["render"]):
        shown = cli(*command)
        assert shown.code == 0, shown
        assert "\x1b" not in shown.out
    assert cli("tick").code == 0
    assert not list(board.root.glob("**/pwned*"))
    trailers = board.git("log", "-1", "--format=%(trailers:key=Agent)", "--", "board/tasks")
    assert "root" not in trailers


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["board", "--at=--output=pwned"], 3),
        (["log", "--at", "-x"], 3),
        (["board", "--at", "HEAD:board"], 3),
        (["task", "show", "--", "-1"], 3),
        (["task", "edit", "1", "--set", "self=1"], 0),
        (["task", "edit", "1", "--set", "status=someday"], 2),
        (["task", "edit", "1", "--set", "due=2026-02-30"], 2),
        (["task", "edit", "1", "--due", "tomorrow"], 2),
        (["task", "edit", "1", "--add-depends", "99"], 3),
        (["task", "add", "x", "--due", "tomorrow"], 2),
        (["task", "add", "x", "--due", "2026-13-01"], 2),
        (["task", "add", "x", "--assign", "nobody"], 3),
        (["task", "add", ""], 2),
        (["task", "add", "x" * 501], 2),
        (["task", "add", "caf\udce9"], 2),
        (["task", "add", "x", "--label", "a\0b"], 0),
        (["task", "move", "1", "someday"], 2),
        (["message", "add", "1", "hi", "--as", "No Body"], 2),
        (["message", "add", "1", "hi", "--type", "rant"], 2),
        (["message", "add", "1", "hi", "--reply-to", "x"], 3),
        (["message", "add", "1", " "], 2),
        (["agent", "add", "--", "--upload-pack=x"], 2),
        (["agent", "add", "../x"], 2),
        (["agent", "add", "x", "--heartbeat", "often"], 2),
        (["agent", "add", "x", "--heartbeat", "99 * * * *"], 2),
        (["tick", "--agent", "nobody"], 3),
        (["import", "nothing.md"], 3),
        (["init", "--branch=--x"], 2),
    ],
)  # fmt: skip
def test_a_strange_argument_is_answered_in_one_line(
    board: Scratch, cli: Cli, command: list[str], code: int
) -> None:
    head = board.git("rev-parse", "HEAD")
    outcome = cli(*command)
    if code:
        one_line(outcome, code)
        assert board.git("rev-parse", "HEAD") == head
    assert outcome.code == code, outcome
    assert board.git("status", "--porcelain") == ""
    assert cli("doctor").code == 0


def test_one_name_in_two_places(board: Scratch, cli: Cli) -> None:
    """A copy of an open task under board/archive/ hides neither of them."""
    before = board.read(BAD)
    save(board, "board/archive/00xx/TASK-002-second.md", GOOD.encode())
    doctor = cli("doctor")
    assert doctor.code == 4 and BAD in doctor.out and "board/archive/00xx/TASK-002-second.md" in doctor.out
    others_go_on(board, cli)
    assert board.read(BAD) == before
    assert "archived" not in board.git("log", "--format=%B")


def test_a_clone_that_converts_line_ends_has_no_hand_edits(board: Scratch, cli: Cli, tmp_path: Path) -> None:
    """With core.autocrlf the working files differ from the commit in every line, and nobody edited them."""
    board.git("clone", "-q", "-c", "core.autocrlf=true", ".", str(tmp_path / "clone"))
    clone = Scratch(tmp_path / "clone", board.clock)
    clone.git("config", "user.email", "eve@example.com")
    assert cli("init", cwd=clone.root).code == 0
    assert cli("task", "add", "Third", cwd=clone.root).code == 0
    assert clone.git("log", "--format=%s", "origin/main..") == "TASK-003-third: created\n"
    assert clone.git("status", "--porcelain") == ""
    path = "board/tasks/TASK-003-third.md"
    clone.write(path, clone.read(path).replace("priority: 3", "priority: 1"))
    assert cli("task", "add", "Fourth", cwd=clone.root).code == 0
    assert clone.git("show", "--numstat", "--format=", "HEAD~1", path).split()[:2] == ["1", "1"]
    assert clone.git("status", "--porcelain") == ""


def test_the_mode_of_a_file_survives(board: Scratch, cli: Cli) -> None:
    file = board.root / BAD
    file.chmod(0o755)
    board.git("commit", "-qam", "mine")
    assert cli("task", "edit", "2", "--priority", "1").code == 0
    assert board.git("ls-tree", "HEAD", BAD).startswith("100755 ")
    assert os.access(file, os.X_OK)
    assert board.git("status", "--porcelain") == ""


# Repositories that can't be worked in -------------------------------------------------------------------


def test_not_a_repository(cli: Cli, tmp_path: Path) -> None:
    for command in (["board"], ["task", "add", "x"], ["tick"], ["doctor"]):
        one_line(cli(*command, cwd=tmp_path), 3, "not in a git repository")
    assert not (tmp_path / ".git").exists()


def test_a_repository_without_a_board(cli: Cli, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path / "plain"], check=True)
    one_line(cli("board", cwd=tmp_path / "plain"), 3, "agentos init")
    assert os.listdir(tmp_path / "plain") == [".git"]


def test_a_bare_repository(cli: Cli, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    before = sorted(bare.rglob("*"))
    for command in (["board"], ["task", "add", "x"], ["tick"], ["init"]):
        one_line(cli(*command, cwd=bare), 4, "bare")
    assert sorted(bare.rglob("*")) == before


def test_a_bare_repository_called_dot_git(cli: Cli, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "x/.git"], check=True)
    one_line(cli("init", cwd=tmp_path / "x"), 4, "bare")


def test_a_detached_head(cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "plain"
    subprocess.run(["git", "init", "-q", "-b", "main", root], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "one"], cwd=root, check=True)
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=root, check=True)
    one_line(cli("init", cwd=root), 2, "detached")
    assert os.listdir(root) == [".git"]
    assert cli("init", "--branch", "main", cwd=root).code == 0
    status = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, check=True)
    assert status.stdout == b""


def test_commands_on_a_detached_head_move_only_the_branch(board: Scratch, cli: Cli) -> None:
    board.git("checkout", "-q", "--detach")
    head = board.git("rev-parse", "HEAD")
    assert cli("task", "add", "Third").code == 0
    assert cli("tick").code == 0
    assert board.git("rev-parse", "HEAD") == head
    assert board.git("status", "--porcelain") == ""
    board.git("checkout", "-q", "main")
    assert cli("task", "show", "3").code == 0


def _stop_in_the_middle(scratch: Scratch, what: str) -> None:
    """Leave git in the middle of an operation on a file that is no record."""
    scratch.write("code.txt", "one\n")
    scratch.git("add", "code.txt")
    scratch.git("commit", "-qm", "one")
    scratch.git("checkout", "-qb", "other")
    scratch.write("code.txt", "other\n")
    scratch.git("commit", "-qam", "other")
    scratch.git("checkout", "-q", "main")
    scratch.write("code.txt", "two\n")
    scratch.git("commit", "-qam", "two")
    match what:
        case "merge" | "cherry-pick" | "rebase":
            scratch.git(what, "other", check=False)
        case "revert":
            scratch.git("revert", "--no-edit", "HEAD~1", check=False)
        case _:
            scratch.git("bisect", "start", "HEAD", "HEAD~2")


@pytest.mark.parametrize("what", ["merge", "cherry-pick", "revert", "rebase", "bisect"])
def test_git_in_the_middle_of_something(board: Scratch, cli: Cli, what: str) -> None:
    _stop_in_the_middle(board, what)
    before = board.git("status", "--porcelain"), board.git("rev-parse", "HEAD", "main")
    board.git("rev-parse", "main")
    one_line(cli("task", "add", "Third"), 5, f"in the middle of a {what}")
    ticked = cli("tick")
    assert ticked.code == 0 and f"in the middle of a {what}" in ticked.err
    assert (board.git("status", "--porcelain"), board.git("rev-parse", "HEAD", "main")) == before
    assert cli("board").code == 0 and cli("task", "show", "1").code == 0
    assert f"in the middle of a {what}" in cli("doctor").err
    assert cli("init").code in (0, 5)
    board.git(what, *(["reset"] if what == "bisect" else ["--abort"]))
    assert cli("task", "add", "Third").code == 0
    assert board.git("status", "--porcelain") == ""


@pytest.mark.parametrize("commit", [False, True], ids=["saved", "committed"])
def test_a_newer_format_is_refused(board: Scratch, cli: Cli, commit: bool) -> None:
    path = "board/config.yml"
    old = board.read(path)
    save(board, path, old.replace("format: 1", "format: 2\nnew_thing: [1]").encode(), commit=commit)
    head = board.git("rev-parse", "HEAD")
    for command in (["task", "add", "x"], ["task", "list"], ["board"], ["tick"], ["doctor"], ["init"]):
        one_line(cli(*command), 4, "format 2 is newer")
    assert board.git("rev-parse", "HEAD") == head
    save(board, path, old.encode(), commit=commit)
    for command in (["task", "add", "x"], ["board"], ["tick"], ["log"], ["doctor"]):
        assert cli(*command).code == 0, command


def test_an_error_is_never_blamed_on_another_agent(board: Scratch, cli: Cli) -> None:
    """The people and the adoption of a broken config are those of the last one that could be read."""
    save(board, "board/config.yml", b"adopt: [\n")
    assert cli("task", "assign", "1", ADA).code == 0
    author = board.git("log", "-1", "--format=%an")
    assert author == "Ada Lovelace\n"
    assert Actor(ADA).name in board.store.board().task("1").assignees

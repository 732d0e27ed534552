"""Sync: several clones of one board, and what it never does."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Cli, Clock, Scratch

from agentos.actions import tasks
from agentos.model import times
from agentos.model.rules import Assignment
from agentos.orchestrator.tick import Options, tick
from agentos.runtime.heartbeat import beat
from agentos.store import claims, clone, remote, sync
from agentos.store.refs import Claim
from agentos.store.remote import Remote
from agentos.store.sync import Report

STEP = 1 if int(os.environ.get("AGENTOS_KILLS", "15")) > 15 else 11
"""How many git processes further the next sync is killed."""


class Team:
    """A bare remote, and clones of a board on it."""

    def __init__(self, base: Path, clock: Clock) -> None:
        self.base = base
        self.clock = clock
        self.url = str(base / "hub.git")

    @property
    def hub(self) -> Path:
        return self.base / "hub.git"

    def clone(self, name: str, url: str | None = None) -> Scratch:
        subprocess.run(["git", "clone", "-q", url or self.url, str(self.base / name)], check=True)
        clone.set_up(self.base / name, os.environ, self.clock)
        return Scratch(self.base / name, self.clock)

    def log(self, *args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.hub), "log", *args], check=True, capture_output=True, text=True
        )
        return done.stdout


def there(here: Scratch) -> Remote:
    found = remote.find(here.store)
    assert found is not None
    return found


def synced(here: Scratch) -> Report:
    return sync.sync(here.store, there(here), here.store.person())


def head(here: Scratch) -> str:
    return here.git("rev-parse", "HEAD").strip()


@pytest.fixture(scope="session")
def hub(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare remote with the template's board on it, and two clones."""
    base = tmp_path_factory.mktemp("hub")
    subprocess.run(["git", "clone", "-q", "--bare", str(template), str(base / "hub.git")], check=True)
    for name in ("one", "two"):
        subprocess.run(["git", "clone", "-q", str(base / "hub.git"), str(base / name)], check=True)
        subprocess.run(
            ["git", "-C", str(base / name), "remote", "set-url", "origin", "../hub.git"], check=True
        )
        clone.set_up(base / name, os.environ, Clock())
    return base


@pytest.fixture
def team(hub: Path, tmp_path: Path) -> Team:
    shutil.copytree(hub, tmp_path / "team", symlinks=True)
    return Team(tmp_path / "team", Clock())


@pytest.fixture
def one(team: Team) -> Scratch:
    return Scratch(team.base / "one", team.clock)


@pytest.fixture
def two(team: Team) -> Scratch:
    return Scratch(team.base / "two", team.clock)


def test_what_one_does_the_other_has(one: Scratch, two: Scratch) -> None:
    one.act(lambda d: tasks.add(d, "First"))
    report = synced(one)
    assert (report.state, report.published, report.branch) == ("even", 1, "main")
    report = synced(two)
    assert (report.state, report.taken, report.published) == ("even", "created TASK-001", 0)
    assert head(one) == head(two)
    assert two.git("status", "--porcelain") == ""


def test_both_sides_meet_and_end_alike(one: Scratch, two: Scratch) -> None:
    one.act(lambda d: tasks.add(d, "First", needs=["a-person"]))
    synced(one)
    synced(two)
    one.act(lambda d: tasks.edit(d, "1", {"priority": 1}))
    two.act(lambda d: tasks.edit(d, "1", {"due": "2026-03-01"}))
    two.write("docs/new.md", "---\ntitle: Mine\ntype: research\n---\n\nby hand\n")
    synced(one)
    assert synced(two).published == 3
    synced(one)
    assert head(one) == head(two)
    task = one.store.board().task("1")
    assert (task.priority, task.due) == (1, "2026-03-01")
    assert "docs/new.md" in one.git("ls-files")
    body = one.git("log", "-1", "--format=%P%n%B")
    assert len(body.split("\n")[0].split()) == 2
    assert body.split("\n")[1] == "Merge origin/main"
    assert "Event: board.merged origin/main" in body and "Person: " in body
    assert [synced(here).published for here in (one, two)] == [0, 0]
    assert one.act(lambda d: None).commit is None


def test_a_persons_code_is_never_published(one: Scratch, two: Scratch, team: Team) -> None:
    one.act(lambda d: tasks.add(d, "First"))
    one.write("src/app.py", "print()\n")
    one.git("add", "src")
    one.git("commit", "-qm", "my code")
    two.act(lambda d: tasks.add(d, "Other"))
    synced(two)
    report = synced(one)
    assert (report.state, report.published, report.taken) == ("held", 0, "created TASK-001")
    assert "src/app.py" in report.notes[-1]
    assert "my code" not in team.log("--all", "--format=%s")
    one.git("push", "-q", "origin", "HEAD:main")
    one.act(lambda d: tasks.add(d, "Next"))
    assert synced(one).published == 1
    synced(two)
    assert head(one) == head(two) and (two.root / "src/app.py").exists()


def test_documents_that_are_no_records_are_a_persons_too(one: Scratch) -> None:
    one.write("docs/plain.md", "words\n")
    one.git("add", "docs")
    one.git("commit", "-qm", "words")
    assert synced(one).state == "held"


def test_a_dirty_file_stops_what_would_overwrite_it(one: Scratch, two: Scratch, cli: Cli) -> None:
    one.write("app.py", "1\n")
    one.git("add", "app.py")
    one.git("commit", "-qm", "code")
    one.git("push", "-q", "origin", "main")
    synced(two)
    one.write("app.py", "2\n")
    one.git("commit", "-qam", "more code")
    one.git("push", "-q", "origin", "main")
    two.write("app.py", "mine\n")
    two.act(lambda d: tasks.add(d, "Mine"))
    report = synced(two)
    assert report.state == "blocked" and "app.py (edited)" in report.notes[-1]
    assert two.read("app.py") == "mine\n"
    done = cli("sync", cwd=two.root)
    assert done.code == 5 and "app.py (edited)" in done.err
    two.write("other.py", "mine\n")
    two.git("checkout", "-q", "app.py")
    assert synced(two).state == "even"
    assert two.git("status", "--porcelain") == "?? other.py\n"


def test_a_protected_branch_goes_beside(one: Scratch, two: Scratch, team: Team) -> None:
    hook = team.hub / "hooks/update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/heads/main\n')
    hook.chmod(0o755)
    one.act(lambda d: tasks.add(d, "First"))
    report = synced(one)
    assert (report.state, report.branch, report.published) == ("even", "agentos/board", 1)
    assert "does not take main" in report.notes[-1]
    two.act(lambda d: tasks.add(d, "Second"))
    assert synced(two).branch == "agentos/board"
    synced(one)
    assert head(one) == head(two)
    assert synced(one) == Report("origin", branch="main")


def test_a_remote_that_is_away(one: Scratch, team: Team, cli: Cli) -> None:
    one.act(lambda d: tasks.add(d, "First", needs=["technical"]))
    one.git("remote", "set-url", "origin", "https://ada:secret@127.0.0.1:1/x.git")
    done = cli("sync", cwd=one.root)
    assert done.code == 1 and "away" in done.err and "secret" not in done.err
    done = cli("tick", cwd=one.root)
    assert done.code == 0 and "away" in done.err and "No agent is woken" in done.err
    assert "secret" not in done.err and one.store.refs().claims == {}
    one.act(lambda d: d.write("board/config.yml", b"remote: none\n"))
    assert cli("sync", cwd=one.root).code == 3
    assert "away" not in cli("tick", cwd=one.root).err
    assert one.store.board().task("1").status == "review"


def test_without_a_remote_nothing_is_asked(scratch: Scratch, cli: Cli) -> None:
    assert cli("sync").code == 3
    assert cli("sync", "--remote", "nope").code == 3
    assert cli("tick").code == 0


def test_a_shallow_clone_is_refused(team: Team, cli: Cli) -> None:
    Scratch(team.base / "one", team.clock).act(lambda d: tasks.add(d, "First"))
    synced(Scratch(team.base / "one", team.clock))
    place = team.base / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{team.hub}", str(place)], check=True)
    done = cli("sync", cwd=place)
    assert done.code == 4 and "shallow" in done.err
    assert cli("tick", cwd=place).code == 0


def test_the_report_as_json(one: Scratch, cli: Cli) -> None:
    one.act(lambda d: tasks.add(d, "First"))
    done = cli("sync", "--json", cwd=one.root)
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "remote": "origin", "state": "even", "taken": "", "published": 1, "branch": "main", "notes": [],
    }  # fmt: skip


def test_one_name_on_two_machines(one: Scratch, two: Scratch) -> None:
    one.act(lambda d: tasks.add(d, "Same", priority=1))
    two.act(lambda d: tasks.add(d, "Same", priority=2))
    two.act(lambda d: tasks.add(d, "After", depends_on=["1"]))
    one.act(lambda d: tasks.add(d, "Other"))
    synced(one)
    report = synced(two)
    assert "Renamed: TASK-001-same TASK-003-same" in two.git("log", "-1", "--format=%B")
    assert report.notes == ("TASK-001-same was made on another machine as well; ours is TASK-003-same now.",)
    synced(one)
    board = one.store.board()
    assert sorted(board.tasks) == ["TASK-001-same", "TASK-002-after", "TASK-002-other", "TASK-003-same"]
    assert board.tasks["TASK-002-after"].depends_on == ("TASK-003-same",)
    assert board.tasks["TASK-001-same"].priority == 1
    assert head(one) == head(two)


# Claims -------------------------------------------------------------------------------------------------


def claim(here: Scratch, agent: str = "technical", minutes: int = 60) -> Claim:
    moment = here.clock.now
    end = times.stamp(moment + timedelta(minutes=minutes))
    return Claim("TASK-001-first", agent, claims.run_id(agent, moment), end, 1, "here")


def test_a_claim_holds_on_every_machine(one: Scratch, two: Scratch, team: Team) -> None:
    mine, other = claim(one), claim(two)
    assert claims.take(one.store, mine, there(one))
    assert not claims.take(two.store, other, there(two))
    assert two.store.refs().claims == two.store.refs().held == {}
    synced(two)
    assert list(two.store.refs().theirs) == ["TASK-001-first"]
    claims.renew(one.store, mine, team.clock.now + timedelta(hours=2), there(one))
    synced(two)
    assert two.store.refs().theirs == one.store.refs().claims == one.store.refs().held
    with pytest.raises(claims.Gone):
        claims.renew(one.store, mine, team.clock.now, there(one))
    assert claims.drop(one.store, mine, there(one))
    assert one.store.refs().held == {}
    assert claims.take(two.store, other, there(two))
    synced(two)
    assert two.store.refs().theirs == {}


def test_a_task_runs_once_even_where_the_board_is_old(one: Scratch, two: Scratch) -> None:
    one.act(lambda d: tasks.add(d, "First", assignees=["technical"]))
    synced(one)
    synced(two)
    assert [b.outcome for b in tick(one.store, Options()).beats] == ["settled"]
    assert one.store.refs().held == {}
    two.act(lambda d: tasks.move(d, "1", "in_progress"))
    done = beat(two.store, Assignment("technical", "TASK-001-first", False))
    assert (done.outcome, done.text) == ("passed", "it has moved on")
    assert two.store.refs().claims == two.store.refs().held == {}
    assert two.store.board().task("1").status == "review"


def test_a_settled_claim_stays_until_its_commit_is_published(one: Scratch, two: Scratch, team: Team) -> None:
    one.act(lambda d: tasks.add(d, "First", assignees=["technical"]))
    synced(one)
    synced(two)
    one.write("app.py", "1\n")
    one.git("add", "app.py")
    one.git("commit", "-qm", "code")
    assert [b.outcome for b in tick(one.store, Options()).beats] == ["settled"]
    assert list(one.store.refs().held) == ["TASK-001-first"] and one.store.refs().claims == {}
    assert tick(two.store, Options()).beats == ()
    team.clock.forward(minutes=50)
    synced(one)
    team.clock.forward(minutes=30)
    assert tick(two.store, Options()).beats == ()
    one.git("push", "-q", "origin", "main")
    assert synced(one).published == 0
    assert one.store.refs().held == {}
    synced(two)
    assert two.store.refs().theirs == {}
    assert two.store.board().task("1").status == "review"


def test_a_dead_machines_claim_is_released(one: Scratch, two: Scratch, team: Team) -> None:
    one.act(lambda d: tasks.add(d, "First", assignees=["technical"]))
    synced(one)
    assert claims.take(one.store, claim(one), there(one))
    assert tick(two.store, Options()).beats == ()
    team.clock.forward(minutes=66)
    report = tick(two.store, Options())
    assert "of technical on here on TASK-001-first had expired" in report.notes[0]
    assert [b.outcome for b in report.beats] == ["settled"]


# Over HTTP, and killed --------------------------------------------------------------------------------


class Backend(BaseHTTPRequestHandler):
    """`git http-backend` as a CGI program."""

    root = ""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        env = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "ada",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        done = subprocess.run(
            ["git", "http-backend"], input=self.rfile.read(length), env=env, capture_output=True, check=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(team: Team) -> Iterator[str]:
    kind = type("Served", (Backend,), {"root": str(team.base)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hub.git"
    server.shutdown()
    thread.join()
    server.server_close()


def test_over_http(team: Team, one: Scratch, two: Scratch, served: str) -> None:
    one.git("remote", "set-url", "origin", served)
    one.act(lambda d: tasks.add(d, "First", assignees=["technical"]))
    assert synced(one).published == 1
    assert claims.take(one.store, claim(one), there(one))
    assert not claims.take(two.store, claim(two), there(two))
    assert synced(two).taken == "created TASK-001"
    assert list(two.store.refs().theirs) == ["TASK-001-first"]


KILLED = """
import os, subprocess, sys
from datetime import UTC, datetime
from pathlib import Path
from agentos.store import remote, sync
from agentos.store.repository import Store
left = int(sys.argv[1])
real = subprocess.Popen.__init__
def counted(*args, **kwargs):
    global left
    left -= 1
    if not left:
        os._exit(9)
    real(*args, **kwargs)
store = Store.open(Path.cwd(), os.environ, lambda: datetime(2026, 2, 2, 10, 30, tzinfo=UTC))
subprocess.Popen.__init__ = counted
there = remote.find(store)
sync.sync(store, there, store.person())
"""


def test_killed_half_way_the_next_one_goes_on(team: Team, one: Scratch, two: Scratch) -> None:
    """Killed before each of its git processes in turn."""
    for count in range(1, 200, STEP):
        for here in (one, two):
            title = f"Number {count} of {here.root.name}"
            here.act(lambda d, title=title: tasks.add(d, title))  # type: ignore[misc]
        synced(two)
        done = subprocess.run([sys.executable, "-c", KILLED, str(count)], cwd=one.root, check=False)
        assert synced(one).state == "even"
        synced(two)
        assert head(one) == head(two)
        assert one.git("status", "--porcelain") == two.git("status", "--porcelain") == ""
        if done.returncode == 0:
            break
    assert count > 20
    assert len(one.store.board().tasks) == len(range(1, count + 1, STEP)) * 2
    one.git("fsck", "--strict")

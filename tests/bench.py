"""The figures of DESIGN.md, section 11: what AgentOS costs, as ratios to floors measured in the same run.

    python tests/bench.py [--quick] [--sizes 1000,10000]

CPU is user + system time, children included: the least of several runs, of transactions the median. A figure
and its floor are measured in turns, so that a busy machine slows both. Backlog.md (npm package backlog.md) is
looked for in $BACKLOG, then on PATH.
"""

import argparse
import gc
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from agentos.actions import agents, pages, setup, tasks
from agentos.actions.teams import FULL
from agentos.errors import Refused
from agentos.model import ids
from agentos.model.records import Task
from agentos.runtime import sandbox
from agentos.store import clone, codec
from agentos.store.cache import uncollected
from agentos.store.draft import Draft
from agentos.store.repository import Store
from agentos.store.transaction import transact

SEED = 20260202
RUNS, TRANSACTIONS, COMMITS = 7, 30, 10_000
FSYNC = "core.fsync=loose-object,reference"
"""What a transaction has on disk before it is acknowledged; git syncs none of it unless told to."""

AGENTOS = str(Path(sys.executable).with_name("agentos"))
BACKLOG = os.environ.get("BACKLOG") or shutil.which("backlog") or ""
NOTHING = "import typer\napp = typer.Typer()\n@app.command()\ndef nothing() -> None: ...\napp()\n"
BEATS = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from agentos.cli import beat
from agentos.model.rules import Assignment
from agentos.runtime import apart
from agentos.store.repository import Store

store = Store.open(Path.cwd(), os.environ, lambda: datetime.now(UTC))
with beat.nursery() as nursery:
    nursery.open()
    for name in sys.argv[1:]:
        start = time.perf_counter()
        done = apart.beat(store, Assignment("bench", name), {}, nursery, "60m")
        assert done.outcome == "settled", done
        print(1000 * (time.perf_counter() - start))
"""
"""Heartbeats one after another, as a tick has them: in a process with no more in it than a tick's."""

BACKLOG_TASK = (
    "---\n{head}---\n\n## Description\n\n<!-- SECTION:DESCRIPTION:BEGIN -->\n{text}\n<!-- SECTION:DESCRIPTION:END "
    "-->\n\n## Acceptance Criteria\n<!-- AC:BEGIN -->\n{boxes}\n<!-- AC:END -->\n"
)

Run = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A figure in ms, the floor it is compared with, and the most times the floor that it may be."""

    what: str
    size: int
    figure: float
    floor_name: str = ""
    floor: float = 0.0
    most: float = 0.0

    def cells(self) -> list[str]:
        verdict = ("met" if self.figure <= self.most * self.floor else "NOT MET") if self.most else ""
        target = f"≤ {_ratio(self.most)}" if self.most else ""
        ratio, floor = (_ratio(self.figure / self.floor), f"{self.floor:.1f}") if self.floor else ("", "")
        figures = (f"{self.size:,}", f"{self.figure:.1f}", self.floor_name, floor, ratio)
        return [self.what, *figures, target, verdict]


def _ratio(value: float) -> str:
    return f"{value:.2f} ×" if value >= 1 else f"1/{1 / value:.1f}"


def timed(run: Run) -> tuple[float, float]:
    """The CPU and the wall time of one call in ms, children that were waited for included."""
    gc.collect()
    start, begun = time.perf_counter(), used()
    run()
    return 1000 * (used() - begun), 1000 * (time.perf_counter() - start)


def used() -> float:
    """User and system time so far, in seconds."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def in_turns(runs: int, *these: Run) -> list[float]:
    """The least CPU of each, measured in turns after one warm-up."""
    for run in these:
        run()
    samples = [[timed(run)[0] for run in these] for _ in range(runs)]
    return [min(column) for column in zip(*samples, strict=True)]


def command(folder: Path, *args: str) -> Callable[[], str]:
    """A process to run in a folder; a failure ends the benchmark."""

    def run() -> str:
        done = subprocess.run(args, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(args)}: {done.stderr}")
        return done.stdout.strip()

    return run


VERBS = ["Add", "Fix", "Document", "Measure", "Design", "Review", "Migrate", "Simplify", "Test", "Remove"]
NOUNS = ["login form", "search index", "billing export", "job queue", "audit log", "team page", "upload API"]
LABELS = ["api", "ui", "infra", "docs", "security", "performance", "data"]
WORDS = ["the", "user", "sees", "when", "it", "fails", "and", "nobody", "waits", "for", "a", "part"]


def prose(rng: random.Random, how_many: int) -> list[str]:
    return [" ".join(rng.choices(WORDS, k=rng.randint(9, 19))).capitalize() + "." for _ in range(how_many)]


def records(size: int) -> Iterator[tuple[Task, str]]:
    """Tasks with their text: half are done, and every open one waits, so that a tick has nothing to do.

    The first is a person's; the others wait for it, for their children, or for a reason.
    """
    rng = random.Random(SEED)
    titles = [f"{rng.choice(VERBS)} the {rng.choice(NOUNS)} of part {n}" for n in range(1, size + 1)]
    names = [ids.task_id(n, ids.slugify(title)) for n, title in enumerate(titles, 1)]
    agents = [member.name for member in FULL if member.name != "orchestrator"]
    for i, (name, title) in enumerate(zip(names, titles, strict=True)):
        is_goal, is_done = i % 20 == 1, i % 2 == 1 and i % 20 != 1
        status = "in_progress" if is_goal or not i else "done" if is_done else "assigned"
        fields: dict[str, Any] = {"title": title, "status": status, "priority": rng.randint(1, 5)}
        if not is_goal:
            fields["assignees"] = [rng.choice(agents) if i else "ada-lovelace"]
        if i % 20 in range(2, 10):
            fields["parent"] = names[i - i % 20 + 1]
        if is_done:
            fields["resolution"] = "completed"
        elif i and not is_goal:
            waits = {"depends_on": sorted({names[0], names[rng.randrange(i)]})}
            fields |= waits if rng.random() < 0.9 else {"blocked": "waits for the provider's answer"}
        fields |= {"labels": rng.sample(LABELS, 2), "created_by": "ada-lovelace"}
        fields["created"] = f"{datetime(2026, 1, 1) + timedelta(minutes=i):%Y-%m-%dT%H:%M:%SZ}"
        boxes = "\n".join(f"- [{'x' if is_done else ' '}] {line}" for line in prose(rng, 2))
        body = "\n".join([*prose(rng, 4), "", "## Acceptance criteria", "", boxes])
        yield Task.at(f"board/tasks/{name}.md", fields), body


def empty_board(root: Path) -> Store:
    """A repository set up by AgentOS, with the full team of simulated agents."""
    store, _ = clone.set_up(root, os.environ, lambda: datetime.now(UTC), "main")
    team = ("full", "simulated", lambda path: None)
    transact(store, lambda draft: setup.init(draft, "main", *team), store.person(), subject="a board")
    return store


def make_board(root: Path, size: int) -> Store:
    """A board of `size` tasks, committed with plain git, then brought up to date by AgentOS itself."""
    store = empty_board(root)
    for task, body in records(size):
        (root / task.path).write_bytes(codec.new_file(task, body))
    command(root, "git", "add", "board")()
    command(root, "git", "commit", "-qm", "tasks")()
    pages.restore(store, store.person())
    return store


def make_backlog(root: Path, size: int) -> None:
    """The same tasks in Backlog.md's own format."""
    root.mkdir()
    command(root, "git", "init", "-q")()
    command(root, BACKLOG, "init", "B", "--defaults", "--integration-mode", "none")()
    command(root, BACKLOG, "config", "set", "remoteOperations", "false")()
    for n, (task, body) in enumerate(records(size), 1):
        text, _, boxes = body.partition("\n\n## Acceptance criteria\n\n")
        boxes = "\n".join(f"{line[:5]} #{i} {line[6:]}" for i, line in enumerate(boxes.splitlines(), 1))
        fields = {
            "id": f"TASK-{n}", "title": task.title, "ordinal": n * 1000, "labels": list(task.labels),
            "status": {"done": "Done", "in_progress": "In Progress"}.get(task.status, "To Do"),
            "assignee": [f"@{name}" for name in task.assignees], "created_date": str(task.created)[:10],
            "dependencies": [f"TASK-{int(name.split('-')[1])}" for name in task.depends_on],
            "priority": ("high", "high", "medium", "low", "low")[task.priority - 1],
        }  # fmt: skip
        data = BACKLOG_TASK.format(head=yaml.safe_dump(fields, sort_keys=False), text=text, boxes=boxes)
        (root / f"backlog/tasks/task-{n} - {task.title.replace(' ', '-')}.md").write_text(data)
    command(root, "git", "add", ".")()
    command(root, "git", "commit", "-qm", "tasks")()


def transactions(store: Store, root: Path, size: int) -> Iterator[Row]:
    """One transaction beside `git status`, and beside `git commit --only` in a copy of the repository."""
    copy, numbers = root.with_name(f"{root.name}-git"), count(1)
    shutil.copytree(root, copy)
    command(copy, "git", "status")()
    file = next(copy.glob("board/tasks/TASK-*.md"))

    def edit() -> None:
        n = next(numbers)
        ref, changes = str(1 + 2 * (7 * n % (size // 2))), {"priority": n % 5 + 1, "estimate": f"{n}h"}
        assert transact(store, lambda draft: tasks.edit(draft, ref, changes), store.person()).commit

    status = command(root, "git", "status", "--porcelain")
    commit = command(copy, "git", "-c", FSYNC, "commit", "--only", "-qm", "x", "--", str(file))
    samples = []
    edit()
    for _ in range(TRANSACTIONS):
        with file.open("a") as stream:
            stream.write("One more line.\n")
        samples.append((*timed(edit), timed(status)[0], timed(commit)[1]))
    spent, lasted, looked, committed = map(statistics.median, zip(*samples, strict=True))
    yield Row("one transaction, CPU", size, spent, "git status", looked, most=3)
    yield Row("one transaction, wall", size, lasted, "git commit --only, synced", committed, most=1)


def loads(store: Store, root: Path, size: int) -> Iterator[Row]:
    """Reading a whole board: without the cache, with it, and with every task looked at."""
    files = [*root.glob("board/tasks/*.md"), *root.glob("agents/*.md"), *root.glob("docs/*.md")]

    def first() -> None:
        shutil.rmtree(store.local / "cache")
        store.board()

    def parse() -> list[object]:
        heads = (file.read_bytes().removeprefix(b"---\n").partition(b"\n---\n")[0] for file in files)
        with uncollected():
            return [yaml.load(head, Loader=yaml.CSafeLoader) for head in heads]

    figure, floor = in_turns(2 if size > 2000 else RUNS, first, parse)
    yield Row("first load, empty cache", size, figure, "split + CSafeLoader", floor, most=1.2)
    time.sleep(0.05)
    store.board()
    these = (store.board, lambda: list(store.board().tasks.values()), lambda: listed(root))
    lazily, decoded, floor = in_turns(2 * RUNS, *these)
    yield Row("later load, lazily", size, lazily, "list + stat", floor, most=1.5)
    yield Row("later load, all decoded", size, decoded, "list + stat", floor, most=3)


def listed(root: Path) -> None:
    """List and stat the files, and nothing more."""
    for folder in (root / name for name in ("board", "board/tasks", "agents", "docs")):
        with os.scandir(folder) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)


def processes(store: Store, root: Path, size: int) -> Iterator[Row]:
    """Whole commands beside a program that does nothing, and beside Backlog.md."""
    script, numbers, is_small = root.with_name("nothing.py"), count(), size <= 1000
    script.write_text(NOTHING)
    pages.restore(store, store.person())
    head = store.refs().head
    whole = command(root, AGENTOS, "task", "list", "--all", "--limit", "0")
    listing, tick = command(root, AGENTOS, "task", "list"), command(root, AGENTOS, "tick")
    ours = in_turns(RUNS, listing, tick, whole, command(root, sys.executable, str(script)))
    assert head == store.refs().head, "the tick was not idle"
    edit = [command(root, AGENTOS, "task", "edit", "3", "--set", f"estimate={n}h") for n in range(RUNS + 1)]
    add = command(root, AGENTOS, "task", "add", "One more task")
    edited, added = in_turns(RUNS, lambda: edit[next(numbers)](), add)
    floor = ("typer, nothing", ours[3])
    yield Row("agentos task list", size, ours[0], *floor, most=1.5 * is_small)
    yield Row("agentos tick, idle", size, ours[1], *floor, most=2 * is_small)
    yield Row("agentos task edit, with a commit", size, edited, *floor)
    if BACKLOG:
        theirs = backlog_figures(root.with_name(f"backlog-{size}"), size)
        most = 1 / 4 if is_small else 1 / 20
        yield Row("task list, all of them", size, ours[2], "backlog task list", theirs[0], most=most)
        yield Row("task edit, with a commit", size, edited, "backlog task edit", theirs[1], most=is_small / 4)
        yield Row("task add, with a commit", size, added, "backlog task create", theirs[2])


def heartbeats(store: Store, root: Path, size: int) -> Iterator[Row]:
    """A heartbeat in a process of its own, besides model and checks: its command writes one file.

    Once as a tick with others loaded meets it, and once as all that a tick from cron takes longer for it.
    """
    if size > 1000:
        return
    copy = root.with_name(f"{root.name}-beats")
    shutil.copytree(root, copy, symlinks=True)
    root, store = copy, Store.open(copy, os.environ, lambda: datetime.now(UTC))
    settings = {"runner": "command", "command": ["sh", "-c", "date +%N > made.txt"]}
    try:
        sandbox.find("auto")
    except Refused:
        with (root / "board/config.yml").open("a") as config:
            config.write("sandbox: 'off'\n")

    def prepare(draft: Draft) -> list[str]:
        agents.add(draft, "bench", agentos=settings | {"max_tasks": 2 * RUNS + 1})
        made = [tasks.add(draft, f"Beat {n}", assignees=["bench"]).id for n in range(2 * RUNS + 1)]
        for name in made:
            draft.put(draft.task(name).replace(status="in_progress"))
        return made

    names = transact(store, prepare, store.person()).value
    os.sync()  # what making the board left to be written is no part of it
    beats = command(root, sys.executable, "-P", "-c", BEATS, *names[: RUNS + 1])
    lasted = [float(line) for line in beats().splitlines()]
    cloned = []
    for _ in range(RUNS):
        cloned.append(timed(command(root, "git", "clone", "-q", "--shared", ".", ".git/copy"))[1])
        shutil.rmtree(root / ".git/copy")
    figure = statistics.median(lasted[1:])
    yield Row("heartbeat besides model and checks, wall", size, figure, "fixed", 500, most=1)
    yield Row(
        "  beside a plain clone of the whole repository",
        size,
        figure,
        "git clone --shared",
        statistics.median(cloned),
    )
    woken, idle = (command(root, AGENTOS, "tick", "--agent", name) for name in ("bench", FULL[-1].name))
    both = [(timed(woken)[1], timed(idle)[1]) for _ in range(RUNS)]
    late = [name for name in names if store.board().tasks[name].status != "review"]
    assert not late, late
    yield Row(
        "tick with one, less an idle tick, wall",
        size,
        statistics.median(a - b for a, b in both),
        "fixed",
        500,
    )


def backlog_figures(root: Path, size: int) -> list[float]:
    """CPU of Backlog.md's list, edit and create; it does not commit."""
    make_backlog(root, size)
    numbers, runs = count(), 1 if size > 2000 else 3
    edit = [command(root, BACKLOG, "task", "edit", "4", "--priority", to) for to in ["high", "low"] * runs]
    others = [command(root, BACKLOG, "task", *args) for args in (["list", "--plain"], ["create", "One more"])]
    return in_turns(runs, others[0], lambda: edit[next(numbers)](), others[1])


def history(base: Path) -> Iterator[Row]:
    """The last 20 activities of one task among many commits, without and with changed-path filters."""
    store = empty_board(base / "history")
    files = [(task, codec.new_file(task, body)) for task, body in records(1000)]
    stream, root = b"".join(commits(files, str(store.refs().head))), base / "history"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=stream, check=True)
    path = files[500][0].path
    assert len(store.activities(20, paths=[path])) == COMMITS // 1000 + 1
    for what, most, *args in (
        ("history of a task, as git packs it", 0, "repack", "-adfq"),
        ("  with changed-path filters", 0, "commit-graph", "write", "--reachable", "--changed-paths"),
        ("  and delta chains of at most 10", 1, "repack", "-adfq", "--depth=10"),
    ):
        command(root, "git", *map(str, args))()
        figures = in_turns(3, lambda: store.activities(20, paths=[path]))
        yield Row(str(what), COMMITS, figures[0], "fixed", 50, most=int(most))


def commits(files: Sequence[tuple[Task, bytes]], head: str) -> Iterator[bytes]:
    """A stream for git fast-import: all tasks in one commit, then one task and the page in each."""
    for i in range(COMMITS + 1):
        task, data = files[i % len(files)]
        said = f"{task.id}: edited\n\nAgent: qa\nTask: {task.id}\nEvent: task.edited {task.id}\n".encode()
        yield b"commit refs/heads/main\ncommitter qa <qa@agentos.invalid> %d +0000\n" % (1770000000 + i)
        yield b"data %d\n%s\n" % (len(said), said) + (b"" if i else b"from %s\n" % head.encode())
        changed = [(task.path, data + b"%d\n" % i)] if i else [(each.path, text) for each, text in files]
        for path, text in [*changed, ("WORKING.md", b"Last Updated: %d\n" % i)]:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(text), text)


def measure(sizes: Sequence[int]) -> Iterator[Row]:
    """Every row, in a folder and an environment where nobody's git settings have a part."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "AGENTOS_"))]:
        del os.environ[name]
    who = "[user]\n name = Ada Lovelace\n email = ada@example.com\n[init]\n defaultBranch = main\n"
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        base = Path(folder)
        os.environ |= {"HOME": folder, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}
        (base / ".gitconfig").write_text(who)
        for size in sizes:
            store = make_board(base / f"board-{size}", size)
            for rows in (heartbeats, transactions, loads, processes):
                yield from rows(store, base / f"board-{size}", size)
        yield from history(base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000", help="how many tasks, comma-separated")
    parser.add_argument("--quick", action="store_true", help="1,000 tasks only")
    options = parser.parse_args()
    sizes = [1000] if options.quick else list(map(int, options.sizes.split(",")))
    start, missed = time.monotonic(), 0
    table = Table("what", "size", "ms", "floor", "ms", "ratio", "target", "", box=None)
    about = f"{command(Path(), 'git', 'version')()}, {os.cpu_count()} cores, {RUNS} runs"
    print(f"Seed {SEED}, sizes {sizes}, Python {platform.python_version()}, {about}.")
    print("" if BACKLOG else "No `backlog` in $BACKLOG or on PATH: its rows are left out.\n")
    with Live(table, console=Console(width=None if sys.stdout.isatty() else 130)):
        for cells in (row.cells() for row in measure(sizes)):
            missed += cells[-1] == "NOT MET"
            table.add_row(*cells, style={"met": "green", "NOT MET": "red"}.get(cells[-1], ""))
    print(f"\n{missed} targets not met; {time.monotonic() - start:.0f} s.")


if __name__ == "__main__":
    main()

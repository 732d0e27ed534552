"""Four clones on one remote, agents and people on each: nothing is lost, nothing runs twice, nothing leaks.

The size is the number of rounds, each five minutes of simulated time in which every clone ticks at once, its
person adds, edits by hand, comments, commits code and now and then pushes it, and the remote goes away for
some of the rounds. At the end the remote is there, everybody pushes, and all clones must be the same.
"""

import os
import random
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ground
from conftest import Clock, Scratch
from ground import Run

from agentos.actions import messages, tasks
from agentos.errors import AgentOSError
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.orchestrator.tick import Options, tick
from agentos.store import clone, remote, sync

CLONES = 4
AWAY = 0.15
"""How often the remote is away for a round."""

LAST = 60
"""Rounds at the end at most, after everybody has pushed, in which nobody adds anything, until all is done."""

DEEDS = ("add", "add", "same", "say", "edit", "write", "code", "push")


class Member:
    """One clone with its person: what they were told was done, and the code that is theirs alone."""

    def __init__(self, place: Path, name: str, clock: Clock, run: Run) -> None:
        subprocess.run(["git", "clone", "-q", str(place / "hub.git"), str(place / name)], check=True)
        self.here = Scratch(place / name, clock)
        for key, value in (("name", f"Person {name}"), ("email", f"{name}@example.com")):
            self.here.git("config", f"user.{key}", value)
        clone.set_up(self.here.root, os.environ, clock)
        self.name = name
        self.run = run
        self.chance = random.Random(f"{ground.SEED}-{name}")
        self.count = 0
        self.titles: set[str] = set()
        self.said: set[str] = set()
        self.written: set[str] = set()
        self.private: set[str] = set()

    def work(self) -> None:
        """What a person does between two ticks."""
        for _ in range(self.chance.randrange(3)):
            self.count += 1
            self.do(self.chance.choice(DEEDS), f"{self.name}-{self.count}")
            self.run.count("deeds")

    def do(self, what: str, token: str) -> None:
        match what:
            case "add":
                self.here.act(lambda d: tasks.add(d, f"Do {token}", priority=self.chance.randrange(1, 6)))
                self.titles.add(f"Do {token}")
            case "same":
                self.here.act(lambda d: tasks.add(d, "The same", body=f"Of {token}."))
                self.written.add(f"Of {token}.")
            case "code":
                self.here.write(f"src/{token}.py", f"{token}\n")
                self.here.git("add", "src")
                self.here.git("commit", "-qm", f"code {token}", "--", "src")
                self.private.add(f"code {token}")
            case "push":
                self.push()
            case _ if found := list(self.here.store.board().tasks.values()):
                self.touch(what, self.chance.choice(found), token)

    def touch(self, what: str, task: Task, token: str) -> None:
        if what == "say":
            self.here.act(lambda d: messages.add(d, task.id, f"Said {token}"))
            self.said.add(f"Said {token}")
        elif what == "edit":
            self.here.act(lambda d: tasks.edit(d, task.id, {}, add_to={"labels": [token]}))
            self.written.add(token)
        else:
            self.here.write(task.path, self.here.read(task.path) + f"\nWritten {token}.\n")
            self.written.add(f"Written {token}.")

    def push(self) -> None:
        """Publish the code, as a person does: when it is refused, another time."""
        there = remote.find(self.here.store)
        assert there is not None
        if sync.sync(self.here.store, there, self.here.store.person()).state in ("away", "blocked"):
            return
        if not self.here.git("push", "-q", "origin", "HEAD:main", check=False):
            pushed = self.here.git("log", "--format=%s", "refs/remotes/origin/main").splitlines()
            self.private -= set(pushed)

    def tick(self) -> None:
        try:
            report = tick(self.here.store, Options(jobs=2))
        except AgentOSError as error:
            self.run.require(False, f"{self.name}: a tick raised {error}")
            return
        for beat in report.beats:
            self.run.count(f"runs {beat.outcome}")
            self.run.require(beat.outcome != "failed", f"{self.name}: {beat}")

    @property
    def head(self) -> str:
        return self.here.git("rev-parse", "HEAD").strip()


class World:
    """The remote and everybody on it."""

    def __init__(self, place: Path, run: Run) -> None:
        self.run = run
        self.clock = Clock()
        self.hub, self.nowhere = place / "hub.git", place / "away.git"
        subprocess.run(["git", "clone", "-q", "--bare", str(place / "repo"), str(self.hub)], check=True)
        self.members = [Member(place, f"clone{i}", self.clock, run) for i in range(CLONES)]

    def round(self, pool: ThreadPoolExecutor, is_last: bool) -> None:
        self.clock.forward(minutes=5)
        is_away = not is_last and self.run.chance.random() < AWAY
        if is_away:
            self.hub.rename(self.nowhere)
            self.run.count("rounds away")
        if not is_last:
            list(pool.map(Member.work, self.members))
        list(pool.map(Member.tick, self.members))
        if is_away:
            self.nowhere.rename(self.hub)
        self.look_for_leaks()

    def look_for_leaks(self) -> None:
        out = subprocess.run(
            ["git", "-C", str(self.hub), "log", "--all", "--format=%s"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for member in self.members:
            leaked = member.private & set(out)
            self.run.require(not leaked, f"code of {member.name} is on the remote: {leaked}")

    def is_done(self) -> bool:
        return all(not _open(member.here) for member in self.members)

    def meet(self) -> None:
        """Everybody pushes and takes over, until nothing moves."""
        for _ in range(4):
            for member in self.members:
                member.push()
        self.run.require(len({m.head for m in self.members}) == 1, "the clones are not the same in the end")

    def check(self) -> None:
        run, here = self.run, self.members[0].here
        board = here.store.board()
        titles = {task.title for task in board.tasks.values()}
        text = "".join(file.read_text() for file in (here.root / "board").rglob("*.md"))
        for member in self.members:
            for lost in (member.titles - titles) | {w for w in member.said | member.written if w not in text}:
                run.require(False, f"lost: {lost}")
            run.require(member.here.git("status", "--porcelain") == "", f"{member.name} is not clean")
            run.require(not member.private, f"{member.name} could not publish {member.private}")
            now = member.here.store.refs()
            run.require(not now.claims and not now.held, f"{member.name} still holds {now.claims} {now.held}")
        self.count_runs(here)
        run.figures["tasks"] = len(board.tasks)
        run.figures["commits"] = int(here.git("rev-list", "--count", "HEAD"))
        run.figures["merges"] = int(here.git("rev-list", "--count", "--merges", "HEAD"))
        run.require(not _open(here), f"not done: {_open(here)}")
        run.figures["for a person"] = len(board.open_tasks) - len(_open(here))
        run.require(not board.problems, f"problems: {board.problems[:3]}")
        here.git("fsck", "--strict")

    def count_runs(self, here: Scratch) -> None:
        """Each task was handed in once and passed once; a name that two tasks had, once for each."""
        log = here.git("log", "--format=%(trailers:unfold,only)%x00").split("\0")
        shared = Counter(line.split()[1] for entry in log for line in _lines(entry, "Renamed:"))
        runs = [entry for entry in log if "\nRun: " in entry]
        for word in ("task.submitted", "task.completed"):
            lines = Counter(line.split()[-1] for entry in runs for line in _lines(entry, f"Event: {word} "))
            for name, count in lines.items():
                self.run.require(count <= 1 + shared[name], f"{word} {count} times: {name}")
            self.run.figures[word] = lines.total()
        self.run.figures["renamed"] = shared.total()


def _open(here: Scratch) -> list[str]:
    """The tasks that agents could still do. Two machines may give one task to two agents at the same time: both
    are its assignees then, and where nobody else reviews it waits for a person.
    """
    tasks = here.store.board().open_tasks
    return [t.id for t in tasks if not (t.status is Status.REVIEW and len(t.assignees) > 1)]


def _lines(entry: str, start: str) -> list[str]:
    return [line for line in entry.splitlines() if line.startswith(start)]


def main() -> None:
    run = Run("sync")
    rounds = ground.size(60)
    run.figures |= {"clones": CLONES, "rounds": rounds}
    with ground.folder() as place, ThreadPoolExecutor(CLONES) as pool:
        world = World(place, run)
        for number in range(rounds + LAST):
            if number == rounds:
                world.meet()
            world.round(pool, number >= rounds)
            if number >= rounds and world.is_done():
                break
        world.meet()
        world.check()
    run.end()


if __name__ == "__main__":
    main()

"""`kill -9` at random moments of a writing process: nothing acknowledged is lost, and nobody is blamed for it.

The size is the number of kills. The writer is a forked process that makes transactions of every kind; the
person saves files at random moments in which it stands still, and afterwards it, or it and its children, are
killed. The next transaction must find everything in order, without a hand being lent.
"""

import itertools
import os
import random
import re
import signal
import time
from collections import Counter

import ground
from conftest import Scratch
from ground import SEED, TECHNICAL, Run

from agentos.actions import messages, tasks
from agentos.orchestrator.tick import Options, tick
from agentos.store import claims
from agentos.store.refs import Claim
from agentos.store.repository import Store
from agentos.store.transaction import transact

EACH = 50
"""Kills in one copy of the repository; then git looks at every object, and the next copy is taken."""

LONGEST = 0.15
"""Seconds after which the writer is killed at the latest."""

KINDS = ("add", "message", "edit", "pair", "claim", "tick")
SHARED = 4
"""Tasks that everybody works on: the writer on their fields, the person on their text."""


# The writer -----------------------------------------------------------------------------------------------


def write(scratch: Scratch, number: int, out: int) -> None:
    """Transactions of every kind without end; says what is tried, and what is done."""
    chance = random.Random(f"{SEED}-{number}")
    store = scratch.store
    for i in itertools.count():
        kind, token = chance.choice(KINDS), f"agent-{number}-{i}"
        task, value = str(chance.randrange(SHARED) + 1), str(chance.randrange(5) + 1)
        os.write(out, f"try {kind} {token} {task} {value}\n".encode())
        act(store, kind, token, task, value)
        os.write(out, f"did {kind} {token} {task} {value}\n".encode())


def act(store: Store, kind: str, token: str, task: str, value: str) -> None:
    match kind:
        case "add":
            transact(store, lambda d: tasks.add(d, token), TECHNICAL)
        case "message":
            transact(store, lambda d: messages.add(d, task, token), TECHNICAL)
        case "edit":
            transact(store, lambda d: tasks.edit(d, task, {"priority": int(value)}), TECHNICAL)
        case "pair":
            transact(store, lambda d: (tasks.add(d, token), messages.add(d, task, token)), TECHNICAL)
        case "claim":
            held = Claim(token, "technical", token, "2999-01-01T00:00:00Z")
            assert claims.take(store, held)
            transact(store, lambda d: (tasks.add(d, token), d.release(held.task)), TECHNICAL)
        case "tick":
            tick(store, Options(force=True))


# The world ------------------------------------------------------------------------------------------------


class World:
    """One copy of the repository: what was said to be done in it, and what the person wrote."""

    def __init__(self, run: Run, scratch: Scratch) -> None:
        self.run = run
        self.scratch = scratch
        self.paths = ground.furnish(scratch, SHARED)
        self.status = scratch.git("status", "--porcelain")
        self.seen = self.base = scratch.git("rev-parse", "HEAD").strip()
        self.tokens: set[str] = set()
        self.by_hand: set[str] = set()
        self.titles: set[str] = set()
        self.priorities = {str(i + 1): {"3"} for i in range(SHARED)}

    def kill_one(self, number: int) -> None:
        """Start a writer, save something while it stands still, go on, and kill it."""
        said, out = os.pipe()
        writer = os.fork()
        if not writer:
            try:
                write(self.scratch, number, out)
            finally:
                os._exit(1)
        os.setpgid(writer, writer)
        os.close(out)
        chance = self.run.chance
        for _ in range(chance.randrange(3)):
            time.sleep(chance.random() * LONGEST / 2)
            self.save_something(number, writer)
        time.sleep(chance.random() * LONGEST)
        (os.killpg if chance.random() < 0.5 else os.kill)(writer, signal.SIGKILL)
        _, status = os.waitpid(writer, 0)
        self.run.require(os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"{number}: it left by itself")
        with os.fdopen(said) as lines:
            self.learn(lines.read().splitlines())

    def save_something(self, number: int, writer: int) -> None:
        """A save at a moment of its own: the writer and its children stand still meanwhile."""
        chance = self.run.chance
        token = f"hand-{number}-{chance.randrange(1 << 32):x}"
        os.killpg(writer, signal.SIGSTOP)
        page = self.scratch.root / "WORKING.md"
        file = self.scratch.root / chance.choice(self.paths)
        if chance.random() < 0.3:
            text = page.read_text().replace("### INBOX\n", f"### INBOX\n- {token}\n")
            ground.save(page, text, in_place=chance.random() < 0.5)
            self.titles.add(token)
        elif file.exists():
            ground.save(file, f"{file.read_text()}{token}\n", in_place=chance.random() < 0.5)
            self.by_hand.add(token)
        self.run.count("saves by hand")
        os.killpg(writer, signal.SIGCONT)

    def learn(self, lines: list[str]) -> None:
        """What the writer said: done is done, and what was only tried may be."""
        done = {line[4:] for line in lines if line.startswith("did ")}
        for line in lines:
            verb, rest = line.split(" ", 1)
            kind, token, task, value = rest.split()
            if verb == "did":
                self.run.count("acknowledged")
                if kind not in ("edit", "tick"):
                    self.tokens.add(token)
            if kind == "edit":
                self.priorities[task] = {value} if rest in done else self.priorities[task] | {value}

    def check(self, number: int) -> None:
        """The next transaction mends all there is to mend, and what was acknowledged is there."""
        scratch, require = self.scratch, self.run.require
        time.sleep(0.03)
        scratch.act(lambda d: None, TECHNICAL)
        scratch.act(lambda d: None, TECHNICAL)
        found = scratch.git("status", "--porcelain")
        require(found == self.status, f"{number}: git status says {found!r}")
        lines = Counter(
            scratch.git("grep", "-hE", "(agent|hand)-[0-9]", "HEAD", "--", "board", check=False).splitlines()
        )
        words = Counter(re.findall(r"agent-\d+-\d+", "\n".join(lines)))
        for token in self.tokens - words.keys():
            require(False, f"{number}: {token} is lost")
        for token in self.by_hand:
            require(lines[token] == 1, f"{number}: {token} of the person's is there {lines[token]} times")
        for token in self.titles:
            seen = lines[f"title: {token}"]
            require(seen == 1, f"{number}: the line {token} of WORKING.md made {seen} tasks")
        board = scratch.store.board()
        for task, values in self.priorities.items():
            now = str(board.task(task).priority)
            require(now in values, f"{number}: {task} has priority {now}, not one of {values}")
            self.priorities[task] = {now}
        for name in (
            ".git/index.lock",
            ".git/HEAD.lock",
            ".git/refs/heads/main.lock",
            ".git/agentos/journal",
        ):
            require(not (scratch.root / name).exists(), f"{number}: {name} is left")
        self.blame(number)

    def blame(self, number: int) -> None:
        """Nothing is committed as the person's that they did not write."""
        log = self.scratch.git(
            "log", "-p", "-U0", "--author=Ada", "--format=", f"{self.seen}..", "--", "board", "agents", "docs"
        )
        self.seen = self.scratch.git("rev-parse", "HEAD").strip()
        for part in log.split("diff --git ")[1:]:
            changed = re.findall(r"^[+-](?![+-]{2} )(.*)", part, re.MULTILINE)
            if "\nnew file mode" in part:
                theirs = any(line.removeprefix("title: ") in self.titles for line in changed)
            else:
                theirs = "\ndeleted file" not in part and set(changed) <= self.by_hand
            self.run.require(theirs, f"{number}: a commit in the person's name says {changed}")

    def close(self) -> None:
        """Git looks at every object, and no run settled twice."""
        done = self.scratch.git("fsck", "--strict", "--no-dangling")
        self.run.require(not done, f"git fsck: {done}")
        events = self.scratch.git("log", "--format=%(trailers:key=Event,valueonly)").splitlines()
        runs = self.scratch.git("log", "--format=%(trailers:key=Run,valueonly)").splitlines()
        for word, times in (
            Counter(e for e in events if "submitted" in e) + Counter(filter(None, runs))
        ).items():
            self.run.require(times == 1, f"{word} is in history {times} times")
        held = {claim.task for claim in self.scratch.store.claims() if claim.task.startswith("agent-")}
        self.run.require(not held & self.tokens, f"claims given back are held: {held & self.tokens}")
        self.run.count("commits", int(self.scratch.git("rev-list", "--count", f"{self.base}..")))


def main() -> None:
    run = Run("kill")
    kills = ground.size(1000)
    with ground.folder() as place:
        world: World | None = None
        for number in range(kills):
            if world is None:
                world = World(run, ground.copy(place, f"copy-{number}"))
            world.kill_one(number)
            world.check(number)
            world.scratch.clock.forward(hours=2)
            run.count("kills")
            if number % EACH == EACH - 1 or number == kills - 1:
                world.close()
                world = None
    run.end()


if __name__ == "__main__":
    main()

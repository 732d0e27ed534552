"""Random interleavings of hand edits, agents' transactions, edits of WORKING.md and merges from a second clone.

The size is how many. Everything happens in this process: an audit hook lets the person act in the middle of a
transaction, at a random one of its calls to the system. Each writer's words are unique tokens. In the end each must
be in the files, and may be in history alone only where something later was meant to replace it: a title, a field,
or whatever an editor's old buffer was saved over. The oracle looks for words, and knows nothing of merging.
"""

import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ground
from conftest import Scratch
from ground import SEED, TECHNICAL, Run

from agentos.actions import messages, tasks
from agentos.errors import AgentOSError
from agentos.store import landing
from agentos.store.draft import Draft

EACH = 20
"""Interleavings in one copy of the repositories."""

SHARED = 3
CALLS = 300
"""Among so many calls of a transaction the person's moment is drawn; a later one comes after it."""


WORD = re.compile(r"(?:agent|hand)x\d+x\d+x")


class Moments:
    """What the person does at which call of a transaction: an audit hook, which can't be taken off again."""

    def __init__(self) -> None:
        self.planned: dict[int, Callable[[], None]] = {}
        self.calls = -1
        sys.addaudithook(self._called)

    def _called(self, event: str, _: object) -> None:
        if self.calls < 0 or not event.startswith(("os.", "open", "subprocess.")):
            return
        self.calls += 1
        act = self.planned.pop(self.calls, None)
        if act is not None:
            now, self.calls = self.calls, -1
            act()
            self.calls = now

    def during(self, work: Callable[[], Any]) -> None:
        """Do the work, and what is planned in the middle of it; what it did not come to is done after."""
        self.calls = 0
        try:
            work()
        finally:
            self.calls = -1
            for _, act in sorted(self.planned.items()):
                act()
            self.planned.clear()


class World:
    """Two clones, and the tokens of one interleaving: those that must stay, and those that may be replaced."""

    def __init__(self, here: Scratch, there: Scratch, moments: Moments) -> None:
        self.here = here
        self.there = there
        self.moments = moments
        self.paths = [here.root / path for path in ground.furnish(here, SHARED)]
        here.git("commit", "-qm", "staged")
        there.git("remote", "add", "here", str(here.root))
        here.git("remote", "add", "there", str(there.root))
        self.counts: Counter[str] = Counter()

    def play(self, number: int) -> list[str]:
        """One interleaving; gives what it broke."""
        self.chance = random.Random(f"{SEED}-{number}")
        self.number, self.made = number, 0
        self.stay: set[str] = set()
        self.replaceable: set[str] = set()
        self.base = self.here.git("rev-parse", "HEAD").strip()
        is_merging = self.chance.random() < 0.2
        if is_merging:
            self.there.git("fetch", "-q", "here")
            self.there.git("reset", "-q", "--hard", "here/main")
        for _ in range(self.chance.randint(1, 3)):
            for _ in range(self.chance.randint(0, 2)):
                self._plan(self._person())
            self.moments.during(lambda: self._transact(self.here, self._agent(self.here)))
        if is_merging:
            for _ in range(self.chance.randint(1, 2)):
                self._transact(self.there, self._agent(self.there))
            self._plan(self._person())
            self.moments.during(self._merge)
        return self._check()

    def token(self, by: str, *, is_replaced: bool = False) -> str:
        """A word that nobody has written before."""
        self.made += 1
        word = f"{by}x{self.number}x{self.made}x"
        (self.replaceable if is_replaced else self.stay).add(word)
        return word

    def _plan(self, act: Callable[[], None]) -> None:
        """Have the person act before the next transaction, or in the middle of it."""
        if self.chance.random() < 0.3:
            act()
        else:
            call = self.chance.randrange(1, CALLS)
            while call in self.moments.planned:
                call += 1
            self.moments.planned[call] = act

    # Who does what --------------------------------------------------------------------------------------

    def _agent(self, scratch: Scratch) -> Callable[[Draft], object]:
        ref = str(self.chance.randrange(SHARED) + 1)
        match self.chance.choice(("add", "message", "label", "title", "field")):
            case "add":
                word = self.token("agent")
                return lambda d: tasks.add(d, word)
            case "message":
                word = self.token("agent")
                return lambda d: messages.add(d, ref, word)
            case "label":
                word = self.token("agent")
                return lambda d: tasks.edit(d, ref, {}, add_to={"labels": [word]})
            case kind:
                word = self.token("agent", is_replaced=True)
                return lambda d: tasks.edit(d, ref, {"title" if kind == "title" else "estimate": word})

    def _transact(self, scratch: Scratch, decide: Callable[[Draft], object]) -> None:
        self.counts["transactions"] += 1
        scratch.act(decide, TECHNICAL)

    def _person(self) -> Callable[[], None]:
        kind = self.chance.choice(
            ("line", "line", "title", "page", "page", "retitle", "drop", "commit", "stage", "old")
        )
        self.counts[kind] += 1
        file, in_place = self.chance.choice(self.paths), self.chance.random() < 0.5
        page = self.here.root / "WORKING.md"
        match kind:
            case "line":
                return lambda: self._append(file, in_place)
            case "title":
                return lambda: self._title(file, in_place)
            case "page":
                return lambda: self._line(page, in_place)
            case "retitle":
                return lambda: self._retitle(page, in_place)
            case "drop":
                return lambda: self._save(
                    file.with_name("idea.md"), f"# {self.token('hand')}\n", in_place=in_place
                )
            case "commit":
                return self._commit
            case "stage":
                return lambda: self._stage(file, in_place)
            case _:
                return self._old(file, in_place)

    def _save(self, file: Path, text: str, *, in_place: bool) -> None:
        """A save; words of their own that the person takes out again were never anybody else's to keep."""
        if file.exists():
            gone = set(WORD.findall(file.read_text())) - set(WORD.findall(text))
            self.stay -= {word for word in gone if word.startswith("hand")}
            self.replaceable -= {word for word in gone if word.startswith("hand")}
        ground.save(file, text, in_place=in_place)

    def _append(self, file: Path, in_place: bool) -> None:
        if file.exists():
            self._save(file, f"{file.read_text()}{self.token('hand')}\n", in_place=in_place)

    def _title(self, file: Path, in_place: bool) -> None:
        if file.exists():
            title = f"title: {self.token('hand', is_replaced=True)}"
            self._save(file, re.sub("^title: .*", title, file.read_text(), flags=re.M), in_place=in_place)

    def _line(self, page: Path, in_place: bool) -> None:
        text = page.read_text().replace("### INBOX\n", f"### INBOX\n- {self.token('hand')}\n", 1)
        self._save(page, text, in_place=in_place)

    def _retitle(self, page: Path, in_place: bool) -> None:
        line = f"- [TASK-001] {self.token('hand', is_replaced=True)}"
        self._save(
            page,
            re.sub(r"^- \[TASK-001\] .*", line, page.read_text(), count=1, flags=re.M),
            in_place=in_place,
        )

    def _commit(self) -> None:
        """With plain git, a file of their own; where git is locked at that moment they leave it."""
        file = self.here.root / "mine.txt"
        file.write_text("mine\n")
        self.here.git("add", "mine.txt", check=False)
        self.here.git("commit", "-qm", "mine", check=False)

    def _stage(self, file: Path, in_place: bool) -> None:
        self._append(file, in_place)
        self.here.git("add", str(file), check=False)

    def _old(self, file: Path, in_place: bool) -> Callable[[], None]:
        """A save of what the file was when the editor read it, with a line more: what came since may go."""
        text, word = file.read_text(), self.token("hand")

        def save() -> None:
            self.replaceable |= self.stay
            self.stay = {word}
            self._save(file, f"{text}{word}\n", in_place=in_place)

        return save

    def _merge(self) -> None:
        """Take what the other clone has: by git with our driver, or as sync does."""
        self.here.git("fetch", "-q", "there")
        if self.chance.random() < 0.1:
            self.counts["git merge"] += 1
            self._quiesce()
            try:
                self.here.git("merge", "-q", "there/main")
            except AssertionError as refused:
                if "local changes" not in str(refused):
                    raise
                self.counts["git merge refused over a save"] += 1
                self._quiesce()
                self.here.git("merge", "-q", "there/main")
            return
        self.counts["merges"] += 1
        store = self.here.store
        there = self.there.git("rev-parse", "HEAD").strip()
        self.here.act(lambda d: landing.take(d, store, there, "there/main"))

    # What must be ---------------------------------------------------------------------------------------

    def _quiesce(self) -> None:
        """What the person saved and staged is committed."""
        time.sleep(0.025)
        self.here.act(lambda d: None)
        if self.here.git("diff", "--cached", "--name-only"):
            self.here.git("commit", "-qm", "what was staged")
        self.here.act(lambda d: None)

    def _check(self) -> list[str]:
        self._quiesce()
        broken = []
        status = self.here.git("status", "--porcelain")
        if not set(status.splitlines()) <= {"?? untracked.txt", "?? mine.txt"}:
            broken.append(f"git status says {status!r}")
        files = "".join(file.read_text() for file in (self.here.root / "board").rglob("*.md"))
        missing = [word for word in self.stay | self.replaceable if word not in files]
        if missing:
            history = self.here.git("log", "-p", "-m", "--format=%B", f"{self.base}..")
            broken += [f"{word} is nowhere" for word in missing if word not in history]
            broken += [
                f"{word} is only in history" for word in missing if word in self.stay and word in history
            ]
        self.counts["tokens"] += len(self.stay | self.replaceable)
        self.counts["only in history"] += len(missing)
        return broken


def play_some(place: Path, first: int, count: int) -> tuple[Counter[str], list[str]]:
    """A few interleavings in copies of their own; gives figures, and what broke."""
    world = World(ground.copy(place, f"here-{first}"), ground.copy(place, f"there-{first}"), MOMENTS)
    broken = []
    for number in range(first, first + count):
        try:
            broken += [f"{number}: {what}" for what in world.play(number)]
        except (AssertionError, AgentOSError, OSError) as error:
            broken.append(f"{number}: {error!r}")
    ground.remove(world.here)
    ground.remove(world.there)
    return world.counts, broken


MOMENTS = Moments()


def main() -> None:
    run = Run("interleavings")
    wanted = ground.size(10_000)
    with ground.folder(in_memory=True) as place:
        jobs = [(place, first, min(EACH, wanted - first)) for first in range(0, wanted, EACH)]
        with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:
            for counts, broken in pool.map(play_some, *zip(*jobs, strict=True)):
                for what, number in counts.items():
                    run.count(what, number)
                for promise in broken:
                    run.require(False, promise)
    run.figures["interleavings"] = wanted
    run.end()


if __name__ == "__main__":
    main()

"""The ground of the long runs: a board to work on, seed and size, the figures, and how a run ends.

Each script beside this one is run as `python tests/stress/NAME.py [SIZE]` and leaves with 1 where a promise
broke; `python tests/stress` runs all of them at full size.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from conftest import Clock, Scratch, make_template

from agentos.actions import tasks
from agentos.model.activity import Actor

SEED = int(os.environ.get("AGENTOS_SEED", "20260202"))
TECHNICAL = Actor("technical", is_agent=True)


def size(full: int) -> int:
    """How much to do: the first argument, or the full size."""
    return int(sys.argv[1]) if len(sys.argv) > 1 else full


class Run:
    """One long run: its seed, the figures to print, and the promises that broke."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.chance = random.Random(SEED)
        self.figures: dict[str, object] = {"seed": SEED}
        self.broken: list[str] = []
        self.started = time.monotonic()

    def count(self, what: str, by: int = 1) -> None:
        """Add to a figure that counts."""
        now = self.figures.get(what, 0)
        assert isinstance(now, int)
        self.figures[what] = now + by

    def require(self, holds: bool, promise: str) -> None:
        """A promise that is to hold; one that doesn't is printed at once, and the run fails in the end."""
        if not holds:
            self.broken.append(promise)
            print(f"{self.name}: BROKEN: {promise}", flush=True)

    def end(self) -> None:
        """Print the figures and leave."""
        seconds = time.monotonic() - self.started
        figures = ", ".join(f"{what} {value}" for what, value in self.figures.items())
        print(f"{self.name}: {figures}, broken promises {len(self.broken)}, {seconds:.0f} s", flush=True)
        sys.exit(1 if self.broken else 0)


@contextmanager
def folder(*, in_memory: bool = False) -> Iterator[Path]:
    """A folder that is gone afterwards, with a template of a board in `repo`; in memory where that can be."""
    memory = "/dev/shm" if in_memory and os.access("/dev/shm", os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="agentos-stress-", dir=memory))
    try:
        make_template(place)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def copy(place: Path, name: str, of: str = "repo") -> Scratch:
    """A copy of a repository in this folder."""
    root = place / name
    shutil.copytree(place / of, root, symlinks=True)
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=root, check=False)
    return Scratch(root, Clock())


def remove(scratch: Scratch) -> None:
    """The copy is not needed any more."""
    shutil.rmtree(scratch.root)


def save(file: Path, data: str, *, in_place: bool) -> None:
    """What an editor does: write the file anew where it is, or beside it and rename."""
    if in_place:
        file.write_text(data)
    else:
        beside = file.with_name(f".{file.name}.swp")
        beside.write_text(data)
        beside.rename(file)


def commit_by_hand(scratch: Scratch, number: int) -> str:
    """Commit a file of one's own with plain git, as often as git says that somebody else is at it."""
    path = f"mine/{number}.txt"
    scratch.write(path, f"mine {number}\n")
    for _ in range(200):
        for command in (["add", path], ["commit", "-qm", f"mine {number}"]):
            done = subprocess.run(
                ["git", *command], cwd=scratch.root, capture_output=True, text=True, check=False
            )
            if done.returncode:
                assert re.search(r"index\.lock|cannot lock ref", done.stderr), done
                time.sleep(0.005)
                break
        else:
            return scratch.git("log", "-1", "--format=%H", "--", path).strip()
    raise AssertionError("the person never came through")


def furnish(scratch: Scratch, count: int) -> list[str]:
    """Tasks to work on; gives their paths. Beside them a staged file and an untracked one of the person's."""

    def some(draft: object) -> list[str]:
        return [tasks.add(draft, f"Shared {i}", body="Words.").path for i in range(count)]  # type: ignore[arg-type]

    paths = scratch.act(some, TECHNICAL).value
    scratch.write("staged.txt", "one\n")
    scratch.git("add", "staged.txt")
    scratch.write("untracked.txt", "two\n")
    return list(paths)

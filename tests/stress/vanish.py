"""Everything at once, while vandals remove what may be removed: no traceback, and nothing that was acknowledged is lost.

    python tests/stress/vanish.py [SECONDS]

Commands of every kind, ticks, `agentos run` and `sync` work on one clone, each in a process of its own. Beside
them editors delete files and write them anew, worktrees come and go, git packs, and all that a clone keeps for
itself under `<git dir>/agentos` is removed again and again, but for locks, journal and ledger. Every command has
to leave with a code of DESIGN.md, section 10, and at most one line of error; at the end the board is sound.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import ground
from conftest import Scratch
from ground import Run
from writers import start

from agentos.actions import tasks
from agentos.cli import main as command_line
from agentos.store import clone

CODES = {0, 1, 3, 4, 5, 6}
"""What a command may leave with here; 2 would be a usage that is wrong."""

AGENTOS = str(Path(sys.executable).with_name("agentos"))

SHARED = 4
"""Tasks that editors save again and again."""

WORK = ["sh", "-c", 'date +%N >> work.txt; echo \'{"type": "result", "result": "Some more is done."}\'']

READERS = (
    ["task", "list"], ["task", "list", "--json"], ["board"], ["doctor"], ["review", "1"], ["runs", "list"],
    ["log", "--limit", "5"], ["inbox"], ["task", "show", "2"], ["task", "explain", "1"],
)  # fmt: skip
TICKS = (["tick"], ["tick", "--force"], ["run", "--once"], ["sync"])

DISPOSABLE = (
    "cache", "base", "runs", "workspaces", "handing", "setups", "homes", "moving", "wakes.json", "looks.json",
    "packed.json", "index.token",
)  # fmt: skip

PAUSE = 0.01


def called(scratch: Scratch, words: list[str], log: TextIO, token: str = "") -> int:
    """One command in a fork, since importing takes longer than the work; a line for what it came to."""
    said = Path(f"{log.name}.said")
    child = os.fork()
    if child == 0:
        os.chdir(scratch.root)
        with said.open("wb") as out:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(out.fileno(), 2)
        sys.argv = ["agentos", *words]
        try:
            command_line.run()
        except SystemExit as left:
            sys.stderr.flush()
            os._exit(int(left.code or 0))
        finally:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            sys.stderr.flush()
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    entry = {"words": words, "code": code, "said": said.read_text(errors="replace"), "token": token}
    log.write(json.dumps(entry) + "\n")
    return code


def reader(scratch: Scratch, log: TextIO, until: float) -> None:
    chance = random.Random(f"{ground.SEED}-{log.name}")
    while time.monotonic() < until:
        called(scratch, chance.choice(READERS), log)


def ticker(scratch: Scratch, log: TextIO, until: float) -> None:
    chance = random.Random(f"{ground.SEED}-{log.name}")
    while time.monotonic() < until:
        called(scratch, chance.choice(TICKS), log)


def writer(scratch: Scratch, log: TextIO, until: float) -> None:
    me = Path(log.name).name
    for number in itertools.count():
        if time.monotonic() > until:
            return
        token = f"{me}-{number}"
        line = [
            ["task", "add", f"Do {token}", "--assign", "technical"],
            ["message", "add", str(number % SHARED + 1), token],
            ["task", "edit", str(number % SHARED + 1), "--set", f"{me}={token}"],
        ][number % 3]
        called(scratch, line, log, token if number % 3 < 2 else "")


def runner(scratch: Scratch, log: TextIO, until: float) -> None:
    """`agentos run`, from its start to Ctrl-C, again and again."""
    while time.monotonic() < until:
        with Path(f"{log.name}.said").open("w+") as out:
            process = subprocess.Popen(
                [AGENTOS, "run"], cwd=scratch.root, stdout=subprocess.DEVNULL, stderr=out
            )
            while process.poll() is None and "Watching" not in Path(out.name).read_text():
                time.sleep(PAUSE)
            time.sleep(max(min(3.0, until - time.monotonic()), 0.0))
            process.send_signal(signal.SIGINT)
            code = process.wait(120)
            out.seek(0)
            entry = {"words": ["run"], "code": 0 if code == 130 else code, "said": out.read(), "token": ""}
        log.write(json.dumps(entry) + "\n")


def vandal(act: Callable[[Scratch, random.Random, int], None]) -> Any:
    """Somebody who does this again and again."""

    def work(scratch: Scratch, log: TextIO, until: float) -> None:
        chance = random.Random(f"{ground.SEED}-{log.name}")
        for number in itertools.count():
            if time.monotonic() > until:
                log.write(f"{number}\n")
                return
            act(scratch, chance, number)
            time.sleep(chance.random() * PAUSE)

    return work


def edit(scratch: Scratch, chance: random.Random, number: int) -> None:
    """Save as some editors do: delete, then write; the same text, so that nothing is to be merged."""
    file = chance.choice([*(scratch.root / "board/tasks").glob("*-shared-*.md"), scratch.root / "WORKING.md"])
    with contextlib.suppress(FileNotFoundError):
        before = file.stat()
        text = file.read_bytes()
        if file.stat() == before and text:
            file.unlink()
            file.write_bytes(text)
    time.sleep(0.2)


def clear(scratch: Scratch, chance: random.Random, number: int) -> None:
    """Remove something of what a clone keeps for itself."""
    place = scratch.root / ".git/agentos" / chance.choice(DISPOSABLE)
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        place.unlink()


def branch(scratch: Scratch, chance: random.Random, number: int) -> None:
    """A linked worktree comes and goes, and with it git's folder of them; so do empty folders of refs."""
    place = scratch.root.with_name("linked")
    scratch.git("worktree", "add", "-q", "--detach", str(place), check=False)
    scratch.git("worktree", "remove", "--force", str(place), check=False)
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("refs/agentos/claims", "refs/agentos/held", "refs/agentos/salvage", "refs/heads/agentos"):
        with contextlib.suppress(OSError):
            (scratch.root / ".git" / folder).rmdir()


def pack(scratch: Scratch, chance: random.Random, number: int) -> None:
    """Git tidies up, as people tell it to, and as its manual tells them not to (git-gc, NOTES on `--prune`)."""
    line = chance.choice(
        (
            ["gc", "-q"],
            ["gc", "-q", "--prune=now"],
            ["repack", "-adq"],
            ["pack-refs", "--all"],
            ["prune-packed", "-q"],
        )
    )
    scratch.git(*line, check=False)


WORKS: dict[str, Any] = {
    "reader-0": reader, "reader-1": reader, "ticker-0": ticker, "ticker-1": ticker, "writer-0": writer,
    "writer-1": writer, "runner": runner, "edit": vandal(edit), "clear": vandal(clear),
    "branch": vandal(branch), "pack": vandal(pack),
}  # fmt: skip


def furnish(place: Path) -> Scratch:
    """A clone of a remote, with an agent that works by a command, and tasks for it."""
    subprocess.run(["git", "clone", "-q", "--bare", str(place / "repo"), str(place / "hub.git")], check=True)
    root = place / "here"
    subprocess.run(["git", "clone", "-q", str(place / "hub.git"), str(root)], check=True)
    scratch = Scratch(root, ground.Clock())
    clone.set_up(root, os.environ, scratch.clock)

    def decide(draft: Any) -> None:
        for number in range(SHARED):
            tasks.add(draft, f"Shared {number}", body="Words.", assignees=["technical"])
        agent = draft.board.agents["technical"]
        plain = agent.agentos.model_dump(mode="json", exclude_unset=True)
        draft.put(agent.replace(agentos=plain | {"runner": "command", "command": WORK}))

    scratch.act(decide)
    return scratch


def heard(run: Run, log: Path) -> list[str]:
    """What one process's commands came to; gives what was acknowledged."""
    tokens = []
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        what, said = f"agentos {' '.join(entry['words'])}", entry["said"]
        errors = [each for each in said.splitlines() if each.startswith("error: ")]
        is_fine = entry["code"] in CODES and "Traceback" not in said and "process died" not in said
        run.require(is_fine and len(errors) <= 1, f"{what} left with {entry['code']}: {said[-3000:]}")
        run.require(entry["code"] == 0 or bool(said.strip()), f"{what} left with {entry['code']} and no word")
        run.count("commands")
        if entry["code"] not in (0, 4):
            run.count("failed in words")
        tokens += [entry["token"]] if entry["token"] and entry["code"] == 0 else []
    return tokens


def check(run: Run, scratch: Scratch, tokens: list[str]) -> None:
    """The board is sound, what was acknowledged is there, and the next ticks are as ever."""
    time.sleep(0.05)
    for _ in range(2):
        subprocess.run([AGENTOS, "tick"], cwd=scratch.root, capture_output=True, check=False)
    said = subprocess.run([AGENTOS, "doctor"], cwd=scratch.root, capture_output=True, text=True, check=False)
    run.require(said.returncode == 0, f"doctor left with {said.returncode}: {said.stdout}{said.stderr}")
    words = scratch.git("grep", "-hoE", "writer-[0-9]+-[0-9]+", "HEAD", "--", "board").split()
    for token in tokens:
        run.require(token in words, f"{token} was acknowledged and is lost")
    for place in (scratch.root, scratch.root.with_name("hub.git")):
        done = subprocess.run(
            ["git", "fsck", "--strict", "--no-dangling"],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        run.require(done.returncode == 0, f"git fsck in {place.name}: {done.stdout}{done.stderr}")
    left = [ref for ref in scratch.git("for-each-ref", "--format=%(refname)").split() if "/claims/" in ref]
    run.figures["claims left"] = len(left)
    status = scratch.git("status", "--porcelain")
    run.require(not status, f"git status: {status}")


def main() -> None:
    run = Run("vanish")
    seconds = ground.size(60)
    with ground.folder() as place:
        scratch = furnish(place)
        until = time.monotonic() + seconds
        children = {name: start(work, scratch, place / name, until) for name, work in WORKS.items()}
        for name, child in children.items():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            run.require(code == 0, f"{name} left with {code}")
        tokens = []
        for name in WORKS:
            if (number := (place / name).read_text().strip()).isdigit():
                run.figures[name] = int(number)
            else:
                tokens += heard(run, place / name)
        run.figures["acknowledged"] = len(tokens)
        check(run, scratch, tokens)
    run.end()


if __name__ == "__main__":
    main()

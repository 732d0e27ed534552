"""Eight processes write, a person commits with plain git, and two editors save: nothing is lost on any side.

The size is for how many seconds. One editor saves in place, the other by rename; like real ones, they don't save
when the file has changed since they read it. Printed are the waiting times of the writers, their fairness (what
the slowest got of its fair share), and how often a plain commit reverted a settled change, which git itself does
when it reads its index before it locks it, and the next transaction heals.
"""

import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import ground
from conftest import Scratch
from ground import Run

from agentos.actions import messages, tasks
from agentos.model.activity import Actor
from agentos.store.repository import Store
from agentos.store.transaction import transact

WRITERS = 8
SHARED = 4
"""Tasks that everybody works on: the writers on a field each, the editors on the text, each on half of them."""

PAUSE = 0.25
"""Seconds between two commits of the person, or two saves of an editor: quick, but no machine."""

LEAST_FAIR = 0.5

Work = Callable[[Scratch, TextIO, float], None]


def writer(me: str) -> Work:
    """Tasks, messages and fields; a line for each that is done: seconds, commit, kind, what."""

    def work(scratch: Scratch, log: TextIO, until: float) -> None:
        store, by = scratch.store, Actor(me, is_agent=True)
        for i in itertools.count():
            if time.monotonic() > until:
                return
            begun = time.monotonic()
            kind, what, commit = write(store, by, i)
            log.write(f"{time.monotonic() - begun:.6f} {commit} {kind} {what}\n")

    return work


def write(store: Store, by: Actor, i: int) -> tuple[str, str, str]:
    """One operation: its kind, what it wrote, and the commit."""
    token, ref = f"{by.name}-{i}", str(i % SHARED + 1)
    match i % 3:
        case 0:
            result = transact(store, lambda d: tasks.add(d, token), by)
            return "token", token, str(result.commit)
        case 1:
            said = transact(store, lambda d: messages.add(d, ref, token), by)
            return "token", token, str(said.commit)
        case _:
            result = transact(store, lambda d: tasks.edit(d, ref, {by.name: f"at-{i}"}), by)
            return "field", f"{ref}:{by.name}:at-{i}", str(result.commit)


def committer(scratch: Scratch, log: TextIO, until: float) -> None:
    """A person who commits files of their own with plain git."""
    for number in itertools.count():
        if time.monotonic() > until:
            return
        log.write(f"{ground.commit_by_hand(scratch, number)}\n")
        time.sleep(PAUSE)


def editor(paths: list[str], in_place: bool) -> Work:
    """A person who adds lines to tasks in an editor; a line for each that was saved: the path, what."""

    def work(scratch: Scratch, log: TextIO, until: float) -> None:
        for number in itertools.count():
            if time.monotonic() > until:
                return
            path, token = paths[number % len(paths)], f"hand-{int(in_place)}-{number}"
            file = scratch.root / path
            while True:
                before = file.stat()
                text = f"{file.read_text()}{token}\n"
                if file.stat() == before and text != f"{token}\n":
                    break
            ground.save(file, text, in_place=in_place)
            log.write(f"{path} {token}\n")
            time.sleep(PAUSE)

    return work


def start(work: Work, scratch: Scratch, log: Path, until: float) -> int:
    """The work in a process of its own; gives its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with log.open("w", buffering=1) as stream:
            work(scratch, stream, until)
        code = 0
    except BaseException as error:
        print(f"writers: {log.name}: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def check(run: Run, scratch: Scratch, base: str, logs: dict[str, list[str]]) -> None:
    """Everything that anyone wrote is there, under their name."""
    time.sleep(0.03)
    scratch.act(lambda d: None)
    scratch.act(lambda d: None)
    commits = set(scratch.git("rev-list", "HEAD").split())
    words = scratch.git("grep", "-hE", "(writer|hand)-[0-9]", "HEAD", "--", "board").split()
    board, fields = scratch.store.board(), {}
    for name in (name for name in logs if name.startswith("writer-")):
        for line in logs[name]:
            _, commit, kind, what = line.split()
            run.require(commit in commits, f"the commit of {what} is not in history")
            if kind == "token":
                run.require(what in words, f"{what} is lost")
            else:
                ref, field, value = what.split(":")
                fields[ref, field] = value
    for (ref, field), value in fields.items():
        now = board.task(ref).fields().get(field)
        run.require(now == value, f"{field} of {ref} is {now}, not {value}")
    for name in ("in place", "by rename"):
        for line in logs[name]:
            path, token = line.split()
            times = scratch.git("show", f"HEAD:{path}").splitlines().count(token)
            run.require(times == 1, f"{token}, saved {name}, is there {times} times")
    for number, commit in enumerate(logs["person"]):
        run.require(commit in commits, f"the person's commit {commit} is not in history")
        run.require(
            scratch.git("show", f"HEAD:mine/{number}.txt", check=False) != "", f"mine/{number}.txt is lost"
        )
    run.require(scratch.git("rev-list", "--merges", "HEAD") == "", "history is not linear")
    found = scratch.git("status", "--porcelain")
    run.require(
        found == "A  staged.txt\n?? untracked.txt\n" or "staged" not in found, f"git status: {found!r}"
    )
    run.require(set(found.splitlines()) <= {"A  staged.txt", "?? untracked.txt"}, f"git status: {found!r}")
    by_whom = scratch.git("log", "--format=%an", "--invert-grep", "--grep=^Heals:", f"{base}..").splitlines()
    for name in (name for name in logs if name.startswith("writer-")):
        run.require(by_whom.count(name) == len(logs[name]), f"{name} has {by_whom.count(name)} commits")
    done = scratch.git("fsck", "--strict", "--no-dangling")
    run.require(not done, f"git fsck: {done}")


def measure(run: Run, scratch: Scratch, base: str, logs: dict[str, list[str]]) -> None:
    """Waiting, fairness, and what a plain commit reverted."""
    each = [
        [float(line.split()[0]) for line in lines]
        for name, lines in logs.items()
        if name.startswith("writer-")
    ]
    waits = sorted(itertools.chain.from_iterable(each))
    fair = min(map(len, each)) / statistics.fmean(map(len, each))
    run.figures |= {
        "operations": len(waits),
        "commits by hand": len(logs["person"]),
        "saves": len(logs["in place"]) + len(logs["by rename"]),
        "p50 ms": round(statistics.median(waits) * 1000),
        "p99 ms": round(waits[int(len(waits) * 0.99)] * 1000),
        "fairness": round(fair, 2),
    }
    if len(waits) >= WRITERS * 20:
        run.require(fair >= LEAST_FAIR, f"the slowest writer got {fair:.2f} of its share")
    touched = scratch.git("log", "--grep=^mine [0-9]", "--format=", "--name-only", f"{base}..").splitlines()
    run.figures["reverted by a plain commit"] = sum(not path.startswith("mine/") for path in touched if path)
    heals = scratch.git("log", "--format=%(trailers:key=Heals,valueonly)", f"{base}..").split()
    run.figures["healed"] = len(heals)


def main() -> None:
    run = Run("writers")
    seconds = ground.size(60)
    with ground.folder() as place:
        scratch = ground.copy(place, "writers")
        paths = ground.furnish(scratch, SHARED)
        scratch.git("commit", "-qm", "staged by the person")
        base = scratch.git("rev-parse", "HEAD").strip()
        until = time.monotonic() + seconds
        works: dict[str, Work] = {f"writer-{i}": writer(f"writer-{i}") for i in range(WRITERS)}
        works["person"] = committer
        works["in place"] = editor(paths[: SHARED // 2], True)
        works["by rename"] = editor(paths[SHARED // 2 :], False)
        children = {name: start(work, scratch, place / name, until) for name, work in works.items()}
        for name, child in children.items():
            _, status = os.waitpid(child, 0)
            run.require(status == 0, f"{name} left with {os.waitstatus_to_exitcode(status)}")
        logs = {name: (place / name).read_text().splitlines() for name in works}
        check(run, scratch, base, logs)
        measure(run, scratch, base, logs)
    run.end()


if __name__ == "__main__":
    main()

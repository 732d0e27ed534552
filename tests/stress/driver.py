"""The merge driver in a real `git merge`: pairs of edits that plain git conflicts on come out as they were meant.

The size is the number of pairs, one task file each, all merged in one go. What must come out is worked out from
the edits themselves, by rules written down here again, and not by our merge: a field or a line that one side
changed has that, lists are sets, a box is ticked if either ticked it, `status` is the further along unless
somebody sent it back out of review. Where both changed one thing differently, both values must be there, ours
in its place, theirs listed, and the file must read.
"""

import random
import re
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import ground
import yaml
from conftest import Scratch
from ground import Run

ORDER = ["inbox", "assigned", "in_progress", "review", "done"]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
LISTS = ("labels", "needs", "touches")
LINES, BOXES = 6, 4


@dataclass
class Side:
    """What one side means to do to a record."""

    fields: dict[str, str] = field(default_factory=dict)
    added: dict[str, list[str]] = field(default_factory=dict)
    removed: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[int, str] = field(default_factory=dict)
    boxes: set[int] = field(default_factory=set)


@dataclass
class Pair:
    """One record, and what both sides mean to do to it."""

    name: str
    base: dict[str, object]
    ours: Side
    theirs: Side

    @property
    def path(self) -> str:
        return f"board/tasks/{self.name}.md"

    def text(self, side: Side | None = None) -> str:
        """The file as somebody's editor leaves it after one side's edits."""
        side = side or Side()
        values = {**self.base, **side.fields}
        out = ["---"]
        for key, value in values.items():
            if isinstance(value, list):
                kept = [item for item in value if item not in side.removed.get(key, [])]
                value = f"[{', '.join(kept + side.added.get(key, []))}]"
            out.append(f"{key}: {value}")
        out += ["---", ""]
        for i in range(LINES):
            out += [side.lines.get(i, f"Line {i} of the text"), ""]
        out += ["## Acceptance criteria", ""]
        out += [f"- [{'x' if i in side.boxes else ' '}] criterion {i}" for i in range(BOXES)]
        return "\n".join(out) + "\n"


def a_side(chance: random.Random, name: str, base: dict[str, object]) -> Side:
    """One to five edits, of any kind."""
    side = Side()
    for _ in range(chance.randint(1, 5)):
        match chance.choice(["title", "priority", "estimate", "status", "list", "list", "line", "box"]):
            case "title":
                side.fields["title"] = f"{chance.choice(WORDS)} title of {name}"
            case "priority":
                side.fields["priority"] = str(
                    chance.choice([p for p in range(1, 6) if p != base["priority"]])
                )
            case "estimate":
                side.fields["estimate"] = f"{chance.randint(4, 40)}h"
            case "status":
                side.fields["status"] = chance.choice([s for s in ORDER[:4] if s != base["status"]])
            case "list":
                key = chance.choice(LISTS)
                listed = base[key]
                assert isinstance(listed, list)
                if chance.random() < 0.5:
                    side.removed[key] = sorted({*side.removed.get(key, []), chance.choice(listed)})
                else:
                    item = f"{chance.choice(WORDS)}-{chance.choice([name, 'both'])}"
                    side.added[key] = sorted({*side.added.get(key, []), item})
            case "line":
                i = chance.randrange(LINES)
                side.lines[i] = f"Line {i} as {chance.choice(WORDS)} for {name}"
            case "box":
                side.boxes.add(chance.randrange(BOXES))
    return side


def a_pair(chance: random.Random, number: int) -> Pair:
    base: dict[str, object] = {
        "title": f"Task {number}", "status": chance.choice(ORDER[:4]), "priority": chance.randint(1, 5),
        "estimate": "3h", **{key: [f"{key}-a", f"{key}-b", f"{key}-c"] for key in LISTS},
    }  # fmt: skip
    name = f"TASK-{number:03d}-task-{number}"
    return Pair(name, base, a_side(chance, "ours", base), a_side(chance, "theirs", base))


def is_hard(place: Path, pair: Pair) -> bool:
    """Whether plain git conflicts on it."""
    files = []
    for name, side in (("ours", pair.ours), ("base", None), ("theirs", pair.theirs)):
        (place / name).write_text(pair.text(side))
        files.append(str(place / name))
    return (
        subprocess.run(["git", "merge-file", "-p", "-q", *files], capture_output=True, check=False).returncode
        > 0
    )


def merge_all(scratch: Scratch, pairs: list[Pair]) -> subprocess.CompletedProcess[str]:
    """One `git merge` of two branches, of which each has made its edits of every record."""

    def commit(side: str | None) -> None:
        for pair in pairs:
            scratch.write(pair.path, pair.text(getattr(pair, side) if side else None))
        scratch.git("add", "board")
        scratch.git("commit", "-qm", side or "base")

    commit(None)
    scratch.git("switch", "-qc", "side")
    commit("theirs")
    scratch.git("switch", "-q", "main")
    commit("ours")
    return subprocess.run(
        ["git", "merge", "-q", "--no-edit", "side"],
        cwd=scratch.root,
        capture_output=True,
        text=True,
        check=False,
    )


# What must come out -------------------------------------------------------------------------------------


def moved(base: str, sides: list[str]) -> str:
    """A send-back out of review wins; else the one further along."""
    back = [s for s in sides if ORDER.index(s) < ORDER.index("review")]
    if base == "review" and back:
        return min(back, key=ORDER.index)
    return max(sides, key=ORDER.index)


def judge(run: Run, pair: Pair, text: str) -> None:
    """Hold a merged file against what both sides meant."""
    parts = text.split("---\n", 2)
    run.require(len(parts) == 3 and "<<<<<<<" not in text, f"{pair.name} does not read: {text}")
    fields, body = yaml.load(parts[1], Loader=yaml.BaseLoader), parts[2]
    listed = fields.pop("conflicts", {})
    expected = {}
    for key in ("title", "priority", "estimate"):
        mine, other = pair.ours.fields.get(key), pair.theirs.fields.get(key)
        run.require(
            fields[key] == str(mine or other or pair.base[key]), f"{pair.name}: {key} is {fields[key]}"
        )
        if mine and other and mine != other:
            expected[key] = other
    run.require(listed == expected, f"{pair.name}: lists {listed}, not {expected}")
    sides = [side.fields["status"] for side in (pair.ours, pair.theirs) if "status" in side.fields]
    status = moved(str(pair.base["status"]), sides) if sides else pair.base["status"]
    run.require(fields["status"] == status, f"{pair.name}: status is {fields['status']}, not {status}")
    for key in LISTS:
        gone = {*pair.ours.removed.get(key, []), *pair.theirs.removed.get(key, [])}
        there = {*pair.base[key], *pair.ours.added.get(key, []), *pair.theirs.added.get(key, [])} - gone  # type: ignore[misc]
        run.require(Counter(fields[key]) == Counter(there), f"{pair.name}: {key} is {fields[key]}")
    for i in range(BOXES):
        box = "x" if i in pair.ours.boxes | pair.theirs.boxes else " "
        run.require(f"- [{box}] criterion {i}\n" in body, f"{pair.name}: box {i} is not [{box}]")
    clashes = judge_lines(run, pair, body)
    run.count("true conflicts" if expected or clashes else "merged right")


def judge_lines(run: Run, pair: Pair, body: str) -> int:
    """The lines of the text; gives how many stand in both sides' words."""
    fences = dict(re.findall(r"^(.*)\n```conflict instead of the line above\n(.*)\n```$", body, re.MULTILINE))
    wanted = {}
    for i in range(LINES):
        mine, other = pair.ours.lines.get(i), pair.theirs.lines.get(i)
        line = mine or other or f"Line {i} of the text"
        run.require(body.count(f"{line}\n") == 1, f"{pair.name}: line {i} is not {line!r} once")
        if mine and other and mine != other:
            wanted[line] = other
    run.require(fences == wanted, f"{pair.name}: the text holds {fences}, not {wanted}")
    return len(wanted)


def cpu(command: list[str], scratch: Scratch) -> float:
    """CPU milliseconds of a command, the least of seven runs."""
    found = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], cwd=scratch.root, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(found) * 1000


def start_time(run: Run, scratch: Scratch, place: Path) -> None:
    """What one call of the driver costs, beside Python reading YAML and doing nothing."""
    files = [str(place / name) for name in ("base", "ours", "theirs")]
    whole = cpu(["-m", "agentos.store.driver", *files, "board/tasks/TASK-001-a.md"], scratch)
    bare = cpu(["-c", "import yaml"], scratch)
    run.figures["driver ms CPU"] = f"{whole:.0f} ({whole / bare:.1f} times python -c 'import yaml')"
    run.require(whole < 4 * bare, f"the driver takes {whole:.0f} ms, and Python with yaml {bare:.0f}")


def main() -> None:
    run = Run("driver")
    count = ground.size(200)
    with ground.folder() as place:
        pairs: list[Pair] = []
        while len(pairs) < count:
            pair = a_pair(run.chance, len(pairs) + 1)
            run.count("pairs made")
            if is_hard(place, pair):
                pairs.append(pair)
        run.count("plain git conflicts", len(pairs))
        scratch = ground.copy(place, "merged")
        done = merge_all(scratch, pairs)
        run.require(done.returncode == 0, f"git merge stopped: {done.stdout[-300:]}{done.stderr[-300:]}")
        run.require(not scratch.git("status", "--porcelain"), "the merge left something uncommitted")
        for pair in pairs:
            judge(run, pair, scratch.read(pair.path))
        scratch.act(lambda draft: None)
        told = scratch.store.board()
        run.require(not [p for p in told.problems if p.is_fatal], "the board has files that can't be read")
        start_time(run, scratch, place)
    run.end()


if __name__ == "__main__":
    main()

"""What is carried forward by change equals what is counted anew, over random boards and changes."""

import random

import pytest

from agentos.model.board import Table
from agentos.model.records import Task
from agentos.store import snapshot
from agentos.store.cache import File
from agentos.store.objects import Entry, Tree

SEED = 20260202


def a_file(chance: random.Random, path: str) -> tuple[str, File | None]:
    """A row file as the cache has it: a task, one that can't be read, or none."""
    kind = chance.choice(["task"] * 6 + ["odd", "broken", "gone"])
    fields = None if kind == "broken" else b'{"title": "T", "priority": %d}' % chance.randint(1, 5)
    remarks = ((1, "is odd", kind == "broken"),) if kind in ("odd", "broken") else ()
    return path, None if kind == "gone" else (f"{chance.getrandbits(64):x}", "task", fields, remarks, None)


def some_files(chance: random.Random) -> dict[str, File]:
    folders = ["tasks", "tasks", "tasks", "archive/00xx"]
    paths = [f"board/{chance.choice(folders)}/TASK-{chance.randint(1, 40):03d}-x.md" for _ in range(30)]
    return {path: file for path, file in (a_file(chance, path) for path in paths) if file}


@pytest.mark.parametrize("seed", range(SEED, SEED + 40))
def test_rows_set_one_by_one_differ_as_the_whole_tables_do(seed: int) -> None:
    chance = random.Random(seed)
    before = Table({f"TASK-{n:03d}-x": ("p", f"{n}", b"{}") for n in range(20)}, Task)
    boards = [before]
    for _ in range(chance.randint(1, 12)):
        name, blob = f"TASK-{chance.randint(0, 30):03d}-x", f"{chance.randint(0, 30)}"
        row = ("p", blob, b"{}") if chance.random() < 0.7 else None
        boards.append(chance.choice(boards).with_row(name, row))
    old, new = chance.choice(boards), chance.choice(boards)
    assert old.differing(new) == old.differing(Table(dict(new.rows), Task)) == new.differing(old)


@pytest.mark.parametrize("seed", range(SEED, SEED + 40))
def test_a_board_is_the_same_whether_its_files_are_odd_or_plain(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = some_files(random.Random(seed))
    quick = snapshot.assemble(None, files)
    monkeypatch.setattr(snapshot, "_sorted_out", lambda files: ({}, files.items()))
    whole = snapshot.assemble(None, files)
    assert (quick.tasks.rows, quick.problems, quick.held) == (whole.tasks.rows, whole.problems, whole.held)


@pytest.mark.parametrize("seed", range(SEED, SEED + 20))
def test_a_tree_that_was_changed_is_in_gits_order(seed: int) -> None:
    chance = random.Random(seed)
    names = [b"a", b"a.b", b"a-b", b"a0", b"ab", b"b", "é".encode()]
    tree, whole = Tree({}), dict[bytes, Entry]()
    for _ in range(30):
        name, mode = chance.choice(names), chance.choice([b"100644", b"40000", b"100755"])
        entry = Entry(mode, f"{chance.getrandbits(160):040x}") if chance.random() < 0.8 else None
        tree = Tree.parse(tree.data, 20) if chance.random() < 0.5 else tree.copy()
        tree.set(name, entry)
        whole |= {name: entry} if entry else {}
        if not entry:
            whole.pop(name, None)
    ordered = sorted(whole, key=lambda n: n + b"/" * (whole[n].mode == b"40000"))
    assert list(Tree.parse(tree.data, 20).items()) == [(name, whole[name]) for name in ordered]
